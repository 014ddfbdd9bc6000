/** Limits of requests that no message of Envoy's has: `filter_metadata["weft.dev"].request_limits` of a filter chain. */
import type { FilterChain } from '../model/listener.ts';
import type { At } from './decoding.ts';
import type { StructReader } from './values.ts';

type Terminal = FilterChain['terminal'];

const BYTES_MAX = Number.MAX_SAFE_INTEGER;

export function decodeRequestLimits(reader: StructReader, terminal: Terminal, at: At): Terminal {
  const limits = {
    requestLineBytesMax: reader.number('request_line_bytes_max', 0, BYTES_MAX),
    fieldLineBytesMax: reader.number('field_line_bytes_max', 0, BYTES_MAX),
    requestBodyBytesMax: reader.number('request_body_bytes_max', 0, BYTES_MAX),
  };
  reader.end();
  if (terminal.kind === 'http') return { ...terminal, limits: { ...terminal.limits, ...limits } };
  return at.fail('is for chains that end in an HTTP connection manager', terminal);
}

/** Undefined: none of them is set. */
export function encodeRequestLimits(terminal: Terminal): { readonly [key: string]: number } | undefined {
  if (terminal.kind !== 'http') return undefined;
  const { requestLineBytesMax, fieldLineBytesMax, requestBodyBytesMax } = terminal.limits;
  const all = {
    request_line_bytes_max: requestLineBytesMax,
    field_line_bytes_max: fieldLineBytesMax,
    request_body_bytes_max: requestBodyBytesMax,
  };
  const set = Object.entries(all).filter(([, value]) => value > 0);
  return set.length === 0 ? undefined : Object.fromEntries(set);
}
