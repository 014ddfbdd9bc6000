import type { LogPart } from '@weft/policies/model/log-format';
import { parseLogFormat } from '@weft/policies/model/log-format';
import { type HeaderMutation, type HeaderOption, noMutation } from '@weft/policies/model/route';
import type { Headers } from '../http/headers.ts';
import { applyMutation } from '../route/mutation.ts';
import type { LogEntry } from '../telemetry/log/entry.ts';
import { cutTo, type LogRead, type OperatorPorts, readerOf } from '../telemetry/log/operators.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import type { RequestContext } from './context.ts';

interface Compiled {
  readonly name: string;
  readonly lower: string;
  readonly action: HeaderOption['action'];
  readonly keepsEmpty: boolean;
  readonly parts: readonly (string | LogRead)[];
}

/** What operators take over from a message is octets already; all else is text. */
const OCTETS = /^(?:REQUEST_HEADER|RESPONSE_HEADER|PATH|QUERY_PARAMS|REQUESTED_HOST)$/;
const BEYOND_ASCII = /[^\0-\x7f]/;
/** RFC 9110 section 5.5. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

function compilePart(part: LogPart, ports: OperatorPorts): string | LogRead {
  if (typeof part === 'string') return part;
  const read = cutTo(readerOf(part, ports), part.charsMax);
  if (OCTETS.test(part.field)) return read;
  return (entry) => {
    const value = read(entry);
    if (typeof value !== 'string' || !BEYOND_ASCII.test(value)) return value;
    return Buffer.from(value, 'utf8').toString('latin1');
  };
}

function compile({ name, format, action, keepsEmpty }: HeaderOption, ports: OperatorPorts): Compiled {
  const parsed = parseLogFormat(format);
  // It was parsed when the configuration was read.
  if (!parsed.ok) throw new Error(parsed.error);
  const parts = parsed.value.map((part) => compilePart(part, ports));
  return { name, lower: name.toLowerCase(), action, keepsEmpty, parts };
}

function written(parts: readonly (string | LogRead)[], entry: LogEntry): string {
  let value = '';
  for (const part of parts) value += typeof part === 'string' ? part : (part(entry) ?? '');
  return value;
}

export interface HeaderFormatsDeps {
  readonly ports: OperatorPorts;
  /** The record of a request as far as it is known. */
  readonly describe: (context: RequestContext) => RequestRecord;
  readonly count: (event: string) => void;
  /** What filters make of responses, ours among them. */
  readonly ofResponses: readonly HeaderMutation[];
}

/** Changes headers as routes want it; where values have command operators, by what is known of the request. */
export class HeaderFormats {
  private readonly deps: HeaderFormatsDeps;
  private readonly compiled = new WeakMap<readonly HeaderOption[], readonly Compiled[]>();

  constructor(deps: HeaderFormatsDeps) {
    this.deps = deps;
  }

  apply(context: RequestContext, headers: Headers, mutation: HeaderMutation): void {
    if (mutation === noMutation) return;
    applyMutation(headers, mutation);
    if (mutation.options !== undefined) this.evaluate(context, headers, mutation.options);
  }

  /** What filters change of a response, after the route has. */
  applyFilters(context: RequestContext, headers: Headers): void {
    for (const mutation of this.deps.ofResponses) this.apply(context, headers, mutation);
  }

  /** In Envoy's order: all values are made of the message as it is, then headers are overwritten, then appended. */
  private evaluate(context: RequestContext, headers: Headers, options: readonly HeaderOption[]): void {
    if (context.exchange.endOfRequest) context.requestEndMs = context.startMs;
    const entry: LogEntry = { record: this.deps.describe(context), http: context, ends: context };
    const all = this.compiledOf(options);
    const values = all.map((option) => this.valueFor(option, headers, entry));
    for (const [i, { name, action }] of all.entries()) {
      const value = values[i];
      if (value !== undefined && (action === 'set' || action === 'setIfPresent')) headers.set(name, value);
    }
    for (const [i, { name, action }] of all.entries()) {
      const value = values[i];
      if (value !== undefined && (action === 'add' || action === 'addIfAbsent')) headers.append(name, value);
    }
  }

  /** Undefined: nothing is done. */
  private valueFor(option: Compiled, headers: Headers, entry: LogEntry): string | undefined {
    const { action, lower, keepsEmpty, parts } = option;
    if (action === 'addIfAbsent' && headers.has(lower)) return undefined;
    if (action === 'setIfPresent' && !headers.has(lower)) return undefined;
    const value = written(parts, entry);
    if (value === '') return keepsEmpty ? value : undefined;
    // What a client has encoded, or a token says, must not become another header.
    if (FIELD_VALUE.test(value)) return value;
    this.deps.count('headers.value_refused');
    return undefined;
  }

  private compiledOf(options: readonly HeaderOption[]): readonly Compiled[] {
    let compiled = this.compiled.get(options);
    if (compiled === undefined) {
      compiled = options.map((option) => compile(option, this.deps.ports));
      this.compiled.set(options, compiled);
    }
    return compiled;
  }
}
