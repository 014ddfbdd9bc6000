import type { JsonObject } from '@bufbuild/protobuf';
import type { StrictnessCase } from './strictness-cases.testing.ts';
import { chain, empty, listener, manager, router, type } from './strictness-samples.testing.ts';

const provider: JsonObject = {
  issuer: 'a',
  local_jwks: { inline_string: '{"keys":[]}' },
  from_headers: [{ name: 'x' }],
  payload_in_metadata: 'jwt',
  require_expiration: true,
};
const rule: JsonObject = { match: { prefix: '/' }, requires: { provider_name: 'a' } };

const withFilter = (fields: JsonObject): JsonObject =>
  listener(
    manager({
      http_filters: [
        {
          name: 'jwt',
          typed_config: {
            ...type('filters.http.jwt_authn.v3.JwtAuthentication'),
            providers: { a: provider },
            rules: [rule],
            ...fields,
          },
        },
        router,
      ],
    }),
  );
const withProvider = (change: JsonObject): JsonObject => withFilter({ providers: { a: { ...provider, ...change } } });
const without = (field: string): JsonObject =>
  withFilter({ providers: { a: Object.fromEntries(Object.entries(provider).filter(([name]) => name !== field)) } });

const here = `${chain}.http_filters[0].typed_config`;
const there = `${here}.providers["a"]`;

/** Of the filter that checks tokens: what would let more in than was meant is refused, not passed over. */
export const strictnessJwtCases: readonly StrictnessCase[] = (
  [
    ['keys from the network', { ...without('local_jwks') }, `${there}.local_jwks.inline_string`],
    ['keys from a file', withProvider({ local_jwks: { filename: '/a' } }), `${there}.local_jwks.inline_string`],
    ['no issuer', without('issuer'), `${there}.issuer`],
    ['places of its own choice', without('from_headers'), `${there}.from_headers`],
    ['tokens that never expire', without('require_expiration'), `${there}.require_expiration`],
    ['claims elsewhere', withProvider({ payload_in_metadata: 'b' }), `${there}.payload_in_metadata`],
    ['a header with the payload', withProvider({ forward_payload_header: 'x' }), `${there}.forward_payload_header`],
    [
      'two issuers of one name',
      withFilter({
        providers: { a: provider, b: provider },
        rules: [
          { ...rule, requires: { requires_any: { requirements: [{ provider_name: 'a' }, { provider_name: 'b' }] } } },
        ],
      }),
      `${here}.providers`,
    ],
    ['no rule', withFilter({ rules: [] }), `${here}.rules`],
    [
      'a rule for some requests',
      withFilter({ rules: [{ ...rule, match: { prefix: '/a' } }] }),
      `${here}.rules[0].match`,
    ],
    [
      'a provider that nobody asks for',
      withFilter({ rules: [{ ...rule, requires: { allow_missing: {} } }] }),
      `${here}.rules[0].requires`,
    ],
    [
      'a provider that is not there',
      withFilter({
        rules: [
          { ...rule, requires: { requires_any: { requirements: [{ provider_name: 'a' }, { provider_name: 'b' }] } } },
        ],
      }),
      `${here}.rules[0].requires`,
    ],
    [
      'bad tokens that pass',
      withFilter({
        rules: [
          {
            ...rule,
            requires: { requires_any: { requirements: [{ provider_name: 'a' }, { allow_missing_or_failed: empty }] } },
          },
        ],
      }),
      `${here}.rules[0].requires.requires_any.requirements[1].allow_missing_or_failed`,
    ],
    ['preflights that pass', withFilter({ bypass_cors_preflight: true }), `${here}.bypass_cors_preflight`],
  ] as const
).map(([what, json, path]): StrictnessCase => [`tokens: ${what}`, 'listener', json, path]);
