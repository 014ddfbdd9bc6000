/** Samples of AuthenticationPolicy. */
import { right, type Sample, wrong } from './corpus.testing.ts';

const kind = 'AuthenticationPolicy';
const keys = '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}';
const jwt = (fields: object) => ({ jwt: [{ issuer: 'https://id.example', jwks: { inline: keys }, ...fields }] });

export const authenticationSamples: readonly Sample[] = [
  right(kind, 'strict', { mtls: { mode: 'STRICT' } }),
  right(kind, 'everything', {
    selector: { matchLabels: { app: 'cart' } },
    mtls: { mode: 'PERMISSIVE' },
    ports: [
      { port: 8080, mode: 'STRICT' },
      { port: 9090, mode: 'DISABLED' },
    ],
    jwt: [
      {
        issuer: 'https://id.example',
        audiences: ['shop', 'desk'],
        jwks: { uri: 'https://id.example/keys?v=1' },
        from: [
          { header: 'Authorization', prefix: 'Bearer ' },
          { header: 'X-Token' },
          { query: 'access_token' },
          { cookie: 'session' },
        ],
        forward: true,
        claimsToHeaders: [
          { header: 'X-User', claim: 'sub' },
          { header: 'X-Roles', claim: 'realm_access.roles' },
        ],
        clockSkew: '10s',
      },
      { issuer: 'inside', jwks: { uri: 'http://keys.auth.svc.cluster.local:8080/jwks' } },
      { issuer: 'inline', jwks: { inline: keys } },
    ],
  }),
  wrong(kind, 'nothing', {}, 'spec', 'does nothing'),
  wrong(kind, 'an unknown mode', { mtls: { mode: 'UNSET' } }, 'spec.mtls.mode', 'STRICT'),
  wrong(
    kind,
    'one port twice',
    {
      ports: [
        { port: 1, mode: 'STRICT' },
        { port: 1, mode: 'DISABLED' },
      ],
    },
    'spec.ports[1].port',
    'repeats 1',
  ),
  wrong(kind, 'no keys', jwt({ jwks: {} }), 'spec.jwt[0].jwks', 'exactly one of uri and inline'),
  wrong(
    kind,
    'keys twice',
    jwt({ jwks: { inline: keys, uri: 'https://a.example' } }),
    'spec.jwt[0].jwks',
    'exactly one of uri and inline',
  ),
  wrong(kind, 'keys in the clear', jwt({ jwks: { uri: 'http://id.example/' } }), 'spec.jwt[0].jwks.uri', 'https URL'),
  wrong(kind, 'keys in a file', jwt({ jwks: { uri: 'file:///etc/passwd' } }), 'spec.jwt[0].jwks.uri', 'https URL'),
  wrong(
    kind,
    'keys with a password',
    jwt({ jwks: { uri: 'https://user:pw@id.example/' } }),
    'spec.jwt[0].jwks.uri',
    'https URL',
  ),
  wrong(kind, 'keys that are none', jwt({ jwks: { inline: '[]' } }), 'spec.jwt[0].jwks.inline', 'JSON Web Key Set'),
  wrong(kind, 'a place that is none', jwt({ from: [{}] }), 'spec.jwt[0].from[0]', 'exactly one of header, query'),
  wrong(
    kind,
    'a prefix of a cookie',
    jwt({ from: [{ cookie: 'a', prefix: 'b' }] }),
    'spec.jwt[0].from[0].prefix',
    'a prefix is of a header',
  ),
  wrong(
    kind,
    'a claim as the host',
    jwt({ claimsToHeaders: [{ header: 'Host', claim: 'sub' }] }),
    'spec.jwt[0].claimsToHeaders[0].header',
    'meaning of its own',
  ),
  wrong(kind, 'clocks far apart', jwt({ clockSkew: '1h' }), 'spec.jwt[0].clockSkew', 'between 1s and 5m'),
];
