import fc from 'fast-check';
import { formatSpiffeId, type TrustDomain } from '../identity/spiffe-id.ts';
import type { CidrRange, SocketAddress } from '../model/address.ts';
import type { Permission, Principal, Rbac } from '../model/authorization.ts';
import type { HeaderMatch, QueryParameterMatch, StringMatch } from '../model/match.ts';
import type { HeaderMutation, HeaderOption } from '../model/route.ts';
import type { CertificateRef, DownstreamTls, PeerValidation, PemSource, UpstreamTls } from '../model/tls.ts';
import type { ValueMatch } from '../model/value-match.ts';
import { canonicalIp } from './values.ts';

/** Any value of the parts that resources are made of, for property tests. */

export const text = fc.string({ unit: 'grapheme', maxLength: 12 });
export const name = fc.stringMatching(/^[a-z][a-z0-9/._-]{0,15}$/);
export const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
export const port = fc.integer({ min: 1, max: 65_535 });
export const ms = fc.integer({ min: 0, max: 10_000_000 });
export const positiveMs = fc.integer({ min: 1, max: 10_000_000 });
export const count = fc.integer({ min: 0, max: 4_294_967_295 });
export const percent = fc.double({ min: 0, max: 100, noNaN: true }).map((n) => n + 0);

export const ip = fc
  .oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('::', '0.0.0.0'))
  .map((address) => canonicalIp(address) ?? '::');
export const socketAddress: fc.Arbitrary<SocketAddress> = fc.record({ ip, port });
export const cidr: fc.Arbitrary<CidrRange> = fc.oneof(
  fc.record({ ip: fc.ipV4(), prefixBits: fc.integer({ min: 0, max: 32 }) }),
  fc.record({ ip: fc.constantFrom('fd00::', '::', '2001:db8::1'), prefixBits: fc.integer({ min: 0, max: 128 }) }),
);
export const spiffeId = fc.tuple(name, name).map(([namespace, serviceAccount]) =>
  formatSpiffeId({
    trustDomain: 'cluster.local' as TrustDomain,
    namespace: namespace.replaceAll('/', ''),
    serviceAccount: serviceAccount.replaceAll('/', ''),
  }),
);

export const pattern = fc.constantFrom('/api/.*', '[a-z]+', '(a|b)*c', 'v[0-9]+\\.x', '');
export const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const, 'contains' as const),
    value: text,
    ignoreCase: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('regex' as const), value: pattern }),
);
export const matchValue = fc.oneof(fc.constant({ kind: 'present' as const }), stringMatch);
export const headerMatch: fc.Arbitrary<HeaderMatch> = fc.record({
  name: fc.constantFrom(':path', ':method', 'x-user', 'content-type'),
  value: matchValue,
  invert: fc.boolean(),
});
export const queryMatch: fc.Arbitrary<QueryParameterMatch> = fc.record({ name, value: matchValue });

/** Octets that may stand in a field (RFC 9110 section 5.5). */
const fieldText = fc.string({
  unit: fc
    .oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff }))
    .map((c) => String.fromCharCode(c)),
  maxLength: 12,
});
export const headerValue = fc.record({
  name: name.map((any) => `x-${any.replaceAll('/', '')}`),
  value: fc.oneof(fieldText, fc.constantFrom('100%', '%REQ(x)%', '%%', '', 'tab\there')),
});
const fixedMutation: fc.Arbitrary<HeaderMutation> = fc.record({
  set: fc.array(headerValue, { maxLength: 2 }),
  add: fc.array(headerValue, { maxLength: 2 }),
  remove: fc.array(name, { maxLength: 2 }),
});
const option = (format: fc.Arbitrary<string>): fc.Arbitrary<HeaderOption> =>
  fc.record({
    name: name.map((any) => `x-${any.replaceAll('/', '')}`),
    format,
    action: fc.constantFrom('add' as const, 'set' as const, 'addIfAbsent' as const, 'setIfPresent' as const),
    keepsEmpty: fc.boolean(),
  });
const evaluated = fc.constantFrom('%REQ(X-A?:PATH):5%', 'a%%b %PROTOCOL%', '%START_TIME(%s)%', '%UPSTREAM_CLUSTER%');
const evaluatedMutation: fc.Arbitrary<HeaderMutation> = fc
  .tuple(
    option(evaluated),
    fc.array(option(fc.constantFrom('a', '100%%')), { maxLength: 2 }),
    fc.array(name, { maxLength: 2 }),
  )
  .map(([first, more, remove]) => ({ set: [], add: [], remove, options: [first, ...more] }));
export const mutation: fc.Arbitrary<HeaderMutation> = fc.oneof(
  { arbitrary: fixedMutation, weight: 4 },
  evaluatedMutation,
);
/** Of a filter that makes one change after the other; a filter does not know the cluster. */
export const mutationStep: fc.Arbitrary<HeaderMutation> = fc.oneof(
  name.map((one) => ({ set: [], add: [], remove: [`x-${one.replaceAll('/', '')}`] })),
  headerValue.map((one) => ({ set: [one], add: [], remove: [] })),
  headerValue.map((one) => ({ set: [], add: [one], remove: [] })),
  option(fc.constantFrom('%REQ(X-A)%', '%PROTOCOL%/%%')).map((one) => ({
    set: [],
    add: [],
    remove: [],
    options: [one],
  })),
);
/** Of a virtual host or a route configuration, where none is none. */
export const sharedMutations = fc.record(
  { requestHeaders: evaluatedMutation, responseHeaders: evaluatedMutation },
  { requiredKeys: [] },
);

const pem: fc.Arbitrary<PemSource> = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), path: name }),
  fc.record({ kind: fc.constant('pem' as const), pem: text }),
);
const inlineCertificate: fc.Arbitrary<CertificateRef> = fc.record({
  kind: fc.constant('inline' as const),
  certificateChain: pem,
  privateKey: pem,
});
const certificate: fc.Arbitrary<CertificateRef> = fc.oneof(
  fc.record({ kind: fc.constant('secret' as const), name }),
  inlineCertificate,
);
const pins = {
  certificates: ['ab'.repeat(32)],
  keys: [`${'A'.repeat(43)}=`],
};
const plainValidation: fc.Arbitrary<PeerValidation> = fc.record({
  trust: fc.oneof(
    fc.record({ kind: fc.constant('secret' as const), name }),
    fc.record({ kind: fc.constant('inline' as const), ca: pem }),
  ),
  subjectAltNames: fc.array(
    fc.record({
      type: fc.constantFrom('uri' as const, 'dns' as const, 'ip' as const, 'email' as const),
      match: fc.oneof(
        fc.record({ kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), value: text }),
        fc.record({ kind: fc.constant('regex' as const), value: pattern }),
      ),
    }),
    { maxLength: 2 },
  ),
});
const validation: fc.Arbitrary<PeerValidation> = fc
  .tuple(plainValidation, fc.boolean())
  .map(([plain, pinned]) => (pinned ? { ...plain, pins } : plain));
const parameters = fc.constantFrom(
  { versionMin: 'TLSv1.2' as const, versionMax: 'TLSv1.3' as const },
  { versionMin: 'TLSv1.3' as const, versionMax: 'TLSv1.3' as const },
  { versionMin: 'TLSv1.2' as const, versionMax: 'TLSv1.2' as const },
  {
    versionMin: 'TLSv1.2' as const,
    versionMax: 'TLSv1.3' as const,
    cipherSuites: ['ECDHE-ECDSA-AES128-GCM-SHA256'],
    ecdhCurves: ['X25519', 'P-256'],
  },
);
export const alpn = fc.array(fc.constantFrom('h2', 'http/1.1', 'weft-h2'), { maxLength: 3 });
export const downstreamTls: fc.Arbitrary<DownstreamTls> = fc
  .record({
    certificate,
    validation: optional(validation),
    requireClientCertificate: fc.boolean(),
    alpn,
    parameters,
  })
  .map((tls) => ({ ...tls, requireClientCertificate: tls.requireClientCertificate && tls.validation !== undefined }))
  .chain((tls) =>
    fc
      .record(
        {
          moreCertificates: fc.array(inlineCertificate, { minLength: 1, maxLength: 2 }),
          sessionTickets: fc.constant(false as const),
        },
        { requiredKeys: [] },
      )
      .map(({ moreCertificates, ...more }) => ({
        ...tls,
        ...more,
        ...(moreCertificates === undefined || tls.certificate.kind === 'secret' ? {} : { moreCertificates }),
      })),
  );
export const upstreamTls: fc.Arbitrary<UpstreamTls> = fc.record({
  certificate: optional(certificate),
  validation: optional(validation),
  alpn,
  sni: name,
  parameters,
});

const { permission } = fc.letrec<{ permission: Permission }>((tie) => ({
  permission: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    fc.constant({ kind: 'any' as const }),
    fc.record({ kind: fc.constant('header' as const), match: headerMatch }),
    fc.record({ kind: fc.constant('path' as const), match: stringMatch }),
    fc.record({ kind: fc.constant('destinationPort' as const), port }),
    fc.record({ kind: fc.constant('destinationIp' as const), range: cidr }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      rules: fc.array(tie('permission'), { minLength: 1, maxLength: 2 }),
    }),
    fc.record({ kind: fc.constant('not' as const), rule: tie('permission') }),
  ),
}));
const { valueMatch } = fc.letrec<{ valueMatch: ValueMatch }>((tie) => ({
  valueMatch: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    fc.constant({ kind: 'present' as const }),
    fc.record({ kind: fc.constant('string' as const), match: stringMatch }),
    fc.record({ kind: fc.constant('number' as const), value: fc.double({ noNaN: true }).map((n) => n + 0) }),
    fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean() }),
    fc.record({ kind: fc.constant('element' as const), match: tie('valueMatch') }),
    fc.record({
      kind: fc.constant('or' as const),
      matches: fc.array(tie('valueMatch'), { minLength: 2, maxLength: 3 }),
    }),
  ),
}));
const { principal } = fc.letrec<{ principal: Principal }>((tie) => ({
  principal: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    fc.constant({ kind: 'any' as const }),
    fc.record({ kind: fc.constant('authenticated' as const), match: optional(stringMatch) }),
    fc.record({ kind: fc.constantFrom('sourceIp' as const, 'clientIp' as const), range: cidr }),
    fc.record({
      kind: fc.constant('claim' as const),
      path: fc.array(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 3 }),
      value: valueMatch,
    }),
    fc.record({ kind: fc.constant('header' as const), match: headerMatch }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      ids: fc.array(tie('principal'), { minLength: 1, maxLength: 2 }),
    }),
    fc.record({ kind: fc.constant('not' as const), id: tie('principal') }),
  ),
}));
export const rbac: fc.Arbitrary<Rbac> = fc.record({
  action: fc.constantFrom('allow' as const, 'deny' as const, 'log' as const),
  policies: fc
    .uniqueArray(
      fc.record({
        name,
        permissions: fc.array(permission, { minLength: 1, maxLength: 2 }),
        principals: fc.array(principal, { minLength: 1, maxLength: 2 }),
      }),
      { maxLength: 2, selector: (policy) => policy.name },
    )
    .map((policies) => policies.sort((a, b) => (a.name < b.name ? -1 : 1))),
});
