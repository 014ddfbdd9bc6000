import fc from 'fast-check';
import type { CorsPolicy } from '../model/cors.ts';
import type { HttpFault, TcpFault } from '../model/fault.ts';
import type { Fraction } from '../model/fraction.ts';
import type { HttpFilter } from '../model/listener.ts';
import type { Mirror, MirrorDiff } from '../model/mirror.ts';
import type { RouteFilter } from '../model/route-filter.ts';
import type { SessionPersistence } from '../model/session.ts';
import { localRateLimit } from './arbitrary-overload.testing.ts';
import { count, headerMatch, ms, name, positiveMs, stringMatch } from './arbitrary-values.testing.ts';

/** Any faults, mirrors, CORS policies and sessions that the wire can carry. */

export const share: fc.Arbitrary<Fraction> = fc.record({
  numerator: count,
  denominator: fc.constantFrom(100 as const, 10_000 as const, 1_000_000 as const),
});
const kibPerSecond = fc.integer({ min: 1, max: 4_194_304 });
const rate = fc.record({ kibPerSecond, share });

const cors: fc.Arbitrary<CorsPolicy> = fc.record({
  allowOrigins: fc.array(stringMatch, { maxLength: 2 }),
  allowMethods: fc.constantFrom('', '*', 'GET, POST'),
  allowHeaders: fc.constantFrom('', '*', 'x-a, x-b'),
  exposeHeaders: fc.constantFrom('', 'x-c'),
  maxAge: fc.constantFrom('', '5'),
  allowCredentials: fc.boolean(),
  forwardsUnmatched: fc.boolean(),
  enabled: share,
});

const header = fc.constant('header' as const);
const envoyFault = {
  delay: fc.record({ delayMs: fc.oneof(positiveMs, header), share }),
  abort: fc.record({
    status: fc.oneof(
      fc.record({ kind: fc.constant('http' as const), code: fc.integer({ min: 200, max: 599 }) }),
      fc.record({ kind: fc.constant('grpc' as const), code: count }),
      fc.record({ kind: header }),
    ),
    share,
  }),
  responseRate: fc.record({ kibPerSecond: fc.oneof(kibPerSecond, header), share }),
  activeMax: count,
};
const matched = <T extends object>(faults: fc.Arbitrary<T>) =>
  fc.tuple(fc.array(headerMatch, { maxLength: 2 }), faults).map(([headers, all]) => ({ headers, ...all }));
const routeFault: fc.Arbitrary<HttpFault> = matched(
  fc.record({ ...envoyFault, reset: fc.record({ share }), requestRate: rate }, { requiredKeys: [] }),
);

export const tcpFault: fc.Arbitrary<TcpFault> = fc.record(
  {
    delay: fc.record({ delayMs: positiveMs, share }),
    reset: fc.record({ share }),
    requestRate: rate,
    responseRate: rate,
    activeMax: count,
  },
  { requiredKeys: [] },
);

const fieldName = name.map((any) => `x-${any.replaceAll('/', '')}`);
const session = (timeoutMs: fc.Arbitrary<number>): fc.Arbitrary<SessionPersistence> =>
  fc.oneof(
    fc.record({
      kind: fc.constant('cookie' as const),
      name: fieldName,
      path: fc.constantFrom('', '/', '/shop'),
      ttlMs: fc.integer({ min: 0, max: 399_996 * 3600 }).map((seconds) => seconds * 1000),
      timeoutMs,
      strict: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('header' as const), name: fieldName, timeoutMs, strict: fc.boolean() }),
  );

const maybe = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined });

/** In the order of their names, as they are read. */
export const routeFilters: fc.Arbitrary<readonly RouteFilter[]> = fc
  .uniqueArray(
    fc.oneof(
      fc.record({ kind: fc.constant('cors' as const), name, cors }),
      fc.record({ kind: fc.constant('fault' as const), name, fault: routeFault }),
      fc.record({ kind: fc.constant('localRateLimit' as const), name, limit: localRateLimit }),
      fc.record({ kind: fc.constant('session' as const), name, session: maybe(session(ms)) }),
    ),
    { selector: (one) => one.name, maxLength: 3 },
  )
  .map((all) => all.sort((a, b) => (a.name < b.name ? -1 : 1)));

export const trafficFilter: fc.Arbitrary<HttpFilter> = fc.oneof(
  fc.record({ kind: fc.constant('cors' as const), name }),
  fc.record({
    kind: fc.constant('fault' as const),
    name,
    fault: matched(fc.record(envoyFault, { requiredKeys: [] })),
  }),
  fc.record({ kind: fc.constant('session' as const), name, session: maybe(session(fc.constant(0))) }),
);

export const mirrors: fc.Arbitrary<readonly Mirror[]> = fc.array(
  fc.record({ cluster: name, share, keepsHost: fc.boolean() }),
  { minLength: 1, maxLength: 3 },
);
export const mirrorDiff: fc.Arbitrary<MirrorDiff> = fc.record({
  headers: fc.array(fieldName, { maxLength: 2 }),
  ignoresBody: fc.boolean(),
  bodyBytesMax: fc.integer({ min: 0, max: 16_777_216 }),
});
