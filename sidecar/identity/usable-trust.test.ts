/** A bundle of another trust domain that is of no use costs that domain, and nothing of ours. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { crowdedRoots, pemOf, rootNamed, unreadableRoot } from '@weft/policies/identity/foreign-anchors.testing';
import type { SpiffeId, TrustDomain } from '@weft/policies/identity/spiffe-id';
import { testCertificate } from '@weft/policies/identity/x509/certificate.testing';
import { parseCsr } from '@weft/policies/identity/x509/csr';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { Revocation } from '@weft/policies/model/trust';
import { memoryState } from '../workload-api/handed-out.ts';
import { IdentityManager } from './manager.ts';
import type { TrustData } from './peer-trust.ts';

const OURS = 'cluster.local' as TrustDomain;
const OLD = 'old.local' as TrustDomain;
const PARTNER = 'partner.example' as TrustDomain;
const OTHER = 'other.example' as TrustDomain;
const ID = 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId;
const WEB: Revocation = { kind: 'identity', spiffeId: ID, issuedBeforeUnixMs: 0, reason: 'stolen' };

async function issued() {
  const clock = new ManualClock(Date.now());
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = (id: SpiffeId | undefined, publicKey = keys.publicKey, serial = 1): Promise<Uint8Array> =>
    testCertificate({
      issuer: 'ours',
      issuerKey: keys.privateKey,
      publicKey,
      id,
      serial: new Uint8Array([serial]),
      notBeforeMs: clock.unixMs() - 1_000,
      notAfterMs: clock.unixMs() + 3_600_000,
    });
  const root = await certificate(undefined);
  const lines: string[] = [];
  const events: string[] = [];
  const manager = new IdentityManager({
    spiffeId: ID,
    sign: async (csr) => {
      const parsed = parseCsr(csr);
      assert.ok(parsed.ok);
      const chain = [await certificate(ID, parsed.value.publicKey, 2)];
      return { chain, trustAnchors: [root], authorityUnixMs: clock.unixMs() };
    },
    state: memoryState(),
    clock,
    prng: new SeededPrng(1),
    log: (line) => lines.push(line),
    count: (event) => events.push(event),
  });
  const first = new Promise<void>((resolve) => manager.onChange(() => resolve()));
  manager.start();
  clock.advance(0);
  await first;
  const trust = (bundles: Readonly<Record<string, string>>, more: Partial<TrustData> = {}): TrustData => ({
    ownDomain: OURS,
    bundles: [
      { trustDomain: OURS, anchorsPem: pemOf(root) },
      ...Object.entries(bundles).map(([name, anchorsPem]) => ({ trustDomain: name as TrustDomain, anchorsPem })),
    ],
    aliases: [],
    revoked: [],
    ...more,
  });
  const held = (domain: string): string | undefined =>
    manager.material?.trust?.bundles.find(({ trustDomain }) => trustDomain === domain)?.anchorsPem;
  return { manager, root, lines, events, trust, held };
}

describe('a bundle of another trust domain that cannot be used', () => {
  test('keeps back nothing of ours: a new anchor, aliases and revocations hold, and so do other domains', async (t) => {
    const { manager, root, lines, events, trust, held } = await issued();
    t.after(() => manager.close());
    const [good, other, next] = [await rootNamed('good'), await rootNamed('other'), await rootNamed('ours, the next')];
    manager.adoptTrust(trust({ [PARTNER]: pemOf(good), [OTHER]: pemOf(other) }));
    const bad = pemOf(await unreadableRoot('bad'));
    const told = trust(
      { [OLD]: pemOf(root, next), [PARTNER]: bad, [OTHER]: pemOf(other) },
      { aliases: [OLD], revoked: [WEB] },
    );
    const bundles = told.bundles.map((one) =>
      one.trustDomain === OURS ? { ...one, anchorsPem: pemOf(root, next) } : one,
    );
    manager.adoptTrust({ ...told, bundles });
    assert.equal(held(OURS), pemOf(root, next));
    assert.equal(held(OTHER), pemOf(other));
    assert.equal(held(PARTNER), pemOf(good), 'the last good one');
    const peers = manager.own()?.trust;
    assert.match(peers?.refusal({ spiffeId: ID, serialHex: '1', notBeforeUnixMs: 0 }) ?? '', /is revoked: stolen/);
    assert.ok(peers?.isSame('spiffe://old.local/a', 'spiffe://cluster.local/a'));
    const said = lines.filter((line) => line.startsWith('trust:'));
    assert.equal(said.length, 1);
    assert.match(
      said[0] ?? '',
      /^trust: the bundle of partner\.example is not taken: anchor 1: .*its last good one stays$/,
    );
    assert.equal(events.filter((event) => event === 'trust_bundle_refused').length, 1);
    assert.deepEqual(
      manager.refusedBundles.map(({ trustDomain, kept }) => ({ trustDomain, kept })),
      [{ trustDomain: PARTNER, kept: true }],
    );
    manager.adoptTrust({ ...told, bundles, revoked: [] });
    assert.equal(events.filter((event) => event === 'trust_bundle_refused').length, 1, 'once, not with each change');
    manager.adoptTrust(trust({ [PARTNER]: pemOf(good), [OTHER]: pemOf(other) }));
    assert.deepEqual(manager.refusedBundles, []);
  });

  test('without one that was good before, nobody of it is believed', async (t) => {
    const { manager, trust, held, lines } = await issued();
    t.after(() => manager.close());
    manager.adoptTrust(trust({ [PARTNER]: pemOf(...(await crowdedRoots())) }));
    assert.equal(held(PARTNER), undefined);
    assert.match(lines.at(-1) ?? '', /the names of its anchors have .*nobody of it is believed$/);
    manager.adoptTrust(trust({ [PARTNER]: pemOf(await rootNamed('good')) }));
    assert.ok(held(PARTNER) !== undefined);
  });

  test('also when it has become bad because an anchor of ours goes by its name now', async (t) => {
    const { manager, root, trust, held } = await issued();
    t.after(() => manager.close());
    const partner = { [PARTNER]: pemOf(await rootNamed('taken')) };
    manager.adoptTrust(trust(partner));
    const ours = { trustDomain: OURS, anchorsPem: pemOf(root, await rootNamed('taken')) };
    manager.adoptTrust({ ...trust(partner), bundles: [ours, ...trust(partner).bundles.slice(1)] });
    assert.equal(held(OURS), ours.anchorsPem);
    assert.equal(held(PARTNER), undefined);
  });

  test('our own that cannot be used is refused whole, and what held goes on', async (t) => {
    const { manager, trust, held } = await issued();
    t.after(() => manager.close());
    manager.adoptTrust(trust({}));
    const before = held(OURS);
    const bad = { trustDomain: OURS, anchorsPem: pemOf(await unreadableRoot('bad')) };
    assert.throws(() => manager.adoptTrust({ ...trust({}), bundles: [bad] }), /trust anchors of cluster\.local/);
    assert.equal(held(OURS), before);
  });
});
