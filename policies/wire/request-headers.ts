/** HTTP filters that take fields off requests: Envoy's header_mutation, and our own for what it cannot say. */
import { isMessage, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import { isOfTheCodec } from '../kit/field-names.ts';
import type { HttpFilter } from '../model/listener.ts';
import type { At } from './decoding.ts';
import {
  type HeaderMutation,
  HeaderMutationSchema,
} from './gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.ts';
import type { HttpFilterSchema } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { ReservedHeadersSchema } from './gen/weft/v1/headers_pb.ts';
import { decodeFieldName } from './header-mutation.ts';
import { typedConfig } from './typed-config.ts';

export type RequestHeadersFilter = Extract<HttpFilter, { readonly kind: 'headerRemoval' | 'reservedHeaders' }>;

export function encodeRequestHeadersFilter(filter: RequestHeadersFilter): MessageInitShape<typeof HttpFilterSchema> {
  // A sidecar of an earlier version passes over what it does not know, rather than refuse the listener; so does Envoy.
  const { name } = filter;
  if (filter.kind === 'reservedHeaders') {
    const { names, prefixes } = filter.reserved;
    const configType = typedConfig(ReservedHeadersSchema, { names: [...names], prefixes: [...prefixes] });
    return { name, isOptional: true, configType };
  }
  const requestMutations = filter.headers.map((header) => ({ action: { case: 'remove' as const, value: header } }));
  const configType = typedConfig(HeaderMutationSchema, { mutations: { requestMutations } });
  return { name, isOptional: name.startsWith('weft.dev/'), configType };
}

/** Undefined: none of these filters. */
export function decodeRequestHeadersFilter(
  name: string,
  config: Message | undefined,
  at: At,
): RequestHeadersFilter | undefined {
  if (isMessage(config, HeaderMutationSchema))
    return { kind: 'headerRemoval', name, headers: decodeRemoval(config, at) };
  if (!isMessage(config, ReservedHeadersSchema)) return undefined;
  const names = config.names.map((one, i) => decodeLower(one, at.field('names').index(i)));
  const prefixes = config.prefixes.map((one, i) => decodePrefix(one, at.field('prefixes').index(i)));
  return { kind: 'reservedHeaders', name, reserved: { names, prefixes } };
}

function decodeRemoval({ mutations }: HeaderMutation, at: At): readonly string[] {
  const here = at.field('mutations').field('request_mutations');
  return (mutations?.requestMutations ?? []).map(({ action }, i) => {
    if (action.case === 'remove') return decodeLower(action.value, here.index(i).field('remove'));
    // What else there is has been named as unsupported already.
    return action.case === undefined ? here.index(i).fail('remove is required', '') : '';
  });
}

const decodeLower = (text: string, at: At): string => decodeFieldName(text, at).toLowerCase();

/** The beginning of a name is one too; what it says of the message itself is not taken off. */
function decodePrefix(text: string, at: At): string {
  if (!isOfTheCodec(text)) return decodeLower(text, at);
  return text.toLowerCase();
}
