import { CASE_FIELD, type Field, fieldOf, type Outcome, type Received, type Wires } from './case.ts';

/** One thing that is not the same. */
export interface Difference {
  /** `status`, `body`, `response x-from`, `received target`, `received x-tier`, ... */
  readonly what: string;
  readonly weft: string;
  readonly envoy: string;
}

/** Of one hop, or of the proxy itself: nothing that one side promises the other. */
const OWN_FIELDS = new Set(['connection', 'date', 'keep-alive', 'content-length', 'transfer-encoding']);

/** Names without case (RFC 9110 section 5.1), repeated fields as one list (section 5.3). */
function fieldMap(fields: readonly Field[]): Map<string, string> {
  const map = new Map<string, string>();
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    if (OWN_FIELDS.has(key) || key.startsWith('x-envoy-')) continue;
    const before = map.get(key);
    // An empty element of a list says nothing (RFC 9110 section 5.6.1).
    if (before === undefined || before === '') map.set(key, value);
    else if (value !== '') map.set(key, `${before}${key === 'cookie' ? '; ' : ','}${value}`);
  }
  return map;
}

export const ABSENT = '(absent)';

function* compareFields(where: string, weft: readonly Field[], envoy: readonly Field[]): Generator<Difference> {
  const [ours, theirs] = [fieldMap(weft), fieldMap(envoy)];
  for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
    const [a, b] = [ours.get(name), theirs.get(name)];
    if (a !== b) yield { what: `${where} ${name}`, weft: a ?? ABSENT, envoy: b ?? ABSENT };
  }
}

/** Casing counts where HTTP/1 comes out: both promise to keep it. */
function* compareCasing(where: string, weft: readonly Field[], envoy: readonly Field[]): Generator<Difference> {
  // Of fields that came in several casings each may go out in any of them.
  const names = new Map(envoy.map(([name]) => [name.toLowerCase(), name]));
  if (names.size < envoy.length) return;
  for (const [name] of weft) {
    const other = names.get(name.toLowerCase());
    if (other === undefined || other === name || OWN_FIELDS.has(name.toLowerCase())) continue;
    yield { what: `${where} casing`, weft: name, envoy: other };
  }
}

function* compareReceived(weft: Received, envoy: Received, wires: Wires, early: boolean): Generator<Difference> {
  for (const part of ['application', 'method', 'target', 'authority'] as const) {
    if (weft[part] !== envoy[part]) yield { what: `received ${part}`, weft: weft[part], envoy: envoy[part] };
  }
  // An answer that did not wait leaves open how much of the body still gets through.
  const whole = weft.complete && envoy.complete && !early;
  if (whole && weft.body !== envoy.body) {
    yield { what: 'received body', weft: brief(weft.body), envoy: brief(envoy.body) };
  }
  yield* compareFields('received', weft.fields, envoy.fields);
  if (wires.down === 'h1' && wires.up === 'h1') yield* compareCasing('received', weft.fields, envoy.fields);
  if (whole) yield* compareFields('received trailer', weft.trailers, envoy.trailers);
}

const brief = (text: string): string => (text.length <= 300 ? text : `${text.slice(0, 300)}... (${text.length})`);

/** Of an answer that a proxy gives itself. */
const OWN_WORDS = new Set(['response content-type', 'response server', 'response grpc-message']);

function* compareResponses(weft: Outcome, envoy: Outcome, wires: Wires): Generator<Difference> {
  const [ours, theirs] = [weft.response, envoy.response];
  const forwarded = fieldOf(ours.fields, CASE_FIELD) !== undefined;
  if (ours.complete !== theirs.complete) {
    yield { what: 'complete', weft: String(ours.complete), envoy: String(theirs.complete) };
  }
  if (ours.interim.join() !== theirs.interim.join()) {
    yield { what: 'interim', weft: ours.interim.join(), envoy: theirs.interim.join() };
  }
  if (ours.after !== theirs.after) yield { what: 'after', weft: ours.after, envoy: theirs.after };
  // The text of an error is each proxy's own; what had come when a response broke off depends on the moment.
  if ((forwarded || ours.status < 400) && ours.complete && theirs.complete && ours.body !== theirs.body) {
    yield { what: 'body', weft: brief(ours.body), envoy: brief(theirs.body) };
  }
  const fields = [...compareFields('response', ours.fields, theirs.fields)];
  yield* forwarded ? fields : fields.filter(({ what }) => !OWN_WORDS.has(what));
  if (wires.down === 'h1' && wires.up === 'h1' && forwarded)
    yield* compareCasing('response', ours.fields, theirs.fields);
  if (ours.complete && theirs.complete) yield* compareFields('trailer', ours.trailers, theirs.trailers);
}

const seen = ({ received }: Outcome): string => received.map((one) => one.application).join(' ');

/** `early`: the application did not wait for the body. */
export function* compare(weft: Outcome, envoy: Outcome, wires: Wires, early: boolean): Generator<Difference> {
  const own = `${weft.response.status} [${seen(weft)}]`;
  const other = `${envoy.response.status} [${seen(envoy)}]`;
  if (own !== other) {
    yield { what: 'status', weft: `${own} ${weft.response.after}`, envoy: `${other} ${envoy.response.after}` };
    return;
  }
  for (const [i, ours] of weft.received.entries()) {
    const theirs = envoy.received[i];
    if (theirs !== undefined) yield* compareReceived(ours, theirs, wires, early);
  }
  yield* compareCopies(weft, envoy, wires);
  yield* compareResponses(weft, envoy, wires);
}

function* compareCopies(weft: Outcome, envoy: Outcome, wires: Wires): Generator<Difference> {
  const [own, other] = [weft.copies.length, envoy.copies.length];
  if (own !== other) yield { what: 'copies', weft: `${own}`, envoy: `${other}` };
  for (const [i, ours] of weft.copies.entries()) {
    const theirs = envoy.copies[i];
    if (theirs !== undefined) yield* compareReceived(ours, theirs, wires, false);
  }
}

/** What both say of one request in their logs: status, flags, route, cluster, attempts. */
export function* compareLogs(weft: string | undefined, envoy: string | undefined): Generator<Difference> {
  if (weft === undefined || envoy === undefined) {
    if (weft !== envoy) yield { what: 'log line', weft: weft ?? ABSENT, envoy: envoy ?? ABSENT };
    return;
  }
  const [ours, theirs] = [weft.split(' '), envoy.split(' ')];
  for (const [i, name] of ['code', 'flags', 'route', 'cluster', 'attempts'].entries()) {
    const [a = '', b = ''] = [ours[i], theirs[i]];
    if (a !== b) yield { what: `log ${name}`, weft: a, envoy: b };
  }
}

/** A response that was made for another request: nothing ever explains that. */
export function leak(id: string, outcome: Outcome): string | undefined {
  const found = fieldOf(outcome.response.fields, CASE_FIELD);
  return found === undefined || found.split(',').every((one) => one === id) ? undefined : found;
}
