import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { nobodysKeys } from '@weft/policies/identity/nobodys-key';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { MeshControl } from '../mesh.ts';
import { parseObjects } from '../static/objects.ts';
import { pod } from '../testing/shop.ts';
import { authenticationPolicyStatus } from '../translate/authentication-status.ts';
import { translateResource } from '../translate/resource.ts';
import { fetchKeySet, mayBeFetchedFrom } from './fetch.ts';
import { readKept, writeKept } from './kept.ts';
import { JwksStore } from './store.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one' };
const keySet = JSON.stringify({ keys: [jwk] });

describe('a fetch of keys', () => {
  const servers: Server[] = [];
  after(() => {
    for (const server of servers) server.close();
  });
  const serve = async (handler: RequestListener): Promise<string> => {
    const server = createServer(handler);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://localhost:${(server.address() as AddressInfo).port}/keys`;
  };
  const anywhere = { isAllowed: () => true };

  test('takes the public keys of a set, and nothing else of it', async () => {
    const secret = { ...privateKey.export({ format: 'jwk' }), kid: 'two' };
    const body = JSON.stringify({ keys: [jwk, secret, { kty: 'oct', k: 'c2VjcmV0' }, 7], more: 1 });
    const uri = await serve((_, response) => response.end(body));
    const fetched = await fetchKeySet(uri, anywhere);
    assert.ok(fetched.ok, fetched.ok ? '' : fetched.error);
    const { d: _, ...without } = secret;
    assert.deepEqual(JSON.parse(fetched.value), { keys: [jwk, without] });
  });

  const bad: readonly (readonly [what: string, handler: RequestListener, error: RegExp])[] = [
    [
      'a redirect',
      (_, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
      /redirects/,
    ],
    ['an error', (_, response) => response.writeHead(500).end(keySet), /HTTP 500/],
    ['a page', (_, response) => response.end('<html>'), /not a JSON Web Key Set/],
    ['no key of use', (_, response) => response.end('{"keys":[{"kty":"oct","k":"eA"}]}'), /no key that verifies/],
    ['more than is read', (_, response) => response.end('x'.repeat(300_000)), /more than 262144 bytes/],
    ['a connection that breaks', (request) => request.socket.destroy(), /hang up|ECONNRESET/],
  ];
  for (const [what, handler, error] of bad) {
    test(`says what is wrong with ${what}`, async () => {
      const fetched = await fetchKeySet(await serve(handler), anywhere);
      assert.ok(!fetched.ok);
      assert.match(fetched.error, error);
    });
  }

  test('goes nowhere that a policy must not lead, by address or by name', async () => {
    const uri = await serve((_, response) => response.end(keySet));
    for (const one of [uri, uri.replace('localhost', '127.0.0.1'), 'http://[::1]:1/', 'http://169.254.169.254/keys']) {
      const fetched = await fetchKeySet(one, { isAllowed: mayBeFetchedFrom });
      assert.ok(!fetched.ok && /address that keys are/.test(fetched.error), `${one}: ${JSON.stringify(fetched)}`);
    }
    for (const ip of ['10.0.0.1', '192.0.2.1', 'fd00::1', '2001:db8::1', '64:ff9b::808:808'])
      assert.ok(mayBeFetchedFrom(ip), ip);
    const ofClouds = ['fd00:ec2::254', '100.100.100.200', '64:ff9b::a9fe:a9fe', '::ffff:a9fe:a9fe', '::ffff:7f00:1'];
    for (const ip of ['::ffff:127.0.0.1', 'fe80::1', '::', '0.0.0.0', '255.255.255.255', ...ofClouds]) {
      assert.ok(!mayBeFetchedFrom(ip), ip);
    }
  });
});

describe('the store of keys', () => {
  const uri = 'https://id.example/keys';
  function world(restored: ReadonlyMap<string, string> = new Map()) {
    const clock = new ManualClock();
    const answers: Result<string, string>[] = [];
    let changes = 0;
    const asked: number[] = [];
    const store = new JwksStore({
      clock,
      prng: new SeededPrng(1),
      fetch: async () => {
        asked.push(clock.nowMs());
        return answers.shift() ?? err('down');
      },
      changed: () => {
        changes += 1;
      },
    });
    store.restore(restored);
    const pass = async (ms: number): Promise<void> => {
      clock.advance(ms);
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    return { store, answers, pass, asked, changes: () => changes };
  }

  test('keeps what was good while the issuer is down, says so, and takes the next rotation', async () => {
    const { store, answers, pass, changes } = world();
    answers.push(ok('first'));
    store.want(new Set([uri]));
    await pass(1);
    assert.equal(store.get(uri), 'first');
    for (let i = 0; i < 5; i++) await pass(140_000);
    assert.equal(store.get(uri), 'first');
    assert.equal(store.problem(uri), 'down');
    answers.push(ok('second'));
    await pass(140_000);
    assert.equal(store.get(uri), 'second');
    assert.equal(store.problem(uri), undefined);
    assert.equal(changes(), 3, 'keys, problem, keys');
    store.stop();
  });

  test('asks a silent issuer less and less often', async () => {
    const { store, pass, asked } = world();
    store.want(new Set([uri]));
    for (let i = 0; i < 600; i++) await pass(1_000);
    assert.ok(asked.length >= 6 && asked.length <= 14, `asked ${asked.length} times in ten minutes`);
    store.stop();
  });

  test('starts with what was kept, and forgets what nobody names', async () => {
    const kept = readKept(writeKept(new Map([[uri, keySet]])));
    assert.deepEqual([...kept], [[uri, keySet]]);
    const { store, pass } = world(kept);
    store.want(new Set([uri]));
    await pass(1);
    assert.equal(store.get(uri), keySet, 'although the issuer is down');
    store.want(new Set());
    assert.equal(store.get(uri), undefined);
    assert.equal(readKept({ a: 'no', b: '{"uri":"x","keys":"{}"}', c: '{"uri":1}' }).size, 0);
    store.stop();
  });
});

test('a namespace that names more places than there is room for takes none from the others', async () => {
  const issuers = (from: number): string =>
    Array.from(
      { length: 8 },
      (_, i) => `{ issuer: i${from + i}, jwks: { uri: "https://id.example/${from + i}" } }`,
    ).join();
  const many = Array.from(
    { length: 40 },
    (_, i) => `
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: p${i}, namespace: aaa, creationTimestamp: "2026-01-01T00:00:00Z" }
spec: { selector: { matchLabels: { app: a${i} } }, jwt: [${issuers(i * 8)}] }`,
  );
  const one = `
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: users, namespace: shop, creationTimestamp: "2026-02-01T00:00:00Z" }
spec: { jwt: [{ issuer: me, jwks: { uri: "https://me.example/keys" } }] }`;
  const domain = parseTrustDomain('cluster.local');
  const objects = parseObjects([...many, one].join('\n---\n'));
  assert.ok(domain.ok && objects.ok, JSON.stringify(objects));
  const asked = new Set<string>();
  const clock = new ManualClock();
  const mesh = new MeshControl({
    meshNamespace: 'weft-system',
    trustDomain: domain.value,
    clock,
    fetchKeys: async (uri) => {
      asked.add(uri);
      return ok(keySet);
    },
  });
  for (const object of objects.value) mesh.apply(object);
  for (let i = 0; i < 5; i++) {
    clock.advance(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  mesh.stop();
  assert.ok(asked.has('https://me.example/keys'));
  assert.equal(asked.size, 256);
});

test('keys reach the listeners of whom a policy is for, the newest ones, and status says what is missing', async () => {
  const clock = new ManualClock();
  let answer: Result<string, string> = err('HTTP 503');
  const domain = parseTrustDomain('cluster.local');
  assert.ok(domain.ok);
  const mesh = new MeshControl({
    meshNamespace: 'weft-system',
    trustDomain: domain.value,
    clock,
    fetchKeys: async () => answer,
  });
  const objects = parseObjects(`
${pod('cart-a', 'cart', '10.1.0.1', 'uid', '')}
---
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: users, namespace: shop }
spec: { jwt: [{ issuer: me, jwks: { uri: "https://id.example/keys" } }] }
`);
  assert.ok(objects.ok);
  for (const object of objects.value) mesh.apply(object);
  const keysNow = (): string | undefined => {
    const client = { namespace: 'shop', podKey: 'shop/cart-a', features: { http2: true } };
    const made = translateResource(mesh.context, 'listener', 'inbound', client);
    const terminal = made?.kind === 'listener' ? made.value.filterChains[0]?.terminal : undefined;
    const filter = terminal?.kind === 'http' ? terminal.filters.find(({ kind }) => kind === 'jwt') : undefined;
    return filter?.kind === 'jwt' ? filter.jwt.providers[0]?.keys : undefined;
  };
  const status = (): string | undefined => {
    const policy = mesh.state.authenticationPolicies.get('shop/users');
    const verdict = policy && authenticationPolicyStatus(mesh.context, policy);
    return verdict?.ancestors[0]?.conditions.find(({ type }) => type === 'ResolvedRefs')?.message;
  };
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  await pass(1);
  assert.equal(keysNow(), nobodysKeys, 'nobody gets in');
  assert.equal(status(), 'tokens of me are refused: its keys are not known, HTTP 503');
  for (const set of ['first', 'second']) {
    answer = ok(set);
    await pass(140_000);
    assert.equal(keysNow(), set);
    assert.equal(status(), undefined);
  }
  answer = err('HTTP 500');
  await pass(140_000);
  assert.equal(keysNow(), 'second');
  assert.equal(status(), 'keys of me are those fetched last: HTTP 500');
  mesh.stop();
});
