import type { Case, Outcome, Table, Wires } from './case.ts';
import { ABSENT, type Difference } from './compare.ts';
import type { Side } from './origin.ts';

/** A difference with everything it may follow from. */
export interface Found {
  readonly difference: Difference;
  readonly one: Case;
  readonly wires: Wires;
  readonly table: Table;
  readonly outcome: Readonly<Record<Side, Outcome>>;
}

/** Where Weft and Envoy differ on purpose, and the text that lets Weft do so. */
export interface KnownDifference {
  readonly name: string;
  readonly why: string;
  readonly reference: string;
  explains(found: Found): boolean;
}

/** The methods that Envoy's HTTP/1 parser knows; RFC 9110 section 9.1 has no such list. */
const ENVOY_METHODS = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'CONNECT',
  'PROPFIND',
]);
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
const END_TO_END = /^(?:authorization|cookie|x-forwarded-.*|via|date|content-.*)$/i;

const upperEscapes = (text: string): string => text.replaceAll(/%[0-9a-f]{2}/gi, (octet) => octet.toUpperCase());
const pathOf = (target: string): string => target.split('?')[0] ?? '';
const withoutPort = (location: string): string => location.replace(/^(https?:\/\/(?:\[[^\]]*\]|[^:/]*)):\d+/, '$1');
/** Without the doubled or missing slash that a replaced prefix leaves. */
const withoutSlashes = (target: string): string =>
  pathOf(target).replaceAll('/', '') + target.slice(pathOf(target).length);

const weftAnswers = ({ outcome }: Found, status: number): boolean =>
  outcome.weft.response.status === status && outcome.weft.received.length === 0;
const isStatus = ({ difference }: Found): boolean => difference.what === 'status';
const header = (one: Case, lower: string): string =>
  one.request.fields
    .filter(([name]) => name.toLowerCase() === lower)
    .map(([, value]) => value)
    .join(',');
const expects = ({ one }: Found): boolean => /100-continue/i.test(header(one, 'expect'));
const rewrites = ({ table }: Found, what: RegExp): boolean => what.test(JSON.stringify(table.virtualHosts));

export const knownDifferences: readonly KnownDifference[] = [
  {
    name: 'method',
    why: 'Envoy refuses methods that its parser does not know with 400; Weft takes every token',
    reference: 'RFC 9110 section 9.1: methods are extensible',
    explains: (found) =>
      found.wires.down === 'h1' &&
      !ENVOY_METHODS.has(found.one.request.method) &&
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
    name: 'prefix-segments',
    why: 'A prefix is replaced by whole segments, so that exactly one slash is between them; Envoy replaces the text',
    reference: 'Gateway API, HTTPPathModifier.replacePrefixMatch',
    explains: (found) =>
      (found.difference.what === 'received target' || found.difference.what === 'response location') &&
      rewrites(found, /"prefix_rewrite"/) &&
      withoutSlashes(upperEscapes(withoutPort(found.difference.envoy))) ===
        withoutSlashes(withoutPort(found.difference.weft)),
  },
  {
    name: 'redirect-port',
    why: 'A redirect names the port of the listener or none where it is that of the scheme; Envoy keeps that of Host or writes it',
    reference: 'Gateway API, HTTPRequestRedirectFilter.port',
    explains: ({ difference: { what, weft, envoy } }) =>
      what === 'response location' && upperEscapes(withoutPort(envoy)) === withoutPort(weft),
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
      ((found.difference.what === 'received expect' && found.difference.envoy === ABSENT) ||
        (found.difference.what === 'interim' &&
          found.difference.envoy === '100' &&
          !found.outcome.weft.response.interim.some(
            (code) => code !== 100 && !found.one.answer.interim.includes(code),
          ))),
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
    explains: (found) =>
      found.difference.what === 'after' &&
      found.wires.down === 'h1' &&
      found.one.request.body.framing !== 'none' &&
      found.difference.weft === 'kept' &&
      found.difference.envoy === 'closed' &&
      (found.outcome.weft.received.length === 0 || found.one.answer.early),
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
    name: 'stale-connection',
    why: 'Weft repeats an idempotent request once whose reused connection ended before a word of an answer',
    reference: 'RFC 9112 section 9.3.1',
    explains: ({ difference: { what }, one, outcome }) => {
      const [weft, envoy] = [outcome.weft.received.length, outcome.envoy.received.length];
      const faults = [one.answer.failures > 0 ? one.answer.failure : one.answer.fault, one.answer.fault];
      return (
        (what === 'status' || what === 'log attempts') &&
        IDEMPOTENT.has(one.request.method) &&
        weft > envoy &&
        faults.some((fault) => fault?.where === 'before-head')
      );
    },
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
    name: 'retry-non-idempotent',
    why: 'A policy repeats requests that are not idempotent only if it says so',
    reference: 'RFC 9110 section 9.2.2',
    explains: ({ difference: { what }, one, outcome, table }) =>
      what === 'status' &&
      !IDEMPOTENT.has(one.request.method) &&
      outcome.weft.received.length === 1 &&
      outcome.envoy.received.length > 1 &&
      retriesUnasked(table),
  },
  {
    name: 'rbac-flag',
    why: 'What a rule refuses has the flag UAEX; Envoy writes none',
    reference: 'docs/decisions: refused by authorization is UAEX for operators',
    explains: ({ difference: { what, weft, envoy }, outcome }) =>
      what === 'log flags' && weft === 'UAEX' && envoy === '-' && outcome.weft.response.status === 403,
  },
  {
    name: 'path-refused',
    why: 'A request whose path is refused ends with the flag DPE, and leaves the connection as it was; Envoy closes without a flag',
    reference: 'RFC 9112 section 9.3: its end is known',
    explains: ({ difference: { what, weft, envoy }, outcome, one }) =>
      outcome.weft.response.status === 400 &&
      outcome.envoy.response.status === 400 &&
      outcome.weft.received.length === 0 &&
      /%00/.test(pathOf(one.request.target)) &&
      ((what === 'log flags' && weft === 'DPE' && envoy === '-') || (what === 'after' && weft === 'kept')),
  },
  {
    name: 'path-ambiguous',
    why: 'Where a rule about paths has to be decided, Weft refuses what the application may read as another path',
    reference: 'RFC 3986 section 6.2.2; sidecar/route/path.ts',
    explains: (found) =>
      isStatus(found) &&
      weftAnswers(found, 403) &&
      /%2f|%5c|\/\//i.test(pathOf(found.one.request.target)) &&
      /"url_path"|":path"/.test(JSON.stringify(found.table.filters)),
  },
  {
    name: 'attempts-none',
    why: 'A request that was never sent has 0 attempts; Envoy counts 1 as soon as there is a route',
    reference: 'Envoy, UPSTREAM_REQUEST_ATTEMPT_COUNT: 0 if the request was never attempted upstream',
    explains: ({ difference: { what, weft, envoy }, outcome }) =>
      what === 'log attempts' && weft === 'n=0' && envoy === 'n=1' && outcome.weft.received.length === 0,
  },
  {
    name: 'no-retries-wanted',
    why: 'URX says that a bound was reached; a policy of no retries has none',
    reference: 'docs/decisions/005-retries.md',
    explains: ({ difference: { what, weft, envoy }, outcome, table }) =>
      what === 'log flags' &&
      weft === '-' &&
      envoy === 'URX' &&
      outcome.weft.received.length === 1 &&
      JSON.stringify(table.virtualHosts).includes('"num_retries":0'),
  },
  {
    name: 'configured-casing',
    why: 'A field of the configuration goes out as it is written there; Envoy writes it in lower case',
    reference: 'RFC 9110 section 5.1: names have no case',
    explains: ({ difference: { what, weft, envoy }, table }) =>
      / casing$/.test(what) &&
      (JSON.stringify(table.virtualHosts).includes(`"key":"${weft}"`) ||
        JSON.stringify(table.virtualHosts).includes(`"key":"${envoy}"`)),
  },
  {
    name: 'empty-cookie',
    why: 'Weft passes an empty Cookie on; Envoy drops it when it joins the parts that HTTP/2 has cut it into',
    reference: 'RFC 9113 section 8.2.3',
    explains: ({ difference: { what, weft, envoy }, wires }) =>
      wires.down === 'h2' && what === 'received cookie' && weft === '' && envoy === ABSENT,
  },
  {
    name: 'direct-without-content',
    why: 'A direct response with a status that has no content has none; Envoy sends it, and takes 304 for a redirect',
    reference: 'RFC 9110 sections 15.3.5 and 15.4.5',
    explains: ({ difference: { what }, outcome, table }) =>
      [204, 304].includes(outcome.weft.response.status) &&
      outcome.weft.received.length === 0 &&
      (what === 'complete' || what === 'after' || what === 'response location' || what === 'response content-type') &&
      JSON.stringify(table.virtualHosts).includes('"direct_response"'),
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

/** Some route repeats requests, and does not say that it means all methods. */
const retriesUnasked = ({ virtualHosts }: Table): boolean =>
  virtualHosts.some(({ routes }) =>
    (Array.isArray(routes) ? routes : []).some((route) => {
      const text = JSON.stringify(route);
      return text.includes('"retry_policy"') && !text.includes('"retry_non_idempotent"');
    }),
  );

export const explanation = (found: Found): KnownDifference | undefined =>
  knownDifferences.find((known) => known.explains(found));
