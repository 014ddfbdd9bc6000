/** Two trust domains that exchange their bundles: our endpoint, our fetcher, and what happens when an endpoint misbehaves. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { CertificateAuthority } from '@weft/control-plane/ca/certificate-authority';
import { loadAuthority } from '@weft/control-plane/ca/material';
import { createRoot } from '@weft/control-plane/ca/root';
import { type BundleEndpointServer, startBundleEndpoint } from '@weft/control-plane/trust/bundle-endpoint';
import { Federation } from '@weft/control-plane/trust/federation';
import { fetchBundle } from '@weft/control-plane/trust/fetch-bundle';
import { MeshTrust } from '@weft/control-plane/trust/mesh-trust';
import { parseKind } from '@weft/policies/crds/kinds';
import { crowdedRoots, rootNamed, unreadableRoot } from '@weft/policies/identity/foreign-anchors.testing';
import { formatSpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import { waitFor } from '../support/wait.ts';
import { authorityOf, domain } from './partner.fixture.ts';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
let ours: CertificateAuthority;
let theirs: CertificateAuthority;
let endpoint: BundleEndpointServer;
let trust: MeshTrust;
let federation: Federation;

const bundleOf = (authority: CertificateAuthority, sequence = 1): string =>
  formatSpiffeBundle({ anchors: authority.anchors(), jwtKeys: [], sequence, refreshHintSeconds: 10 });

function meshWith(entry: object, ...others: readonly object[]) {
  const parsed = parseKind('Mesh', {
    kind: 'Mesh',
    metadata: { name: 'default' },
    spec: { trust: { federation: [{ trustDomain: 'partner.example', ...entry }, ...others] } },
  });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.value;
}

before(async () => {
  ours = await authorityOf(domain('cluster.local'));
  theirs = await authorityOf(domain('partner.example'));
  endpoint = await startBundleEndpoint({
    address: { host: '127.0.0.1', port: 0 },
    trustDomain: domain('partner.example'),
    namespace: 'weft-system',
    authority: theirs,
    jwtKeys: () => [{ kty: 'EC', crv: 'P-256', x: 'a', y: 'b', kid: 'one', use: 'jwt-svid' }],
    clock: systemClock,
    log,
  });
  trust = new MeshTrust((id) => id);
  federation = new Federation({
    trust,
    ownAnchors: () => ours.anchors(),
    fetch: fetchBundle,
    clock: systemClock,
    prng: systemPrng,
    log,
  });
});

after(() => {
  federation?.stop();
  endpoint?.stop();
});

const url = (): string => `https://127.0.0.1:${endpoint.port}/`;
const spiffe = (id = endpoint.spiffeId) => ({ url: url(), profile: 'HTTPSSPIFFE', spiffeId: id });

describe('federation', () => {
  test('the bundle that is known verifies its own endpoint, whose answer takes its place', async () => {
    assert.equal(endpoint.spiffeId, 'spiffe://partner.example/ns/weft-system/sa/weft-control-plane');
    federation.follow(meshWith({ bundle: bundleOf(theirs), endpoint: spiffe() }));
    assert.equal(trust.federated.length, 1, 'at once, by the bundle in the Mesh');
    const second = await createRoot(domain('partner.example'), Date.now());
    const loaded = loadAuthority(second, {
      clock: systemClock,
      issued: { trustDomain: domain('partner.example'), dnsName: undefined },
    });
    assert.ok(loaded.ok);
    theirs.use(theirs.issuer, [...theirs.anchors(), ...loaded.value.trustAnchors]);
    federation.follow(undefined);
    assert.deepEqual(trust.federated, [], 'whoever is not named is not believed');
    federation.follow(meshWith({ bundle: bundleOf(theirs), endpoint: spiffe() }));
    const anchors = (): number => (trust.federated[0]?.anchorsPem ?? '').split('BEGIN CERTIFICATE').length - 1;
    await waitFor('both anchors', () => (anchors() === 2 ? true : undefined));
    assert.deepEqual(federation.problems(), []);
  });

  test('an endpoint that is somebody else is not believed, and the last good bundle is kept', async () => {
    const other = 'spiffe://partner.example/ns/other/sa/other';
    federation.follow(meshWith({ bundle: bundleOf(theirs), endpoint: spiffe(other) }));
    const problem = await waitFor('the problem', () => federation.problems()[0]);
    assert.match(
      problem,
      /^partner.example: the endpoint is URI:spiffe:.* expected spiffe:\/\/partner.example\/ns\/other/,
    );
    assert.equal(trust.federated.length, 1);
  });

  test('by the authorities of the system the same endpoint is nobody', async () => {
    const fetched = await fetchBundle({ url: url(), spiffe: undefined });
    assert.ok(!fetched.ok);
    assert.match(fetched.error, /certificate|verify/i);
  });

  test('a bundle with an anchor of our own name, without anchors, or of a leaf is refused by what is wrong', () => {
    federation.follow(meshWith({ bundle: bundleOf(ours) }));
    assert.match(federation.problems()[0] ?? '', /an anchor has the name of one of our own/);
    assert.deepEqual(trust.federated, []);
    federation.follow(meshWith({ bundle: '{"keys":[]}' }));
    assert.match(federation.problems()[0] ?? '', /no key with use x509-svid/);
    federation.follow(meshWith({ bundle: '{"keys":[{"use":"x509-svid","x5c":["AAAA"]}]}' }));
    assert.match(federation.problems()[0] ?? '', /keys\[0\].x5c/);
  });

  test('a bundle that TLS could not use is refused where it comes in, and costs no other trust domain', async () => {
    const bundle = (...anchors: readonly Uint8Array[]): string =>
      formatSpiffeBundle({ anchors, jwtKeys: [], sequence: 1, refreshHintSeconds: 10 });
    const other = { trustDomain: 'other.example', bundle: bundle(await rootNamed('other')) };
    for (const [bad, reason] of [
      [[await rootNamed('good'), await unreadableRoot('bad')], /^partner.example: anchor 2: /],
      [await crowdedRoots(), /^partner.example: the names of its anchors have \d+ bytes/],
    ] as const) {
      federation.follow(meshWith({ bundle: bundle(...bad) }, other));
      assert.match(federation.problems()[0] ?? '', reason);
      assert.deepEqual(
        trust.federated.map(({ trustDomain }) => trustDomain),
        ['other.example'],
      );
    }
  });

  test('an anchor of ours that goes by a name of the partner’s ends what was held of it, and nothing else', async () => {
    const bundle = (...anchors: readonly Uint8Array[]): string =>
      formatSpiffeBundle({ anchors, jwtKeys: [], sequence: 1, refreshHintSeconds: 10 });
    const other = { trustDomain: 'other.example', bundle: bundle(await rootNamed('other')) };
    federation.follow(meshWith({ bundle: bundle(await rootNamed('taken')) }, other));
    assert.equal(trust.federated.length, 2);
    const before = ours.anchors();
    ours.use(ours.issuer, [...before, await rootNamed('taken')]);
    federation.recheck();
    assert.deepEqual(
      trust.federated.map(({ trustDomain }) => trustDomain),
      ['other.example'],
    );
    assert.match(federation.problems()[0] ?? '', /^partner.example: an anchor has the name of one of our own; nobody/);
    ours.use(ours.issuer, before);
  });

  test('an endpoint that is to show an identity is not asked while nothing can verify it', async () => {
    const fetched = await fetchBundle({ url: url(), spiffe: { id: endpoint.spiffeId, anchorsPem: '' } });
    assert.ok(!fetched.ok);
    assert.match(fetched.error, /no bundle to verify the endpoint with/);
  });

  test('a partner whose anchor has the name of one of another partner does not stand in its way', async () => {
    const [first, second] = [await rootNamed('Shared root'), await rootNamed('Shared root')];
    const bundle = (anchor: Uint8Array): string =>
      formatSpiffeBundle({ anchors: [anchor], jwtKeys: [], sequence: 1, refreshHintSeconds: 10 });
    const other = { trustDomain: 'other.example', bundle: bundle(second) };
    federation.follow(meshWith({ bundle: bundle(first) }, other));
    assert.deepEqual(federation.problems(), [
      'other.example: an anchor has the name of one of partner.example, and is another; nobody of it is believed',
    ]);
    assert.equal(trust.federated.length, 1);
    federation.follow(meshWith({ bundle: bundle(first) }, { ...other, bundle: bundle(first) }));
    assert.deepEqual(federation.problems(), []);
    assert.equal(trust.federated.length, 2, 'one root may vouch for two');
  });
});
