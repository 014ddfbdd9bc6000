import fc from 'fast-check';
import type { ForwardAction, Route, RouteConfiguration } from '../model/route.ts';
import { hashKey } from './arbitrary-balancing.testing.ts';
import { hedgePolicy, retryPolicy } from './arbitrary-retries.testing.ts';
import { mirrorDiff, mirrors, routeFilters, share } from './arbitrary-route-filters.testing.ts';
import {
  headerMatch,
  ms,
  mutation,
  name,
  optional,
  pattern,
  port,
  queryMatch,
  sharedMutations,
  text,
} from './arbitrary-values.testing.ts';

const uriText = fc.string({ unit: 'grapheme-ascii', maxLength: 12 }).map((t) => t.replaceAll(/[ #]/g, ''));
const rewrite = fc.record({
  kind: fc.constantFrom('prefix' as const, 'full' as const),
  value: uriText.map((t) => `/${t}`),
});
const forward: fc.Arbitrary<ForwardAction> = fc
  .record({
    kind: fc.constant('forward' as const),
    clusters: fc
      .array(
        fc.record({
          name: fc.oneof(fc.constant(''), name),
          weight: fc.integer({ min: 0, max: 1000 }),
          requestHeaders: mutation,
          responseHeaders: mutation,
        }),
        { minLength: 1, maxLength: 3 },
      )
      .filter((clusters) => clusters.some(({ weight }) => weight > 0)),
    timeoutMs: ms,
    idleTimeoutMs: ms,
    retry: optional(retryPolicy),
    hostRewrite: optional(name),
    pathRewrite: optional(rewrite),
    more: fc.record(
      {
        hostFrom: fc.constantFrom({ hostRewriteHeader: 'x-host' }, { hostRewriteAuto: true as const }),
        appendForwardedHost: fc.constant(true as const),
        idleTimeoutOff: fc.constant(true as const),
        pathReplacement: fc.record({
          pattern: fc.constantFrom('^/a/(.*)$', '/+'),
          substitution: fc.constantFrom('/', '/b\\\\\\0'),
        }),
        streamDurationMsMax: ms,
        grpcTimeout: fc.oneof(
          fc.record({ grpcTimeoutMsMax: ms }),
          fc.record({ grpcTimeoutInsteadMs: ms }),
          fc.record({ grpcTimeoutMsMax: ms, grpcTimeoutOffsetMs: ms }),
        ),
        mirrors,
        mirrorDiff,
        hedge: hedgePolicy,
        hashKeys: fc.array(hashKey, { minLength: 1, maxLength: 3 }),
      },
      { requiredKeys: [] },
    ),
  })
  // One of the two says the host.
  .map(({ more: { grpcTimeout, hostFrom, ...more }, ...all }) => ({
    ...all,
    ...more,
    ...grpcTimeout,
    ...hostFrom,
    idleTimeoutMs: 'idleTimeoutOff' in more ? 0 : all.idleTimeoutMs,
    pathRewrite: 'pathReplacement' in more ? undefined : all.pathRewrite,
    hostRewrite: hostFrom === undefined ? all.hostRewrite : undefined,
  }));

const plainRoute: fc.Arbitrary<Route> = fc.record({
  name: text,
  match: fc.record(
    {
      path: fc.oneof(
        fc.record({ kind: fc.constantFrom('prefix' as const, 'exact' as const), value: text.map((t) => `/${t}`) }),
        fc.record({ kind: fc.constant('pathSeparatedPrefix' as const), value: name.map((n) => `/${n}x`) }),
        fc.record({ kind: fc.constant('connect' as const), value: fc.constant('') }),
        fc.record({ kind: fc.constant('regex' as const), value: pattern }),
      ),
      caseSensitive: fc.boolean(),
      headers: fc.array(headerMatch, { maxLength: 2 }),
      queryParameters: fc.array(queryMatch, { maxLength: 2 }),
      share,
    },
    { requiredKeys: ['path', 'caseSensitive', 'headers', 'queryParameters'] },
  ),
  action: fc.oneof(
    forward,
    fc.record({
      kind: fc.constant('redirect' as const),
      status: fc.constantFrom(301 as const, 302 as const, 303 as const, 307 as const, 308 as const),
      scheme: optional(fc.constantFrom('http', 'https')),
      host: optional(name),
      port: optional(port),
      path: optional(rewrite),
    }),
    fc.record({
      kind: fc.constant('direct' as const),
      status: fc.integer({ min: 200, max: 599 }),
      body: text,
    }),
  ),
  requestHeaders: mutation,
  responseHeaders: mutation,
});

const route: fc.Arbitrary<Route> = fc
  .tuple(plainRoute, routeFilters)
  .map(([one, filters]) => (filters.length === 0 ? one : { ...one, filters }));

const attemptCount = fc.constantFrom(
  undefined,
  { inRequest: true, inResponse: false },
  { inRequest: false, inResponse: true },
  { inRequest: true, inResponse: true },
);
export const routeConfiguration: fc.Arbitrary<RouteConfiguration> = fc
  .record({
    name,
    shared: sharedMutations,
    mostSpecific: fc.constantFrom({}, { mostSpecificHeadersWin: true as const }),
    hosts: fc.uniqueArray(fc.tuple(name, fc.array(route, { maxLength: 3 }), attemptCount, sharedMutations), {
      maxLength: 2,
      selector: ([n]) => n,
    }),
  })
  .map(({ name, shared, mostSpecific, hosts }) => ({
    name,
    ...shared,
    ...mostSpecific,
    virtualHosts: hosts.map(([host, routes, counted, changes]) => ({
      name: host,
      domains: [host, `*.${host}`],
      routes,
      ...changes,
      ...(counted === undefined ? {} : { attemptCount: counted }),
    })),
  }));
