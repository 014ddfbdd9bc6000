import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import { exportJWK, SignJWT } from 'jose';
import { type JwtBundles, JwtSvids, type KeySets } from './jwt.ts';

const ID = 'spiffe://cluster.local/ns/shop/sa/vm' as SpiffeId;
const LIFE_MS = 300_000;

/** An authority whose keys can be changed, and that counts what it is asked. */
async function authority(clock: ManualClock, federated: () => JwtBundles['federated'] = () => []) {
  const asked = { sign: 0, bundle: 0, down: false };
  let number = 0;
  const make = async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const kid = `key-${++number}`;
    return { privateKey, kid, jwk: { ...(await exportJWK(publicKey)), kid, use: 'jwt-svid' } };
  };
  const keys = [await make()];
  const token = (subject: string, audience: readonly string[]) => {
    const key = keys.at(-1) ?? assert.fail();
    const now = Math.floor(clock.unixMs() / 1_000);
    const jwt = new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: key.kid }).setSubject(subject);
    return jwt
      .setAudience([...audience])
      .setIssuedAt(now)
      .setExpirationTime(now + 300)
      .sign(key.privateKey);
  };
  const answer = (): void => {
    if (asked.down) throw new Error('the control plane is away');
  };
  return {
    asked,
    token,
    rotate: async () => void keys.push(await make()),
    drop: () => void keys.shift(),
    sign: async (audience: readonly string[]) => {
      asked.sign++;
      answer();
      return { token: await token(ID, audience), lifeMs: LIFE_MS };
    },
    bundle: async () => {
      asked.bundle++;
      answer();
      return { jwks: JSON.stringify({ keys: keys.map((key) => key.jwk) }), refreshMs: 300_000, federated: federated() };
    },
  };
}

const newClock = () => new ManualClock(1_800_000_000_000);

describe('JWT-SVIDs of a workload', () => {
  test('are kept for half of their life, by audience, and asked for once by many', async () => {
    const clock = newClock();
    const ca = await authority(clock);
    const jwt = new JwtSvids(ca, ID, clock);
    const first = await Promise.all([1, 2, 3].map(() => jwt.fetch(['bank', 'shop'])));
    assert.equal(new Set(first).size, 1);
    assert.equal(await jwt.fetch(['shop', 'bank']), first[0]);
    assert.equal(ca.asked.sign, 1);
    await jwt.fetch(['bank']);
    assert.equal(ca.asked.sign, 2);
    clock.advance(LIFE_MS / 2);
    assert.notEqual(await jwt.fetch(['bank', 'shop']), first[0]);
    ca.asked.down = true;
    await jwt.fetch(['bank', 'shop']);
    await assert.rejects(jwt.fetch(['elsewhere']), /control plane is away/);
  });

  test('are verified by keys that are asked for again for a key that is not known, and not for each guess', async () => {
    const clock = newClock();
    const ca = await authority(clock);
    const jwt = new JwtSvids(ca, ID, clock);
    assert.ok((await jwt.validate(await ca.token(ID, ['bank']), 'bank')).ok);
    assert.equal(ca.asked.bundle, 1);
    await ca.rotate();
    clock.advance(10_000);
    const rotated = await ca.token(ID, ['bank']);
    assert.ok((await jwt.validate(rotated, 'bank')).ok);
    assert.equal(ca.asked.bundle, 2);
    await ca.rotate();
    const unknown = await ca.token(ID, ['bank']);
    for (let guess = 0; guess < 20; guess++) assert.ok(!(await jwt.validate(unknown, 'bank')).ok);
    assert.equal(ca.asked.bundle, 2);
    ca.asked.down = true;
    clock.advance(10_000);
    assert.ok(!(await jwt.validate(unknown, 'bank')).ok);
    assert.ok((await jwt.validate(rotated, 'bank')).ok, 'what was known goes on holding');
    clock.advance(600_000);
    assert.ok(!(await jwt.validate(rotated, 'bank')).ok, 'expired');
  });

  test('of another trust domain are not believed, whoever signed them', async () => {
    const clock = newClock();
    const ca = await authority(clock);
    const jwt = new JwtSvids(ca, ID, clock);
    for (const subject of ['spiffe://elsewhere/ns/shop/sa/vm', 'spiffe://cluster.local.evil/x', 'vm', '']) {
      const valid = await jwt.validate(await ca.token(subject, ['bank']), 'bank');
      assert.ok(!valid.ok, subject);
    }
  });

  test('of a federated trust domain are believed by its keys, for its identities, and for no others', async () => {
    const clock = newClock();
    const partner = await authority(clock);
    let told: JwtBundles['federated'] = [{ trustDomain: 'partner.example', jwks: (await partner.bundle()).jwks }];
    const ca = await authority(clock, () => [...told, { trustDomain: 'broken.example', jwks: 'no JWK Set' }]);
    const jwt = new JwtSvids(ca, ID, clock);
    const theirs = await partner.token('spiffe://partner.example/web', ['bank']);
    const valid = await jwt.validate(theirs, 'bank');
    assert.equal(valid.ok && valid.value.sub, 'spiffe://partner.example/web');
    for (const wrong of [
      await partner.token(ID, ['bank']),
      await ca.token('spiffe://partner.example/web', ['bank']),
      await partner.token('spiffe://broken.example/web', ['bank']),
      await partner.token('__proto__', ['bank']),
    ])
      assert.ok(!(await jwt.validate(wrong, 'bank')).ok);
    assert.ok((await jwt.validate(await ca.token(ID, ['bank']), 'bank')).ok, 'ours, whatever the others are');
    told = [];
    clock.advance(300_000);
    assert.ok(!(await jwt.validate(await partner.token('spiffe://partner.example/web', ['bank']), 'bank')).ok);
  });

  test('a key of a federated trust domain that is not known has its keys fetched anew, and not for each guess', async () => {
    const clock = newClock();
    const [partner, other, ca] = [await authority(clock), await authority(clock), await authority(clock)];
    const fetched = new Map<string, string>();
    const wanted: (string | undefined)[] = [];
    const partners = new Map([
      ['partner.example', partner],
      ['other.example', other],
    ]);
    const fetchAnew = async (trustDomain: string): Promise<void> => {
      fetched.set(trustDomain, (await partners.get(trustDomain)?.bundle())?.jwks ?? assert.fail(trustDomain));
    };
    for (const trustDomain of partners.keys()) await fetchAnew(trustDomain);
    const asking = {
      sign: ca.sign,
      // As the control plane does: what it holds, unless a key is said to be missing.
      bundle: async (unknownKeyOf?: string) => {
        wanted.push(unknownKeyOf);
        if (unknownKeyOf !== undefined) await fetchAnew(unknownKeyOf);
        return {
          ...(await ca.bundle()),
          federated: [...fetched].map(([trustDomain, jwks]) => ({ trustDomain, jwks })),
        };
      },
    };
    const jwt = new JwtSvids(asking, ID, clock);
    const subject = 'spiffe://partner.example/web';
    assert.ok((await jwt.validate(await partner.token(subject, ['bank']), 'bank')).ok);
    await partner.rotate();
    const rotated = await partner.token(subject, ['bank']);
    assert.ok((await jwt.validate(rotated, 'bank')).ok, 'at once');
    assert.deepEqual(wanted, [undefined, 'partner.example']);
    await partner.rotate();
    const unknown = await partner.token(subject, ['bank']);
    for (let guess = 0; guess < 20; guess++) assert.ok(!(await jwt.validate(unknown, 'bank')).ok);
    assert.equal(wanted.length, 2);
    await other.rotate();
    const ofOther = await other.token('spiffe://other.example/web', ['bank']);
    assert.ok((await jwt.validate(ofOther, 'bank')).ok, 'guesses about one keep no other');
    clock.advance(10_000);
    assert.ok((await jwt.validate(unknown, 'bank')).ok);
    assert.deepEqual(wanted.slice(2), ['other.example', 'partner.example']);
  });

  test('bundles are told when they change, also after the authority was away; nobody listens, nobody asks', async () => {
    const clock = newClock();
    const ca = await authority(clock);
    const jwt = new JwtSvids(ca, ID, clock);
    const told: KeySets[] = [];
    const settle = async () => {
      for (let i = 0; i < 10; i++) await turn();
    };
    const stop = jwt.watch((keySets) => told.push(keySets));
    clock.advance(0);
    await settle();
    assert.equal(told.length, 1);
    assert.deepEqual(Object.keys(told[0] ?? {}), ['spiffe://cluster.local']);
    assert.doesNotMatch(JSON.stringify(told[0]), /jwt-svid/);
    ca.asked.down = true;
    clock.advance(300_000);
    await settle();
    ca.asked.down = false;
    await ca.rotate();
    clock.advance(10_000);
    await settle();
    assert.equal(told.length, 2);
    stop();
    const { bundle } = ca.asked;
    clock.advance(3_600_000);
    await settle();
    assert.equal(ca.asked.bundle, bundle);
  });

  test('a key that the authority gave up is believed until keys are asked for again, and no longer', async () => {
    const clock = newClock();
    const ca = await authority(clock);
    const jwt = new JwtSvids(ca, ID, clock);
    const valid = async (token: string): Promise<boolean> => (await jwt.validate(token, 'bank')).ok;
    assert.ok(await valid(await ca.token(ID, ['bank'])));
    clock.advance(250_000);
    const token = await ca.token(ID, ['bank']);
    await ca.rotate();
    ca.drop();
    assert.ok(await valid(token), 'the keys are fresh');
    ca.asked.down = true;
    clock.advance(50_000);
    assert.ok(await valid(token), 'nobody can be asked: what was good stays');
    ca.asked.down = false;
    clock.advance(10_000);
    assert.equal(await valid(token), false);
    const { bundle } = ca.asked;
    for (let i = 0; i < 5; i++) await valid(token);
    assert.ok(ca.asked.bundle <= bundle + 1, 'and not with each token');
  });
});
