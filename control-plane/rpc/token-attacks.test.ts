/** Tokens that nobody issued, and an API server whose answers are odd: over real gRPC, judged by TokenReview. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '@weft/policies/kit/clock';
import { TokenReviewVerifier } from '../auth/token-review.ts';
import { KubeClient } from '../kube/client.ts';
import { type Harness, signFor, startHarness } from '../testing/harness.ts';
import { shopObjects, shopTokens, web } from '../testing/shop.ts';
import { DeltaClient } from '../testing/xds-client.ts';

const account = { namespace: 'shop', serviceAccount: 'web' };
const user = 'system:serviceaccount:shop:web';
const pod = {
  'authentication.kubernetes.io/pod-name': ['web-a'],
  'authentication.kubernetes.io/pod-uid': ['uid-web-a'],
};
const good = { authenticated: true, audiences: ['weft.dev'], user: { username: user, extra: pod } };
/** What the API server says of a token; of others that it does not know them. */
const statuses: Readonly<Record<string, unknown>> = {
  good,
  'no-audiences': { ...good, audiences: undefined },
  'null-audiences': { ...good, audiences: null },
  'other-audience': { ...good, audiences: ['https://kubernetes.default.svc'] },
  'longer-audience': { ...good, audiences: ['weft.dev.example'] },
  'authenticated-in-words': { ...good, authenticated: 'true' },
  'error-beside': { ...good, authenticated: false, error: 'revoked' },
  'a-person': { ...good, user: { username: 'admin', extra: pod } },
  'a-longer-name': { ...good, user: { username: `${user}:x`, extra: pod } },
  'no-uid': { ...good, user: { username: user, extra: { ...pod, 'authentication.kubernetes.io/pod-uid': [] } } },
  'another-pod-of-the-account': {
    ...good,
    user: { username: user, extra: { ...pod, 'authentication.kubernetes.io/pod-name': ['cart-a'] } },
  },
  'an-earlier-pod': {
    ...good,
    user: { username: user, extra: { ...pod, 'authentication.kubernetes.io/pod-uid': ['uid-before'] } },
  },
  nothing: null,
};

async function apiServer(): Promise<Server> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const { spec } = JSON.parse(body) as { readonly spec: { readonly token: string } };
      const status = spec.token in statuses ? statuses[spec.token] : { authenticated: false };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ status }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const claiming = (claims: string): string => `e30.${Buffer.from(claims).toString('base64url')}.c2ln`;

describe('tokens that nobody issued', () => {
  let server: Server;
  let harness: Harness;
  before(async () => {
    server = await apiServer();
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'api', server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, skipTLSVerify: true },
      { name: 'nobody' },
    );
    const verifier = new TokenReviewVerifier(new KubeClient(config), systemClock);
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens, verifier });
  });
  after(async () => {
    await harness.stop();
    server.closeAllConnections();
    server.close();
  });

  const claims = [
    '{"aud":["weft.dev"],"exp":-1e20}',
    '{"aud":["weft.dev"],"nbf":1e300}',
    '{"aud":["weft.dev"],"exp":1e999}',
    '{"aud":{"toString":1},"exp":"now"}',
    `{"aud":["${'a'.repeat(10_000)}"]}`,
    '{"aud":["\\u001b[2J\\nlevel=info"]}',
    'null',
    '[]',
    '{"aud"',
  ];
  for (const text of claims) {
    test(`claims that are made to break who reads them: ${text.slice(0, 40)}`, async (t) => {
      const refused = await signFor(harness, { token: claiming(text) }, account);
      assert.ok(!refused.ok);
      assert.equal(refused.code, 'UNAUTHENTICATED', refused.details);
      assert.ok(refused.details.length < 400, 'no more is told back than helps');
      const stream = DeltaClient.open(harness, { token: claiming(text) }, web);
      t.after(() => stream.close());
      stream.subscribe('listener', ['inbound']);
      assert.equal((await stream.end()).code, 'UNAUTHENTICATED');
      assert.ok((await signFor(harness, { token: 'good' }, account)).ok, 'everybody else is served');
    });
  }

  test('answers that are no clear yes', async () => {
    for (const token of Object.keys(statuses)) {
      if (token === 'good') continue;
      const { length } = harness.auditLines;
      const refused = await signFor(harness, { token }, account);
      assert.ok(!refused.ok, token);
      assert.match(refused.code, /^(UNAUTHENTICATED|PERMISSION_DENIED|UNAVAILABLE)$/, token);
      assert.match(harness.auditLines.slice(length).join('\n'), /certificate refused/, token);
    }
  });
});
