import fc from 'fast-check';
import type { ExtAuthz } from '../model/ext-authz.ts';
import { name, optional, stringMatch } from './arbitrary-values.testing.ts';

const matches = fc.array(stringMatch, { maxLength: 2 });
const headers = fc.array(
  fc.record({ name: fc.constantFrom('x-one', 'X-Two'), value: fc.constantFrom('a', '100%', 'b c') }),
  { maxLength: 2 },
);
const grpc = fc.record({
  kind: fc.constant('grpc' as const),
  cluster: name,
  authority: fc.constantFrom('', 'authz.example:80'),
  metadata: headers,
});
const http = fc.record({
  kind: fc.constant('http' as const),
  cluster: name,
  uri: fc.constantFrom('', 'http://authz:80'),
  pathPrefix: fc.constantFrom('', '/check'),
  headersToAdd: headers,
  upstreamHeaders: matches,
  upstreamHeadersToAppend: matches,
  clientHeaders: optional(matches),
  clientHeadersOnSuccess: matches,
});

export const extAuthz: fc.Arbitrary<ExtAuthz> = fc.record({
  service: fc.oneof(grpc, http),
  timeoutMs: fc.integer({ min: 1, max: 60_000 }),
  failureAllowed: fc.boolean(),
  tellsFailure: fc.boolean(),
  errorStatus: fc.constantFrom(403, 503),
  body: optional(
    fc.record({ bytesMax: fc.integer({ min: 1, max: 1_048_576 }), partial: fc.boolean(), raw: fc.boolean() }),
  ),
  allowedHeaders: optional(matches),
  disallowedHeaders: matches,
  validatesMutations: fc.boolean(),
  enabledBy: optional(
    fc.record({
      prefix: name,
      value: fc.oneof(fc.constant({ kind: 'present' as const }), stringMatch),
    }),
  ),
  statPrefix: name,
});
