import type { Case, ClientRequest, Outcome, Table, Wires } from './case.ts';
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

/** What counts as the host: an absolute target takes the place of Host (RFC 9112 section 3.2.2). */
function authorityOf({ defect, authority }: ClientRequest): string {
  if (defect === 'target-absolute') return 'shop.example';
  return defect === 'target-absolute-other' ? 'inner.example:8080' : authority;
}

/** Whether a domain takes the host only if the port is left out. */
function portMatters(table: Table, request: ClientRequest): boolean {
  const authority = authorityOf(request).toLowerCase();
  const host = authority.replace(/:\d+$/, '');
  if (host === authority) return false;
  const domains = table.virtualHosts.flatMap((one) =>
    Array.isArray(one['domains']) ? one['domains'].map(String) : [],
  );
  return (
    !domains.includes(authority) &&
    domains.some((domain) => domain === host || (domain.startsWith('*.') && host.endsWith(domain.slice(1))))
  );
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    name: 'host-port',
    why: 'A domain without a port takes a Host with any port; Envoy compares the port as part of the name',
    reference: 'Gateway API, HTTPRouteSpec.hostnames: any port in the Host header is ignored',
    explains: ({ one, table }) => portMatters(table, one.request),
  },
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
    name: 'scheme-claimed',
    why: 'The scheme of a redirect is that of the connection; Envoy believes X-Forwarded-Proto',
    reference: 'RFC 9110 section 7.1: the target is reconstructed from the connection',
    explains: ({ difference: { what, weft, envoy }, one }) =>
      what === 'response location' &&
      /https/i.test(header(one, 'x-forwarded-proto')) &&
      withoutPort(weft).replace('http:', 'https:') === withoutPort(upperEscapes(envoy)),
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
    explains: (found) => expects(found) && ['received expect', 'interim'].includes(found.difference.what),
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
    name: 'retry-after-interim',
    why: 'An interim response does not end the possibility of a retry; Envoy gives its policy up',
    reference: 'RFC 9110 section 15.2: interim responses come before the final one',
    explains: ({ difference: { what }, one, outcome }) =>
      (what === 'status' || what === 'log attempts' || what === 'log flags') &&
      (one.answer.interim.length > 0 || /100-continue/i.test(header(one, 'expect'))) &&
      outcome.weft.received.length > outcome.envoy.received.length,
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
    name: 'retry-large-body',
    why: 'A body of more than 64 KiB is not held for a retry; Envoy holds 1 MiB',
    reference: 'docs/decisions/005-retries.md',
    explains: ({ difference: { what }, one, outcome }) =>
      what === 'status' &&
      one.request.body.chunks.join('').length > 65_536 &&
      outcome.weft.received.length === 1 &&
      outcome.envoy.received.length > 1,
  },
  {
    name: 'one-flag',
    why: 'A request has one flag, that of its last error or URX for what was not repeated any more; Envoy writes both',
    reference: 'sidecar/http/errors.ts: the reason why an exchange ended',
    explains: ({ difference: { what, weft, envoy } }) =>
      what === 'log flags' && envoy.split(',').includes('URX') && envoy.split(',').includes(weft),
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
    why: 'Weft passes every Cookie on; Envoy drops all if one of the parts that HTTP/2 has cut them into is empty',
    reference: 'RFC 9113 section 8.2.3',
    explains: ({ difference: { what, weft, envoy }, wires, one }) =>
      wires.down === 'h2' &&
      what === 'received cookie' &&
      weft !== ABSENT &&
      envoy === ABSENT &&
      one.request.fields.some(([name, value]) => name.toLowerCase() === 'cookie' && value === ''),
  },
  {
    name: 'direct-without-content',
    why: 'A direct response with a status that has no content has none; Envoy sends it, and takes 304 for a redirect',
    reference: 'RFC 9110 sections 15.3.5 and 15.4.5',
    explains: ({ difference: { what }, outcome, table }) =>
      [204, 304].includes(outcome.weft.response.status) &&
      outcome.weft.received.length === 0 &&
      ['complete', 'after', 'response location', 'response content-type', 'status'].includes(what) &&
      (what !== 'status' || outcome.envoy.response.status === 0) &&
      JSON.stringify(table.virtualHosts).includes('"direct_response"'),
  },
  {
    name: 'rbac-before-route',
    why: 'Rules are asked before a route is looked for, so that what they refuse has nothing of it, in log or response',
    reference: 'docs/architecture.md, A request, outbound: authorization, then route',
    explains: ({ difference: { what, weft }, outcome, table }) =>
      outcome.weft.response.status === 403 &&
      outcome.weft.received.length === 0 &&
      (((what === 'log route' || what === 'log cluster') && weft === '-') ||
        (what.startsWith('response ') &&
          weft === ABSENT &&
          JSON.stringify(table.virtualHosts)
            .toLowerCase()
            .includes(`"key":"${what.slice('response '.length)}"`))),
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
