import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JwtProvider } from '@weft/policies/model/jwt';
import { Headers } from '../../http/headers.ts';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';
import { hmacToken, Issuer, unsignedToken } from './issuer.testing.ts';
import { loadJose } from './verifier.ts';

const id = new Issuer('https://id.example');
const other = new Issuer('https://other.example');
const bearer = { kind: 'header', name: 'authorization', prefix: 'Bearer ' } as const;

const provider = (issuer: Issuer, more: Partial<JwtProvider> = {}): JwtProvider => ({
  name: issuer.name,
  issuer: issuer.name,
  audiences: ['shop'],
  keys: issuer.keys('RS256', 'ES256', 'EdDSA'),
  locations: [bearer],
  forward: false,
  claimHeaders: [{ header: 'x-user', claim: 'sub' }],
  clockSkewMs: 60_000,
  ...more,
});

function shop(providers: readonly JwtProvider[] = [provider(id)], allowsMissing = true) {
  const world = new World(3);
  world.source.cluster(testCluster('shop'));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  const server = world.server('10.0.0.1', 80);
  const route = forwardTo('shop');
  const dispatch = world.dispatch(
    testHcm(
      { kind: 'inline', config: routes('r', route) },
      { filters: [{ kind: 'jwt', name: 'jwt', jwt: { providers, allowsMissing } }, { kind: 'router' }] },
    ),
    'inbound',
  );
  const nowS = world.clock.unixMs() / 1000;
  const claims = { sub: 'ann', aud: 'shop', exp: nowS + 600 };
  const send = async (fields: readonly string[], path = '/') => {
    const exchange = world.send(dispatch, { headers: Headers.from(fields), path });
    // Keys are imported, and signatures verified, off this thread.
    const endMs = performance.now() + 10_000;
    while (!exchange.ended && performance.now() < endMs) {
      await new Promise((resolve) => setImmediate(resolve));
      world.clock.advance(0);
    }
    return exchange;
  };
  const sent = () => server.requests.at(-1)?.head;
  return {
    world,
    server,
    send,
    sent,
    nowS,
    claims,
    give: (token: string) => send(['Authorization', `Bearer ${token}`]),
  };
}

describe('what is taken', () => {
  for (const kind of ['RS256', 'ES256', 'EdDSA'] as const) {
    test(kind, async () => {
      const { give, claims, sent, world } = shop();
      assert.equal((await give(id.token(kind, claims))).status, 200);
      assert.equal(sent()?.headers.get('x-user'), 'ann');
      assert.equal(sent()?.headers.has('authorization'), false, 'taken off');
      assert.equal(world.recorder.records[0]?.flag, '');
      assert.equal(world.recorder.records[0]?.tokenIssuer, id.name);
      assert.equal(world.recorder.records[0]?.tokenSubject, 'ann');
    });
  }

  test('a token is verified once, and refused when its time is over', async () => {
    const { give, claims, world, nowS } = shop();
    const token = id.token('ES256', { ...claims, exp: nowS + 10 });
    assert.equal((await give(token)).status, 200);
    const again = await give(token);
    assert.equal(again.status, 200);
    // Within the skew still, and not after it.
    world.clock.advance(65_000);
    assert.equal((await give(token)).status, 200);
    world.clock.advance(6_000);
    assert.equal((await give(token)).status, 401);
  });

  test('a request without one, whose rules decide', async () => {
    const { send } = shop();
    assert.equal((await send([])).status, 200);
    assert.equal((await send(['Authorization', 'Basic YTpi'])).status, 200);
  });

  test('none where one is required: 401 without an error (RFC 6750 section 3.1)', async () => {
    const { send } = shop([provider(id)], false);
    const answer = await send([]);
    assert.equal(answer.status, 401);
    assert.equal(answer.response?.headers.get('www-authenticate'), 'Bearer realm="shop.example"');
  });

  test('one of several audiences, and any where none is asked for', async () => {
    const { give, claims } = shop();
    assert.equal((await give(id.token('ES256', { ...claims, aud: ['desk', 'shop'] }))).status, 200);
    const open = shop([provider(id, { audiences: [] })]);
    const { aud: _, ...without } = claims;
    assert.equal((await open.give(id.token('ES256', without))).status, 200);
  });

  test('two issuers, each with its own keys', async () => {
    const { give, claims } = shop([provider(id), provider(other)]);
    assert.equal((await give(id.token('ES256', claims))).status, 200);
    assert.equal((await give(other.token('ES256', claims))).status, 200);
  });

  test('either of two keys of one id', async () => {
    const keys = JSON.stringify({ keys: [other.jwk('ES256'), id.jwk('ES256')] });
    const { give, claims } = shop([provider(id, { keys })]);
    assert.equal((await give(id.token('ES256', claims))).status, 200);
  });

  test('a scheme in any case', async () => {
    const { send, claims, sent } = shop();
    assert.equal((await send(['Authorization', `bearer ${id.token('ES256', claims)}`])).status, 200);
    assert.equal(sent()?.headers.has('authorization'), false);
  });
});

describe('where tokens are', () => {
  const places = provider(id, {
    locations: [
      { kind: 'header', name: 'x-token', prefix: '' },
      { kind: 'query', name: 'access_token' },
      { kind: 'cookie', name: 'session' },
    ],
  });

  test('query, header and cookie; they are taken off and not logged', async () => {
    const { send, sent, claims, world } = shop([places]);
    const token = id.token('ES256', claims);
    assert.equal((await send([], `/a?x=1&access_token=${token}&y=2`)).status, 200);
    assert.equal(sent()?.path, '/a?x=1&y=2');
    assert.equal(world.recorder.records[0]?.path, '/a?x=1&y=2');
    assert.equal((await send(['Cookie', `a=1; session="${token}"; b=2`])).status, 200);
    assert.equal(sent()?.headers.get('cookie'), 'a=1; b=2');
    assert.equal((await send(['X-Token', token])).status, 200);
    assert.equal(sent()?.headers.has('x-token'), false);
  });

  test('it stays where it is asked for', async () => {
    const { send, sent, claims } = shop([{ ...places, forward: true }]);
    const token = id.token('ES256', claims);
    assert.equal((await send(['X-Token', token])).status, 200);
    assert.equal(sent()?.headers.get('x-token'), token);
  });

  test('a good one does not cover for a bad one', async () => {
    const { send, claims, nowS } = shop([places]);
    const good = id.token('ES256', claims);
    const bad = id.token('ES256', { ...claims, exp: nowS - 600 });
    assert.equal((await send(['X-Token', good], `/?access_token=${bad}`)).status, 401);
    assert.equal((await send([], `/?access_token=${good}&access_token=${bad}`)).status, 401);
    assert.equal((await send(['X-Token', good, 'X-Token', bad])).status, 401);
    assert.equal((await send(['X-Token', good], `/?access_token=${good}`)).status, 200);
  });

  test('a token of another place is not looked at there', async () => {
    const { send, sent, claims } = shop([places, provider(other)]);
    assert.equal((await send(['Authorization', `Bearer ${id.token('ES256', claims)}`])).status, 401);
    assert.equal(sent(), undefined);
  });
});

describe('claims as headers', () => {
  test('those from outside are taken off, with and without a token', async () => {
    const { send, sent, claims, world } = shop();
    assert.equal((await send(['X-User', 'root', 'x-user', 'admin'])).status, 200);
    assert.equal(sent()?.headers.has('x-user'), false);
    assert.equal(world.count('jwt.claim_header_stripped'), 1);
    const token = id.token('ES256', claims);
    assert.equal((await send(['x-user', 'root', 'Authorization', `Bearer ${token}`])).status, 200);
    assert.deepEqual(sent()?.headers.getAll('x-user'), ['ann']);
  });

  test('names that CGI-like applications take for theirs are taken off too, and no others', async () => {
    const { send, sent, claims, world } = shop();
    const token = id.token('ES256', claims);
    const fields = ['X_User', 'root', 'X_Users', 'many', 'Authorization', `Bearer ${token}`];
    assert.equal((await send(fields)).status, 200);
    assert.equal(sent()?.headers.has('x_user'), false);
    assert.deepEqual(sent()?.headers.getAll('x-user'), ['ann']);
    assert.deepEqual(sent()?.headers.getAll('x_users'), ['many']);
    assert.equal(world.count('jwt.claim_header_stripped'), 1);
  });

  test('nor by one with hyphens where the header of the claim has an underscore', async () => {
    const { send, sent, claims } = shop([provider(id, { claimHeaders: [{ header: 'x_user', claim: 'sub' }] })]);
    await send(['X-User', 'root', 'x_user', 'root', 'Authorization', `Bearer ${id.token('ES256', claims)}`]);
    assert.equal(sent()?.headers.has('x-user'), false);
    assert.deepEqual(sent()?.headers.getAll('x_user'), ['ann']);
  });

  test('of two tokens of one issuer the first counts, and nothing of the other', async () => {
    const claimHeaders = [
      { header: 'x-user', claim: 'sub' },
      { header: 'x-level', claim: 'level' },
    ];
    const { send, sent, claims } = shop([provider(id, { claimHeaders })]);
    const first = id.token('ES256', { ...claims, sub: undefined, level: 1 });
    const second = id.token('ES256', { ...claims, level: 9 });
    const fields = ['Authorization', `Bearer ${first}`, 'Authorization', `Bearer ${second}`];
    assert.equal((await send(fields)).status, 200);
    assert.equal(sent()?.headers.has('x-user'), false);
    assert.equal(sent()?.headers.get('x-level'), '1');
  });

  test('what no header can carry is left out', async () => {
    const { give, sent, claims, world } = shop();
    assert.equal((await give(id.token('ES256', { ...claims, sub: 'ann\r\nx-admin: 1' }))).status, 200);
    assert.equal(sent()?.headers.has('x-user'), false);
    assert.equal(sent()?.headers.has('x-admin'), false);
    assert.equal(world.count('jwt.claim_unfit'), 1);
  });

  test('nested ones, lists, and names that only look like claims', async () => {
    const claimHeaders = ['realm.roles', 'constructor.name', '__proto__.x', 'n', 'https://a.b/c'].map((claim, i) => ({
      header: `x-${i}`,
      claim,
    }));
    const { give, sent, claims } = shop([provider(id, { claimHeaders })]);
    const token = id.token('ES256', { ...claims, realm: { roles: ['a'] }, n: 7, 'https://a.b/c': true });
    assert.equal((await give(token)).status, 200);
    const headers = sent()?.headers;
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((i) => headers?.get(`x-${i}`)),
      [Buffer.from('["a"]').toString('base64url'), undefined, undefined, '7', 'true'],
    );
  });
});

describe('attacks', () => {
  type Shop = ReturnType<typeof shop>;
  const b64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const pem = id.publicKey('RS256').export({ type: 'spki', format: 'pem' }).toString();
  const parts = (token: string): [string, string, string] => {
    const [a = '', b = '', c = ''] = token.split('.');
    return [a, b, c];
  };
  const attacks: readonly (readonly [what: string, (shop: Shop) => string, counter: string])[] = [
    ['alg none', ({ claims }) => unsignedToken({ iss: id.name, ...claims }), 'algorithm'],
    ['alg None', ({ claims }) => unsignedToken({ iss: id.name, ...claims }, 'None'), 'algorithm'],
    ['HMAC with the public key', ({ claims }) => hmacToken(pem, { iss: id.name, ...claims }), 'algorithm'],
    [
      'HMAC with the public key and its id',
      ({ claims }) => hmacToken(pem, { iss: id.name, ...claims }, { kid: 'RS256' }),
      'algorithm',
    ],
    [
      'claims changed after signing',
      ({ claims }) => {
        const [head, , signature] = parts(id.token('RS256', claims));
        return `${head}.${b64({ iss: id.name, ...claims, sub: 'root' })}.${signature}`;
      },
      'signature',
    ],
    ['no signature', ({ claims }) => `${parts(id.token('RS256', claims)).slice(0, 2).join('.')}.`, 'signature'],
    ['another key under the same id', ({ claims }) => other.token('RS256', { ...claims, iss: id.name }), 'signature'],
    ['an issuer that nobody knows', ({ claims }) => other.token('RS256', claims), 'unknown_issuer'],
    ['no issuer', ({ claims }) => id.token('RS256', { ...claims, iss: undefined }), 'unknown_issuer'],
    ['issuers as a list', ({ claims }) => id.token('RS256', { ...claims, iss: [id.name] }), 'unknown_issuer'],
    ['a key id that is not there', ({ claims }) => id.token('RS256', claims, { kid: '../../dev/null' }), 'unknown_key'],
    ['an algorithm that is not of the key', ({ claims }) => id.token('RS512', claims, { kid: 'RS256' }), 'unknown_key'],
    ['unknown critical header', ({ claims }) => id.token('RS256', claims, { crit: ['x'], x: 1 }), 'malformed'],
    ['an empty list of critical headers', ({ claims }) => id.token('RS256', claims, { crit: [] }), 'malformed'],
    [
      'a payload that is not encoded',
      ({ claims }) => id.token('RS256', claims, { crit: ['b64'], b64: false }),
      'malformed',
    ],
    [
      'a key of its own in the header',
      ({ claims }) => other.token('RS256', { ...claims, iss: id.name }, { kid: 'x', jwk: other.jwk('RS256') }),
      'unknown_key',
    ],
    [
      'keys fetched from a place of its own',
      ({ claims }) => other.token('RS256', { ...claims, iss: id.name }, { kid: 'x', jku: 'https://evil.example' }),
      'unknown_key',
    ],
    ['a logout token', ({ claims }) => id.token('RS256', claims, { typ: 'logout+jwt' }), 'type'],
    ['expired', ({ claims, nowS }) => id.token('RS256', { ...claims, exp: nowS - 61 }), 'expired'],
    ['never expires', ({ claims }) => id.token('RS256', { ...claims, exp: undefined }), 'claims'],
    ['expires as a text', ({ claims, nowS }) => id.token('RS256', { ...claims, exp: String(nowS + 600) }), 'claims'],
    ['not valid yet', ({ claims, nowS }) => id.token('RS256', { ...claims, nbf: nowS + 61 }), 'not_yet_valid'],
    ['another audience', ({ claims }) => id.token('RS256', { ...claims, aud: 'shop2' }), 'audience'],
    ['no audience', ({ claims }) => id.token('RS256', { ...claims, aud: undefined }), 'audience'],
    ['an audience inside of another', ({ claims }) => id.token('RS256', { ...claims, aud: ['shopping'] }), 'audience'],
    ['a subject that is no text', ({ claims }) => id.token('RS256', { ...claims, sub: { a: 1 } }), 'claims'],
    ['two parts', () => 'a.b', 'malformed'],
    ['four parts', ({ claims }) => `${id.token('RS256', claims)}.x`, 'malformed'],
    ['encrypted', () => 'a.b.c.d.e', 'malformed'],
    ['no JSON', () => 'e30.bm8.eA', 'malformed'],
    ['claims that are a list', () => `${b64({ alg: 'RS256' })}.${b64([])}.x`, 'unknown_issuer'],
    ['a huge one', ({ claims }) => id.token('RS256', { ...claims, pad: 'x'.repeat(20_000) }), 'too_large'],
    ['an opaque one', () => 'opaque', 'malformed'],
  ];
  for (const [what, make, counter] of attacks) {
    test(what, async () => {
      const one = shop();
      const answer = await one.give(make(one));
      assert.equal(answer.status, 401);
      assert.equal(one.server.requests.length, 0);
      assert.equal(one.world.count(`jwt.refused.${counter}`), 1, one.world.recorder.events.join());
      assert.match(
        answer.response?.headers.get('www-authenticate') ?? '',
        /^Bearer realm="shop.example", error="invalid_token"/,
      );
      assert.equal(one.world.recorder.records[0]?.flag, 'UAEX');
      assert.match(one.world.recorder.records[0]?.detail ?? '', new RegExp(`^jwt ${counter}: `));
    });
  }

  test('keys of another issuer never verify tokens of this one', async () => {
    const { give, claims } = shop([provider(id), provider(other)]);
    assert.equal((await give(other.token('ES256', { ...claims, iss: id.name }))).status, 401);
  });

  test('keys that may not verify: secret ones, of encryption, of another algorithm', async () => {
    const secret = { kty: 'oct', kid: 'RS256', k: Buffer.from(pem).toString('base64url') };
    const sets: readonly (readonly object[])[] = [
      [secret],
      [id.jwk('RS256', { use: 'enc' })],
      [id.jwk('RS256', { alg: 'PS256' })],
      [id.jwk('RS256', { key_ops: ['encrypt'], use: undefined })],
      [],
    ];
    for (const keys of sets) {
      const { give, claims } = shop([provider(id, { keys: JSON.stringify({ keys }) })]);
      assert.equal((await give(id.token('RS256', claims))).status, 401, JSON.stringify(keys).slice(0, 60));
      assert.equal((await give(hmacToken(pem, { iss: id.name, ...claims }, { kid: 'RS256' }))).status, 401);
    }
  });

  test('keys that cannot be read let nobody in', async () => {
    for (const keys of ['', 'no', '[]', '{"keys":1}', '{"keys":[1,null,{}]}']) {
      const { give, claims } = shop([provider(id, { keys })]);
      assert.equal((await give(id.token('RS256', claims))).status, 401, keys);
    }
  });

  test('too many tokens', async () => {
    const { send, claims, world } = shop();
    const token = id.token('ES256', claims);
    const fields = Array.from({ length: 9 }, () => ['Authorization', `Bearer ${token}`]).flat();
    assert.equal((await send(fields)).status, 401);
    assert.equal(world.count('jwt.refused.too_many'), 1);
  });

  test('a client that goes away while its token is verified', async () => {
    const { world, claims, server } = shop();
    await loadJose();
    const hcm = testHcm(
      { kind: 'inline', config: routes('r', forwardTo('shop')) },
      {
        filters: [
          { kind: 'jwt', name: 'j', jwt: { providers: [provider(id)], allowsMissing: true } },
          { kind: 'router' },
        ],
      },
    );
    const exchange = world.send(world.dispatch(hcm), {
      headers: Headers.from(['Authorization', `Bearer ${id.token('RS256', claims)}`]),
    });
    exchange.receiver?.onReset({ source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'gone' });
    exchange.receiver?.onDone();
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(server.requests.length, 0);
  });
});
