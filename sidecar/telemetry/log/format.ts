import type { LogFormat, LogObject, LogValue } from '@weft/policies/model/access-log';
import { type LogPart, parseLogFormat } from '@weft/policies/model/log-format';
import type { LogEntry } from './entry.ts';
import { cutTo, type LogRead, type OperatorPorts, readerOf } from './operators.ts';

/** Envoy's for a logger without a format. */
const DEFAULT_TEXT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
  '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

/** A line of the log, its end included. */
export type WriteLine = (entry: LogEntry) => string;

/** Bodies of our own replies are written by it too: what `%LOCAL_REPLY_BODY%` stands for keeps its lines. */
export function compileFormat(format: LogFormat | undefined, ports: OperatorPorts): WriteLine {
  if (format?.kind === 'json') {
    const write = compileObject(format.value, format.omitEmptyValues, ports);
    return (entry) => `${write(entry) ?? '{}'}\n`;
  }
  return compileText(format?.text ?? DEFAULT_TEXT, format?.omitEmptyValues ? '' : '-', ports);
}

const partsOf = (text: string): readonly LogPart[] => {
  const parsed = parseLogFormat(text);
  // It was parsed when the configuration was read; only our own default could be wrong.
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};

/** Control characters of a client's must not forge a line. */
const CONTROL = /\p{Cc}/gu;
const visible = (value: string | number): string | number =>
  typeof value === 'number' || value.search(CONTROL) === -1
    ? value
    : value.replaceAll(CONTROL, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);

const onOneLine =
  (read: LogRead): LogRead =>
  (entry) => {
    const value = read(entry);
    return value === undefined ? value : visible(value);
  };

function compileText(text: string, empty: string, ports: OperatorPorts): WriteLine {
  const literals: string[] = [''];
  const reads: LogRead[] = [];
  for (const part of partsOf(text)) {
    if (typeof part === 'string') literals[literals.length - 1] += part;
    else {
      const read = cutTo(readerOf(part, ports), part.charsMax);
      reads.push(part.field === 'LOCAL_REPLY_BODY' ? read : onOneLine(read));
      literals.push('');
    }
  }
  return (entry) => {
    let line = literals[0] ?? '';
    for (let i = 0; i < reads.length; i++) {
      const value = reads[i]?.(entry);
      line += value === undefined ? empty : value;
      line += literals[i + 1] ?? '';
    }
    return line;
  };
}

/** JSON text of a value; undefined: left out. */
type WriteJson = (entry: LogEntry) => string | undefined;

/** Keys in order, as Envoy sorts them. */
function compileObject(value: LogObject, omit: boolean, ports: OperatorPorts): WriteJson {
  const members = Object.keys(value)
    .sort()
    .map((key) => ({ key: `${JSON.stringify(key)}:`, write: compileValue(value[key] ?? null, omit, ports) }));
  return (entry) => {
    let text = '';
    for (const { key, write } of members) {
      const member = write(entry);
      if (member !== undefined) text += text === '' ? key + member : `,${key}${member}`;
    }
    return text === '' && omit && members.length > 0 ? undefined : `{${text}}`;
  };
}

function compileList(values: readonly LogValue[], omit: boolean, ports: OperatorPorts): WriteJson {
  const writes = values.map((value) => compileValue(value, omit, ports));
  return (entry) => {
    let text = '';
    for (const write of writes) {
      const item = write(entry);
      if (item !== undefined) text += text === '' ? item : `,${item}`;
    }
    return text === '' && omit && writes.length > 0 ? undefined : `[${text}]`;
  };
}

const isList = (value: readonly LogValue[] | LogObject): value is readonly LogValue[] => Array.isArray(value);

function compileValue(value: LogValue, omit: boolean, ports: OperatorPorts): WriteJson {
  if (value === null) return () => (omit ? undefined : 'null');
  if (typeof value === 'object')
    return isList(value) ? compileList(value, omit, ports) : compileObject(value, omit, ports);
  if (typeof value !== 'string') {
    const text = JSON.stringify(value);
    return () => text;
  }
  const parts = partsOf(value);
  const [only] = parts;
  // A single operator keeps its type: numbers are numbers, and nothing is null.
  if (parts.length === 1 && only !== undefined && typeof only !== 'string') {
    const read = cutTo(readerOf(only, ports), only.charsMax);
    return (entry) => {
      const result = read(entry);
      if (result === undefined) return omit ? undefined : 'null';
      return typeof result === 'number' ? String(result) : JSON.stringify(result);
    };
  }
  const write = compileJsonText(parts, omit ? '' : '-', ports);
  return (entry) => JSON.stringify(write(entry));
}

function compileJsonText(parts: readonly LogPart[], empty: string, ports: OperatorPorts): (entry: LogEntry) => string {
  const reads = parts.map((part): LogRead => {
    if (typeof part === 'string') return () => part;
    return cutTo(readerOf(part, ports), part.charsMax);
  });
  return (entry) => {
    let text = '';
    for (const read of reads) text += read(entry) ?? empty;
    return text;
  };
}
