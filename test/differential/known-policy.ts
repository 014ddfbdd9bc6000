/** Known differences in routes, retries, rules, and what is logged of them. */
import type { ClientRequest, Table } from './case.ts';
import { ABSENT } from './compare.ts';
import {
  header,
  IDEMPOTENT,
  isStatus,
  type KnownDifference,
  pathOf,
  rewrites,
  upperEscapes,
  weftAnswers,
  withoutPort,
  withoutSlashes,
} from './known-difference.ts';

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

/** Some route repeats requests, and does not say that it means all methods. */
const retriesUnasked = ({ virtualHosts }: Table): boolean =>
  virtualHosts.some(({ routes }) =>
    (Array.isArray(routes) ? routes : []).some((route) => {
      const text = JSON.stringify(route);
      return text.includes('"retry_policy"') && !text.includes('"retry_non_idempotent"');
    }),
  );

export const knownOfPolicy: readonly KnownDifference[] = [
  {
    name: 'host-port',
    why: 'A domain without a port takes a Host with any port; Envoy compares the port as part of the name',
    reference: 'Gateway API, HTTPRouteSpec.hostnames: any port in the Host header is ignored',
    explains: ({ one, table }) => portMatters(table, one.request),
  },
  {
    name: 'redirect-port',
    why: 'A redirect names the port of the listener or none where it is that of the scheme; Envoy keeps that of Host or writes it',
    reference: 'Gateway API, HTTPRequestRedirectFilter.port',
    explains: ({ difference: { what, weft, envoy } }) =>
      what === 'response location' && upperEscapes(withoutPort(envoy)) === withoutPort(weft),
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
    name: 'scheme-claimed',
    why: 'The scheme of a redirect is that of the connection; Envoy believes X-Forwarded-Proto',
    reference: 'RFC 9110 section 7.1: the target is reconstructed from the connection',
    explains: (found) => {
      const { what, weft, envoy } = found.difference;
      if (what !== 'response location' || !/https/i.test(header(found.one, 'x-forwarded-proto'))) return false;
      const [ours, theirs] = [withoutPort(weft).replace('http:', 'https:'), withoutPort(upperEscapes(envoy))];
      // A prefix may have been replaced in the same redirect.
      return (
        ours === theirs || (rewrites(found, /"prefix_rewrite"/) && withoutSlashes(ours) === withoutSlashes(theirs))
      );
    },
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
    name: 'retry-after-interim',
    why: 'An interim response does not end the possibility of a retry; Envoy gives its policy up',
    reference: 'RFC 9110 section 15.2: interim responses come before the final one',
    explains: ({ difference: { what, weft }, one, outcome }) =>
      (what === 'status' || what === 'log attempts' || what === 'log flags') &&
      (one.answer.interim.length > 0 || /100-continue/i.test(header(one, 'expect'))) &&
      (outcome.weft.received.length > outcome.envoy.received.length || (what === 'log flags' && weft === 'URX')),
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
    name: 'retry-unsent-body',
    why: 'A connection that was never made is retried whatever the size of the body: nothing of it was sent, and all of it is there. Envoy gives its policy up when more has come than the route lets it hold',
    reference:
      'RFC 9110 section 9.2.2: the client knows that the request was not applied; docs/decisions/005-retries.md',
    explains: ({ difference: { what, weft, envoy }, outcome, table }) =>
      ((what === 'log attempts' && weft !== 'n=1' && envoy === 'n=1') ||
        (what === 'log flags' && weft === 'URX' && envoy === 'UF')) &&
      outcome.weft.received.length === 0 &&
      outcome.envoy.received.length === 0 &&
      JSON.stringify(table.virtualHosts).includes('"per_request_buffer_limit_bytes"'),
  },
  {
    name: 'rest-of-failed-response',
    why: 'The short rest of a response that is not forwarded is read, and its connection shared with the retry; Envoy resets the stream',
    reference: 'RFC 9113 section 10.5: servers may take resets for an attack',
    explains: ({ difference: { what }, one, wires, outcome }) =>
      (what === 'status' || what === 'log attempts') &&
      wires.up === 'h2' &&
      one.answer.failures > 0 &&
      (one.answer.failure?.where === 'after-head' || one.answer.failure?.where === 'mid-body') &&
      one.answer.failure.how !== 'reset' &&
      outcome.weft.received.length !== outcome.envoy.received.length,
  },
  {
    name: 'query-form',
    why: 'Where a route asks for a query parameter, plus and percent escapes are decoded; Envoy compares them as they are',
    reference: 'WHATWG URL, application/x-www-form-urlencoded parsing; sidecar/route/query.ts',
    // Another route may be taken, and then anything differs.
    explains: ({ one, table }) =>
      /\?.*(?:\+|%[0-9a-f]{2})/i.test(one.request.target) &&
      JSON.stringify(table.virtualHosts).includes('"query_parameters"'),
  },
  {
    name: 'one-flag',
    why: 'A request has one flag, that of its last error, or URX for what was not repeated any more; Envoy writes all of them',
    reference: 'sidecar/http/errors.ts: the reason why an exchange ended',
    explains: ({ difference: { what, weft, envoy } }) => {
      const flags = envoy.split(',');
      // Of a bound of the cluster, Envoy says UO for the retry that was not made.
      return (
        what === 'log flags' && ((flags.length > 1 && flags.includes(weft)) || (weft === 'URX' && flags.includes('UO')))
      );
    },
  },
  {
    name: 'rbac-flag',
    why: 'What a rule refuses has the flag UAEX; Envoy writes none',
    reference: 'docs/decisions: refused by authorization is UAEX for operators',
    explains: ({ difference: { what, weft, envoy }, outcome }) =>
      what === 'log flags' && weft === 'UAEX' && envoy === '-' && outcome.weft.response.status === 403,
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
    name: 'path-ambiguous',
    why: 'Where a rule about paths has to be decided, Weft refuses what the application may read as another path: encoded twice or with encoded slashes, empty segments, parameters, a last slash',
    reference: 'RFC 3986 sections 3.3 and 6.2.2; docs/decisions/020-authorization.md',
    explains: (found) =>
      isStatus(found) &&
      weftAnswers(found, 403) &&
      // As it came, and with its dot segments resolved.
      [found.one.request, ...found.outcome.envoy.received].some(({ target }) =>
        // A last segment of dots leaves a slash when it is resolved.
        /%2f|%5c|%25|%[89a-f]|\/\/|;|.\/(?:\.|%2e){0,2}$/i.test(pathOf(target)),
      ) &&
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
];
