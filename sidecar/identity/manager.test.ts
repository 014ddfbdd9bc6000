import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { testCertificate } from '@weft/policies/identity/x509/certificate.testing';
import { parseCsr } from '@weft/policies/identity/x509/csr';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { IdentityManager } from './manager.ts';
import { StateDir } from './state-dir.ts';

const ID = 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId;
const HOUR_MS = 3_600_000;

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function makeStateDir(path?: string): StateDir {
  const folder = path ?? mkdtempSync(join(tmpdir(), 'weft-identity-'));
  folders.push(folder);
  const state = StateDir.open(folder, true);
  assert.ok(state.ok);
  return state.value;
}

/** A real authority, in a few lines: signs what is asked, from the clock of the test on. */
class Authority {
  readonly keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly clock: ManualClock;
  answerAs: SpiffeId = ID;
  lifeMs = HOUR_MS;
  failures = 0;
  signed = 0;

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  async sign(csr: Uint8Array) {
    if (this.failures > 0) {
      this.failures--;
      throw new Error('14 UNAVAILABLE');
    }
    const parsed = parseCsr(csr);
    assert.ok(parsed.ok);
    this.signed++;
    const root = await this.certificate(this.keys.publicKey, undefined);
    return {
      chain: [await this.certificate(parsed.value.publicKey, this.answerAs)],
      trustAnchors: [root],
      authorityUnixMs: this.clock.unixMs(),
    };
  }

  private certificate(publicKey: KeyObject, id: SpiffeId | undefined): Promise<Uint8Array> {
    return testCertificate({
      issuer: 'root',
      issuerKey: this.keys.privateKey,
      publicKey,
      id,
      serial: new Uint8Array([1, this.signed + 1]),
      notBeforeMs: this.clock.unixMs(),
      notAfterMs: this.clock.unixMs() + (id === undefined ? HOUR_MS : this.lifeMs),
    });
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

function make(path?: string) {
  const clock = new ManualClock(Math.floor(Date.now() / 1_000) * 1_000);
  const authority = new Authority(clock);
  const lines: string[] = [];
  const state = makeStateDir(path);
  const options = {
    spiffeId: ID,
    sign: (csr: Uint8Array) => authority.sign(csr),
    state,
    clock,
    prng: new SeededPrng(1),
    log: (line: string) => lines.push(line),
    count: () => {},
  };
  return { clock, authority, lines, state, options, manager: new IdentityManager(options) };
}

describe('IdentityManager', () => {
  test('gets a certificate, renews it between 40 % and 50 % of its life', async () => {
    const { clock, authority, manager } = make();
    const generations: number[] = [];
    manager.onChange((certificate) => generations.push(certificate.generation));
    manager.start();
    clock.advance(0);
    await settle();
    assert.equal(manager.own()?.spiffeId, ID);
    clock.advance(0.35 * HOUR_MS);
    await settle();
    assert.equal(authority.signed, 1);
    clock.advance(0.16 * HOUR_MS);
    await settle();
    assert.equal(authority.signed, 2);
    assert.deepEqual(generations, [1, 2]);
    manager.close();
  });

  test('keeps the certificate that it has while the authority is away, and tries again', async () => {
    const { clock, authority, manager, lines } = make();
    manager.start();
    clock.advance(0);
    await settle();
    authority.failures = 3;
    clock.advance(0.5 * HOUR_MS);
    await settle();
    assert.equal(manager.own()?.generation, 1);
    for (let i = 0; i < 6; i++) {
      clock.advance(5_000);
      await settle();
    }
    assert.equal(manager.own()?.generation, 2);
    assert.equal(lines.filter((line) => line.includes('14 UNAVAILABLE')).length, 3);
    manager.close();
  });

  test('an authority that was away until shortly before the end is asked again in time', async () => {
    const { clock, authority, manager } = make();
    authority.lifeMs = 60_000;
    manager.start();
    clock.advance(0);
    await settle();
    const own = manager.own();
    assert.ok(own !== undefined);
    authority.failures = Number.POSITIVE_INFINITY;
    while (own.notAfterUnixMs - clock.unixMs() > 8_000) {
      clock.advance(100);
      await settle();
    }
    authority.failures = 0;
    clock.advance(3_000);
    await settle();
    assert.equal(manager.own()?.generation, 2);
    manager.close();
  });

  test('with an expired certificate asks again when the control plane is back, and not in half a minute', async () => {
    const { clock, authority, manager } = make();
    authority.lifeMs = 60_000;
    manager.start();
    clock.advance(0);
    await settle();
    authority.failures = Number.POSITIVE_INFINITY;
    for (let passedMs = 0; passedMs < 600_000; passedMs += 500) {
      clock.advance(500);
      await settle();
    }
    const own = manager.own();
    assert.ok(own !== undefined && own.notAfterUnixMs < clock.unixMs());
    // A stream that comes and goes while nothing is signed is no reason to ask without end.
    let asked = 0;
    const sign = authority.sign.bind(authority);
    authority.sign = (csr) => {
      asked += 1;
      return sign(csr);
    };
    for (let passedMs = 0; passedMs < 10_000; passedMs += 50) {
      manager.retrySoon();
      clock.advance(50);
      await settle();
    }
    assert.ok(asked >= 5 && asked <= 11, `asked ${asked} times in ten seconds`);
    authority.failures = 0;
    manager.retrySoon();
    clock.advance(1_200);
    await settle();
    assert.equal(manager.own()?.generation, 2);
    manager.retrySoon();
    clock.advance(2_000);
    await settle();
    assert.equal(authority.signed, 2, 'who has one asks for none');
    manager.close();
  });

  test('a restarted process begins with the stored key and certificate', async () => {
    const first = make();
    first.manager.start();
    first.clock.advance(0);
    await settle();
    first.manager.close();
    const second = new IdentityManager(first.options);
    assert.equal(second.own()?.serialHex, first.manager.own()?.serialHex);
    for (const file of readdirSync(first.state.path)) {
      assert.equal(statSync(join(first.state.path, file)).mode & 0o777, 0o600, file);
    }
  });

  test('refuses a certificate for somebody else', async () => {
    const { clock, authority, manager, lines } = make();
    authority.answerAs = 'spiffe://cluster.local/ns/shop/sa/admin' as SpiffeId;
    manager.start();
    clock.advance(0);
    await settle();
    assert.equal(manager.own(), undefined);
    assert.match(lines.join('\n'), /certificate for URI:spiffe:\/\/cluster.local\/ns\/shop\/sa\/admin/);
    manager.close();
  });
});

test('state on a disk is refused unless it is asked for', () => {
  const onDisk = StateDir.open(mkdtempSync(join(process.cwd(), '.weft-state-')), false);
  const path = readdirSync(process.cwd()).filter((name) => name.startsWith('.weft-state-'));
  for (const name of path) rmSync(join(process.cwd(), name), { recursive: true });
  assert.ok(!onDisk.ok);
  assert.match(onDisk.error, /not memory-backed/);
});
