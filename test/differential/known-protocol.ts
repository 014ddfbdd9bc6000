/** Known differences in what both make of HTTP itself. */
import { ABSENT } from './compare.ts';
import {
  END_TO_END,
  ENVOY_METHODS,
  expects,
  header,
  isStatus,
  type KnownDifference,
  pathOf,
  upperEscapes,
  weftAnswers,
} from './known-difference.ts';

/** What Weft refuses in a head of HTTP/1 although Envoy makes something of it, by the names of malformed.ts. */
const REFUSED_DEFECTS: Readonly<Record<string, string>> = {
  'bare-cr': 'RFC 9112 section 2.2',
  'bare-lf': 'RFC 9112 section 2.2: a recipient may take a bare LF, and need not',
  folded: 'RFC 9112 section 5.2',
  'host-twice': 'RFC 9112 section 3.2',
  'coding-not-last': 'RFC 9112 section 6.1',
  'host-empty': 'RFC 9110 section 4.2.1',
  'two-spaces': 'RFC 9112 section 3',
  'version-2': 'RFC 9110 section 15.6.6',
  'version-12': 'RFC 9110 section 15.6.6; section 2.5 would let it pass as 1.1',
  'coding-twice': 'RFC 9112 section 6.1',
  'target-userinfo': 'RFC 9110 section 4.2.4',
  'target-bare': 'RFC 9112 section 3.2',
};

export const knownOfProtocol: readonly KnownDifference[] = [
  {
    name: 'malformed',
    why: `Weft refuses, and names the section: ${Object.entries(REFUSED_DEFECTS)
      .map(([defect, section]) => `${defect} (${section})`)
      .join(', ')}`,
    reference: 'RFC 9112 section 2.2 and those named',
    explains: (found) =>
      isStatus(found) &&
      found.one.request.defect in REFUSED_DEFECTS &&
      found.outcome.weft.response.status >= 400 &&
      found.outcome.weft.response.after === 'closed' &&
      found.outcome.weft.received.length === 0,
  },
  {
    name: 'method',
    why: 'Envoy refuses methods that its parser does not know with 400; Weft takes every token',
    reference: 'RFC 9110 section 9.1: methods are extensible',
    explains: (found) =>
      found.wires.down === 'h1' &&
      (!ENVOY_METHODS.has(found.one.request.method) || found.one.request.defect === 'method-lower') &&
      found.outcome.envoy.response.status === 400 &&
      found.outcome.envoy.received.length === 0 &&
      (isStatus(found) || found.difference.what === 'after' || found.difference.envoy === ABSENT),
  },
  {
    name: 'escape-invalid',
    why: 'Weft refuses a path with a percent sign that encodes nothing, or with an encoded NUL',
    reference: 'RFC 3986 section 2.1',
    explains: (found) =>
      isStatus(found) && weftAnswers(found, 400) && /%(?![0-9a-f]{2})|%00/i.test(pathOf(found.one.request.target)),
  },
  {
    name: 'escape-case',
    why: 'Weft writes the hexadecimal digits of escapes in upper case, Envoy leaves them',
    reference: 'RFC 3986 section 6.2.2.1',
    explains: ({ difference: { what, weft, envoy } }) =>
      (what === 'received target' || what === 'response location') && upperEscapes(envoy) === weft,
  },
  {
    name: 'forwarded-proto',
    why: 'Outbound, Weft adds nothing to what the application says of itself; Envoy adds X-Forwarded-Proto',
    reference: 'sidecar/filters/headers/filter.ts: outbound, the application speaks for itself',
    explains: ({ difference: { what, weft, envoy } }) =>
      what === 'received x-forwarded-proto' && weft === ABSENT && envoy === 'http',
  },
  {
    name: 'expect-passed',
    why: 'Weft passes the expectation on and the final status back; Envoy says 100 by itself, before it knows',
    reference: 'RFC 9110 section 10.1.1',
    explains: (found) =>
      expects(found) &&
      (['received expect', 'interim'].includes(found.difference.what) ||
        // Who gets the final status instead of 100 need not send the body, so that the next request could be anywhere.
        (found.difference.what === 'after' && found.difference.weft === 'closed')),
  },
  {
    name: 'expect-unknown',
    why: 'Weft answers 417 to expectations other than 100-continue; Envoy passes over them',
    reference: 'RFC 9110 section 10.1.1',
    explains: (found) => isStatus(found) && weftAnswers(found, 417) && /other/.test(header(found.one, 'expect')),
  },
  {
    name: 'interim-passed',
    why: 'Weft forwards interim responses; Envoy drops them',
    reference: 'RFC 9110 section 15.2: a proxy must forward 1xx responses',
    explains: ({ difference: { what, envoy }, one, outcome }) =>
      what === 'interim' &&
      envoy === '' &&
      outcome.weft.response.interim.every((code) => one.answer.interim.includes(code)),
  },
  {
    name: 'rest-of-request',
    why: 'Weft reads the rest of a request that it has answered already and keeps the connection; Envoy closes it',
    reference: 'RFC 9112 section 9.3: a persistent connection needs the whole request to be read',
    explains: ({ difference: { what, weft, envoy }, wires, one, outcome }) =>
      wires.down === 'h1' &&
      one.request.body.framing !== 'none' &&
      (outcome.weft.received.length === 0 || one.answer.early) &&
      ((what === 'after' && weft === 'kept' && envoy === 'closed') ||
        // Closed with requests unread, so that even its answer is lost (RFC 9112 section 9.6).
        (what === 'status' && outcome.envoy.response.status === 0 && outcome.envoy.received.length === 0)),
  },
  {
    name: 'close-option',
    why: 'Of several Connection fields, Weft obeys the one that says close; Envoy the first',
    reference: 'RFC 9112 section 9.3: with the close option the connection does not persist',
    explains: ({ difference: { what, weft, envoy }, one, wires }) =>
      what === 'after' &&
      wires.down === 'h1' &&
      weft === 'closed' &&
      envoy === 'kept' &&
      one.request.fields.some(([name]) => /^connection$/i.test(name)) &&
      (one.request.ending === 'close' || /close/.test(header(one, 'connection'))),
  },
  {
    name: 'http10-keep-alive',
    why: 'A client of HTTP/1.0 that asks for its connection to be kept keeps it; Envoy mostly closes it',
    reference: 'RFC 9112 section 9.3; towards the client a gateway is an origin server (RFC 9110 section 3.7)',
    explains: ({ difference: { what, weft, envoy }, one, wires }) =>
      what === 'after' &&
      wires.down === 'h1' &&
      one.request.version === '1.0' &&
      weft === 'kept' &&
      envoy === 'closed' &&
      /keep-alive/i.test(header(one, 'connection')),
  },
  {
    name: 'pipelined-replies',
    why: 'Weft answers every pipelined request; Envoy closes the connection when more than two answers of its own wait',
    reference: 'RFC 9112 section 9.3.2',
    explains: ({ difference: { what }, wires, position, outcome }) =>
      what === 'status' &&
      wires.down === 'h1' &&
      position >= 2 &&
      outcome.envoy.response.status === 0 &&
      outcome.envoy.received.length === 0 &&
      outcome.weft.response.status > 0,
  },
  {
    name: 'asterisk',
    why: 'OPTIONS * goes where a route takes the path "*", and is logged without a route as NR; Envoy answers 404 and writes no flag',
    reference: 'RFC 9112 section 3.2.4: the request is forwarded with "*"',
    explains: ({ difference: { what, weft, envoy }, one, outcome }) =>
      one.request.defect === 'target-asterisk' &&
      outcome.envoy.response.status === 404 &&
      outcome.envoy.received.length === 0 &&
      (what === 'status' || what === 'log route' || (what === 'log flags' && weft === 'NR' && envoy === '-')),
  },
  {
    name: 'half-close',
    why: 'A client that has closed its half is still answered; Envoy takes it for gone',
    reference: 'RFC 9293 section 3.6: who closes may go on to receive',
    explains: (found) =>
      found.one.request.ending === 'half-close' &&
      found.outcome.weft.response.status > 0 &&
      !found.outcome.envoy.response.complete,
  },
  {
    name: 'connection-option',
    why: 'Weft refuses a Connection field that names an end-to-end field, which would make it disappear',
    reference: 'RFC 9110 section 7.6.1',
    explains: (found) =>
      isStatus(found) &&
      weftAnswers(found, 400) &&
      header(found.one, 'connection')
        .split(',')
        .some((name) => END_TO_END.test(name.trim())),
  },
  {
    name: 'broken-close-delimited',
    why: 'Where only the end of the connection ends a body, Weft resets it if the body is not whole; Envoy ends it like a whole one',
    reference: 'RFC 9112 section 8',
    explains: ({ difference: { what }, one, wires, outcome }) =>
      (what === 'complete' || what === 'after') &&
      wires.down === 'h1' &&
      one.request.version === '1.0' &&
      (one.answer.fault !== undefined || one.answer.failure !== undefined) &&
      outcome.weft.response.after === 'reset' &&
      outcome.envoy.response.after === 'closed',
  },
  {
    name: 'path-refused',
    why: 'A request whose path is refused ends with the flag DPE, and leaves the connection as it was, with nothing of a route; Envoy closes without a flag',
    reference: 'RFC 9112 section 9.3: its end is known',
    explains: ({ difference: { what, weft, envoy }, outcome, one }) =>
      outcome.weft.response.status === 400 &&
      outcome.envoy.response.status === 400 &&
      outcome.weft.received.length === 0 &&
      /%00/.test(pathOf(one.request.target)) &&
      ((what === 'log flags' && weft === 'DPE' && envoy === '-') ||
        ((what === 'log route' || what === 'log cluster') && weft === '-') ||
        (what.startsWith('response ') && weft === ABSENT) ||
        (what === 'after' && weft === 'kept')),
  },
  {
    name: 'empty-cookie',
    why: 'Weft passes every Cookie on; Envoy drops all if one of the parts that HTTP/2 has cut them into is empty',
    reference: 'RFC 9113 section 8.2.3',
    explains: ({ difference: { what, weft, envoy }, wires, one, table }) =>
      wires.down === 'h2' &&
      one.request.fields.some(([name, value]) => name.toLowerCase() === 'cookie' && value === '') &&
      // Where a route asks for it another one may be taken, and then anything differs.
      (/"name":"cookie"/.test(JSON.stringify(table)) ||
        (what === 'received cookie' &&
          weft !== ABSENT &&
          // What a route adds stays.
          (envoy === ABSENT || weft.endsWith(`; ${envoy}`) || envoy.replaceAll(/; ?(?=;|$)|^; /g, '') === weft))),
  },
  {
    name: 'refused-in-parser',
    why: 'What is refused while its head is parsed is logged without its fields',
    reference: 'the id that finds the line is one of them',
    explains: ({ difference: { what, weft }, outcome }) =>
      what === 'log line' &&
      weft === ABSENT &&
      outcome.weft.received.length === 0 &&
      [400, 417, 431, 501, 505].includes(outcome.weft.response.status),
  },
];
