/** What a sidecar does before it is ready. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { ManualClock, systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import type { UpstreamTls } from '@weft/policies/model/tls';
import { warmUp } from '@weft/sidecar/warm-up';
import { tlsOfBootstrap, tlsOfMesh, type WarmUpTls } from '@weft/sidecar/warm-up-tls';
import { bootstrap, httpListener } from '../support/pair-bootstrap.ts';
import { freePort } from '../support/pair-process.ts';
import { adminPage, runSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { TestAuthority, TestCertificates } from './listener-rig.fixture.ts';

const ID = 'spiffe://cluster.local/ns/shop/sa/web' as SpiffeId;
const ALL = 100;

const passed = (tls: WarmUpTls | undefined): Promise<number> =>
  warmUp({ clock: systemClock, prng: systemPrng }, { budgetMs: 20_000, tls });

/** Settings of a cluster of a bootstrap whose certificate one authority has signed, and whose peers another one. */
async function clusterTls(own: TestAuthority, peers: TestAuthority): Promise<UpstreamTls> {
  const { certPem, keyPem } = await own.issue(ID);
  return {
    certificate: {
      kind: 'inline',
      certificateChain: { kind: 'pem', pem: certPem },
      privateKey: { kind: 'pem', pem: keyPem },
    },
    validation: { trust: { kind: 'inline', ca: { kind: 'pem', pem: peers.rootPem } }, subjectAltNames: [] },
    alpn: ['h2'],
    sni: '',
    parameters: { versionMin: 'TLSv1.2', versionMax: 'TLSv1.3' },
  };
}

test('with the certificate of a bootstrap all requests go through, with another authority none', async () => {
  const [own, other] = await Promise.all([TestAuthority.make(), TestAuthority.make('another root')]);
  assert.equal(await passed(tlsOfBootstrap([], [{ tls: undefined }, { tls: await clusterTls(own, own) }])), ALL);
  assert.equal(await passed(tlsOfBootstrap([], [{ tls: await clusterTls(own, other) }])), 0);
  assert.equal(tlsOfBootstrap([], [{ tls: undefined }]), undefined);
  assert.equal(await passed(undefined), ALL);
});

test('the certificate of a sidecar of the mesh is waited for', async () => {
  const authority = await TestAuthority.make();
  const certificates = new TestCertificates(undefined);
  const waiting = tlsOfMesh(certificates, new ManualClock());
  certificates.set(await authority.issue(ID));
  assert.equal(await passed(await waiting), ALL);
  assert.equal(await passed(await tlsOfMesh(certificates, new ManualClock())), ALL);
});

test('a certificate that does not come is not waited for any longer', async () => {
  const clock = new ManualClock();
  const waiting = tlsOfMesh(new TestCertificates(undefined), clock);
  clock.advance(1_000);
  assert.equal(await waiting, undefined);
});

test('one from a bootstrap serves who comes while it warms up, and is ready after that', async () => {
  const folder = testFolder('warm-up');
  const [port, adminPort] = [await freePort(), await freePort()];
  const here = {
    name: 'here',
    match: { prefix: '/' },
    direct_response: { status: 200, body: { inline_string: 'here' } },
  };
  const listener = httpListener({ name: 'here', at: { ip: '127.0.0.1', port }, direction: 'OUTBOUND', routes: [here] });
  const program = runSidecar(folder, bootstrap({ id: 'warm-up', listeners: [listener], clusters: [], adminPort }));
  try {
    // The first that finds the port open: the sidecar says that it is ready 50 ms later at least, or because of this one.
    const first = await waitFor('the port', async () => (await adminPage(port, '/')).text, 20_000, 1);
    assert.equal(first, 'here');
    await program.until('serving', () => program.stderr.includes(' serving '));
    assert.deepEqual(await adminPage(adminPort, '/ready'), { status: 200, text: 'LIVE\n' });
    assert.match((await adminPage(adminPort, '/stats')).text, /^http\.here\.downstream_rq_total: 1$/m);
  } finally {
    await program.stop();
    rmSync(folder, { recursive: true });
  }
});
