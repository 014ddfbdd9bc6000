/** What a state folder, an authority or a clock that misbehaves may not do to the identity. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { testCertificate } from '@weft/policies/identity/x509/certificate.testing';
import { parseCsr } from '@weft/policies/identity/x509/csr';
import { type Clock, ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { IdentityManager, type SignedChain } from './manager.ts';
import { StateDir } from './state-dir.ts';

const ID = 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId;
const OTHER = 'spiffe://cluster.local/ns/shop/sa/admin' as SpiffeId;
const HOUR_MS = 3_600_000;
const folder = mkdtempSync(join(tmpdir(), 'weft-identity-attacks-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function openState(): StateDir {
  const state = StateDir.open(mkdtempSync(join(folder, 'state-')), true);
  assert.ok(state.ok);
  return state.value;
}

type Keys = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
const newKeys = (): Keys => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Signs for an hour of the given clock. */
function signer(clock: Clock, keys = newKeys(), answerAs = ID, backdatedMs = 0, lifeMs = HOUR_MS) {
  const certificate = (publicKey: KeyObject, id: SpiffeId | undefined): Promise<Uint8Array> =>
    testCertificate({
      issuer: 'root',
      issuerKey: keys.privateKey,
      publicKey,
      id,
      serial: new Uint8Array([1, 2]),
      notBeforeMs: clock.unixMs() - backdatedMs,
      notAfterMs: clock.unixMs() + lifeMs,
    });
  return {
    root: () => certificate(keys.publicKey, undefined),
    async sign(csr: Uint8Array): Promise<SignedChain> {
      const parsed = parseCsr(csr);
      assert.ok(parsed.ok);
      return {
        chain: [await certificate(parsed.value.publicKey, answerAs)],
        trustAnchors: [await certificate(keys.publicKey, undefined)],
        authorityUnixMs: clock.unixMs(),
      };
    },
  };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

function manage(clock: Clock, sign: (csr: Uint8Array) => Promise<SignedChain>, state = openState()) {
  const lines: string[] = [];
  const manager = new IdentityManager({
    spiffeId: ID,
    sign,
    state,
    clock,
    prng: new SeededPrng(1),
    log: (line) => lines.push(line),
    count: () => {},
  });
  return { manager, lines, state };
}

async function issued(clock: ManualClock) {
  const authority = signer(clock);
  const made = manage(clock, (csr) => authority.sign(csr));
  made.manager.start();
  clock.advance(0);
  await settle();
  assert.ok(made.manager.own() !== undefined);
  made.manager.close();
  return { ...made, authority };
}

const newClock = () => new ManualClock(Math.floor(Date.now() / 1_000) * 1_000);

describe('an answer of the authority', () => {
  test('without trust anchors is refused: the public authorities of the runtime would be trusted in their place', async () => {
    const clock = newClock();
    const authority = signer(clock);
    const { manager, lines } = manage(clock, async (csr) => ({ ...(await authority.sign(csr)), trustAnchors: [] }));
    manager.start();
    clock.advance(0);
    await settle();
    assert.equal(manager.own(), undefined);
    assert.match(lines.join('\n'), /no trust anchor/);
    manager.close();
  });

  test('whose chain does not lead to its trust anchors is refused', async () => {
    const clock = newClock();
    const [authority, stranger] = [signer(clock), signer(clock)];
    const { manager, lines } = manage(clock, async (csr) => ({
      ...(await authority.sign(csr)),
      trustAnchors: [await stranger.root()],
    }));
    manager.start();
    clock.advance(0);
    await settle();
    assert.equal(manager.own(), undefined);
    assert.match(lines.join('\n'), /does not lead to/);
    manager.close();
  });
});

describe('a stored certificate', () => {
  const damages: readonly [string, (path: string) => void][] = [
    ['an empty trust.pem', (path) => writeFileSync(join(path, 'trust.pem'), '')],
    ['a cut trust.pem', (path) => writeFileSync(join(path, 'trust.pem'), '-----BEGIN CERTIFICATE-----\nMIIB')],
    ['an empty chain.pem', (path) => writeFileSync(join(path, 'chain.pem'), '')],
    ['a chain.pem of bytes', (path) => writeFileSync(join(path, 'chain.pem'), Buffer.alloc(500, 0xa5))],
    [
      'a key.pem of another key',
      (path) => {
        writeFileSync(join(path, 'key.pem'), newKeys().privateKey.export({ type: 'pkcs8', format: 'pem' }));
      },
    ],
  ];
  for (const [what, damage] of damages) {
    test(`is not used with ${what}; a new one is asked for`, async () => {
      const clock = newClock();
      const first = await issued(clock);
      damage(first.state.path);
      const { manager } = manage(clock, (csr) => first.authority.sign(csr), first.state);
      assert.equal(manager.own(), undefined);
      manager.start();
      clock.advance(0);
      await settle();
      assert.equal(manager.own()?.spiffeId, ID);
      manager.close();
    });
  }

  test('of another identity with the same key is not used', async () => {
    const clock = newClock();
    const first = await issued(clock);
    const other = signer(clock, newKeys(), OTHER);
    const key = first.state.read('key.pem');
    const second = new IdentityManager({
      spiffeId: OTHER,
      sign: (csr) => other.sign(csr),
      state: first.state,
      clock,
      prng: new SeededPrng(1),
      log: () => {},
      count: () => {},
    });
    assert.equal(second.own(), undefined);
    assert.deepEqual(first.state.read('key.pem'), key);
  });
});

/** A clock whose wall time can be set, as NTP and a resumed machine do. */
class JumpingClock extends ManualClock {
  jumpMs = 0;
  override unixMs(): number {
    return super.unixMs() + this.jumpMs;
  }
}

describe('a wall clock that jumps', () => {
  test('forward: what is due by then is renewed within a minute', async () => {
    const clock = new JumpingClock(Math.floor(Date.now() / 1_000) * 1_000);
    const authority = signer(clock);
    const { manager } = manage(clock, (csr) => authority.sign(csr));
    manager.start();
    clock.advance(0);
    await settle();
    assert.equal(manager.own()?.generation, 1);
    clock.jumpMs = 0.9 * HOUR_MS;
    clock.advance(60_000);
    await settle();
    assert.equal(manager.own()?.generation, 2);
    manager.close();
  });

  test('backward: it is renewed as if nothing had happened, and not more often', async () => {
    const clock = new JumpingClock(Math.floor(Date.now() / 1_000) * 1_000);
    const authority = signer(clock);
    let signed = 0;
    const { manager } = manage(clock, (csr) => {
      signed++;
      return authority.sign(csr);
    });
    manager.start();
    clock.advance(0);
    await settle();
    clock.jumpMs = -10 * HOUR_MS;
    for (let i = 0; i < 60; i++) {
      clock.advance(60_000);
      await settle();
    }
    assert.ok(signed === 3, `${signed} signatures in an hour of certificates that live an hour`);
    manager.close();
  });

  test('ahead of the authority by more than a life: no storm of requests', async () => {
    const clock = new JumpingClock(Math.floor(Date.now() / 1_000) * 1_000);
    const behind = new ManualClock(Math.floor(Date.now() / 1_000) * 1_000 - 0.8 * HOUR_MS);
    const authority = signer(behind);
    let signed = 0;
    const { manager } = manage(clock, (csr) => {
      signed++;
      return authority.sign(csr);
    });
    manager.start();
    for (let i = 0; i < 60; i++) {
      clock.advance(10_000);
      behind.advance(10_000);
      await settle();
    }
    assert.equal(signed, 1);
    manager.close();
  });
});

test('certificates of a minute that are backdated by five are renewed twice a minute, not without end', async () => {
  const clock = newClock();
  const authority = signer(clock, newKeys(), ID, 300_000, 60_000);
  let signed = 0;
  const { manager } = manage(clock, (csr) => {
    signed++;
    return authority.sign(csr);
  });
  manager.start();
  for (let i = 0; i < 60; i++) {
    clock.advance(1_000);
    await settle();
  }
  assert.ok(signed >= 2 && signed <= 4, `${signed} signatures in a minute`);
  manager.close();
});

test('a write that fails leaves nothing half-written behind', () => {
  const state = openState();
  assert.equal(state.write('snapshot.bin', 'good'), undefined);
  // A folder in the place of the file: the rename fails as a full disk makes the write fail.
  rmSync(join(state.path, 'snapshot.bin'));
  rmSync(join(state.path, 'snapshot.bin.new'), { force: true });
  const blocked = StateDir.open(join(state.path, 'snapshot.bin'), true);
  assert.ok(blocked.ok);
  writeFileSync(join(blocked.value.path, 'x'), '');
  assert.match(state.write('snapshot.bin', 'new') ?? '', /cannot be written/);
  assert.deepEqual(readdirSync(state.path), ['snapshot.bin']);
});
