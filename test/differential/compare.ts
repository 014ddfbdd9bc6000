import type { Field, Outcome, Received } from './envoy-pair.ts';

/** One thing that is not the same. */
export interface Difference {
  /** `status`, `body`, `response x-from`, `received target`, `received x-tier`, ... */
  readonly what: string;
  readonly weft: string;
  readonly envoy: string;
}

/** Of one hop, or of the proxy itself: nothing that one side promises the other. */
const OWN_FIELDS = new Set([
  'connection',
  'date',
  'keep-alive',
  // The same content may be framed either way (RFC 9112 section 6); the content is compared.
  'content-length',
  'transfer-encoding',
  'x-request-id',
  'x-forwarded-proto',
  'traceparent',
  'tracestate',
]);

/** Names without case (RFC 9110 section 5.1), repeated fields as one list (section 5.3). */
function fieldMap(fields: readonly Field[]): Map<string, string> {
  const map = new Map<string, string>();
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    if (OWN_FIELDS.has(key) || key.startsWith('x-envoy-')) continue;
    const before = map.get(key);
    // An empty element of a list says nothing (RFC 9110 section 5.6.1).
    map.set(key, before === undefined || before === '' ? value : value === '' ? before : `${before},${value}`);
  }
  return map;
}

function* compareFields(where: string, weft: readonly Field[], envoy: readonly Field[]): Generator<Difference> {
  const [ours, theirs] = [fieldMap(weft), fieldMap(envoy)];
  for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
    const [a, b] = [ours.get(name), theirs.get(name)];
    if (a !== b) yield { what: `${where} ${name}`, weft: a ?? '(absent)', envoy: b ?? '(absent)' };
  }
}

function* compareReceived(weft: Received, envoy: Received): Generator<Difference> {
  for (const part of ['application', 'method', 'target', 'body'] as const) {
    if (weft[part] !== envoy[part]) yield { what: `received ${part}`, weft: weft[part], envoy: envoy[part] };
  }
  yield* compareFields('received', weft.fields, envoy.fields);
}

const seen = (outcome: Outcome): string => outcome.received.map((one) => one.application).join(' ');

export function* compare(weft: Outcome, envoy: Outcome): Generator<Difference> {
  if (seen(weft) !== seen(envoy)) {
    yield { what: 'applications', weft: `${seen(weft)} ${weft.status}`, envoy: `${seen(envoy)} ${envoy.status}` };
    return;
  }
  if (weft.status !== envoy.status) {
    yield { what: 'status', weft: `${weft.status} ${weft.body}`, envoy: `${envoy.status} ${envoy.body}` };
    return;
  }
  for (const [i, ours] of weft.received.entries()) {
    const theirs = envoy.received[i];
    if (theirs !== undefined) yield* compareReceived(ours, theirs);
  }
  const answered = weft.received.length > 0;
  // The text of an error is each proxy's own.
  if ((answered || weft.status < 400) && weft.body !== envoy.body) {
    yield { what: 'body', weft: weft.body, envoy: envoy.body };
  }
  const differences = [...compareFields('response', weft.fields, envoy.fields)];
  yield* answered
    ? differences
    : differences.filter(({ what }) => what !== 'response content-type' && what !== 'response server');
}
