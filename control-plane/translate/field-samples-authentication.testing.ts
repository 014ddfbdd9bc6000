import type { KeySets } from './context.ts';
import type { KindSamples } from './field-samples.testing.ts';

const inline = (kid: string): string => JSON.stringify({ keys: [{ kty: 'OKP', crv: 'Ed25519', kid, x: 'AA' }] });
const issuer = (fields: object): object => ({
  jwt: [{ issuer: 'https://a.example', jwks: { inline: inline('a') }, ...fields }],
});
const from = (...places: readonly object[]) => ({ specs: places.map((one) => issuer({ from: [one] })) });
const claims = (...all: readonly object[]) => ({ specs: all.map((one) => issuer({ claimsToHeaders: [one] })) });

/** Every address has keys of its own. */
export const fieldKeySets: KeySets = { get: inline, problem: () => undefined };

export const authenticationSamples: KindSamples = {
  template: issuer({}),
  fields: {
    'selector.matchLabels{}': { values: ['cart', 'other'] },
    'mtls.mode': {},
    'ports[].port': { specs: [8080, 9090].map((port) => ({ ports: [{ port, mode: 'STRICT' }] })) },
    'ports[].mode': {
      specs: ['STRICT', 'PERMISSIVE', 'DISABLED'].map((mode) => ({ ports: [{ port: 8080, mode }] })),
    },
    'jwt[].issuer': { values: ['https://a.example', 'https://b.example'] },
    'jwt[].audiences[]': { values: ['a', 'b'] },
    'jwt[].jwks.uri': {
      specs: ['https://a.example/keys', 'http://keys.auth.svc/keys'].map((uri) => issuer({ jwks: { uri } })),
    },
    'jwt[].jwks.inline': { values: [inline('a'), inline('b')] },
    'jwt[].from[].header': from({ header: 'x-one' }, { header: 'X-Two' }),
    'jwt[].from[].prefix': from({ header: 'x' }, { header: 'x', prefix: 'Bearer ' }),
    'jwt[].from[].query': from({ query: 'a' }, { query: 'b' }),
    'jwt[].from[].cookie': from({ cookie: 'a' }, { cookie: 'b' }),
    'jwt[].claimsToHeaders[].header': claims({ header: 'x-a', claim: 'sub' }, { header: 'x-b', claim: 'sub' }),
    'jwt[].claimsToHeaders[].claim': claims({ header: 'x-a', claim: 'sub' }, { header: 'x-a', claim: 'realm.roles' }),
    'jwt[].clockSkew': { values: ['1s', '1500ms', '5m'] },
  },
};
