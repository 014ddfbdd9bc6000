/** Trust of the control plane in sidecars: told when it changes, acknowledged, kept over a restart, and acted on by both. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createRoot } from '@weft/control-plane/ca/root';
import { syncReport } from '@weft/control-plane/monitoring/sync';
import { type Harness, signFor, startHarness, trustDomain } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { decodePem } from '@weft/policies/identity/x509/pem';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import { TRUST_SECRETS } from '@weft/policies/model/trust';
import { ControlChannel } from '@weft/sidecar/control-channel';
import { IdentityManager } from '@weft/sidecar/identity/manager';
import { StateDir } from '@weft/sidecar/identity/state-dir';
import { followTrust } from '@weft/sidecar/identity/trust-follower';
import { controlWire } from '@weft/sidecar/wire/codec';
import { XdsClient } from '@weft/sidecar/xds/client';
import { waitFor } from '../support/wait.ts';

const WEB = 'spiffe://cluster.local/ns/shop/sa/web' as SpiffeId;
const folder = mkdtempSync(join(tmpdir(), 'weft-trust-'));
const closing: (() => void)[] = [];
let harness: Harness;

before(async () => {
  harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
  writeFileSync(join(folder, 'token'), 'web-token');
  writeFileSync(join(folder, 'root-cert.pem'), harness.authority.trustBundlePem);
});

after(async () => {
  for (const close of closing) close();
  await harness.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The control side of a sidecar, with its state in a folder. */
function sidecar() {
  const opened = StateDir.open(join(folder, 'state'), true);
  assert.ok(opened.ok);
  const state = opened.value;
  const channel = new ControlChannel({
    target: harness.address,
    serverName: 'weft-control-plane.weft-system.svc',
    trustFile: join(folder, 'root-cert.pem'),
    tokenFile: join(folder, 'token'),
    clock: systemClock,
    wire: () => controlWire,
  });
  const lines: string[] = [];
  const common = {
    clock: systemClock,
    prng: systemPrng,
    count: () => undefined,
    log: (line: string) => lines.push(line),
  };
  const identity = new IdentityManager({ ...common, spiffeId: WEB, sign: (csr) => channel.sign(csr), state });
  const xds = new XdsClient({
    ...common,
    open: (listener) => channel.openDiscovery(listener),
    wire: () => controlWire,
    nodeId: 'sidecar~10.200.0.10~web-a.shop~cluster.local',
    listeners: [],
    secrets: TRUST_SECRETS,
    waitersMax: 10,
    namesMax: 10,
    store: { load: () => state.read('snapshot.bin'), save: (bytes) => void state.write('snapshot.bin', bytes) },
  });
  followTrust(xds.source, WEB, identity);
  closing.push(() => {
    identity.close();
    xds.close();
    channel.close();
  });
  return { identity, xds, lines };
}

const anchorsIn = (pem: string): number => pem.split('BEGIN CERTIFICATE').length - 1;

describe('trust of the control plane', () => {
  let running: ReturnType<typeof sidecar>;

  test('reaches a sidecar when it changes, and is acknowledged', async () => {
    running = sidecar();
    running.identity.start();
    running.xds.start();
    await waitFor('certificate and trust', () => running.identity.own()?.trust);
    const first = running.identity.own();
    assert.equal(anchorsIn(first?.trustPem ?? ''), 1);
    const another = decodePem('CERTIFICATE', (await createRoot(trustDomain(), Date.now())).chainPem);
    assert.ok(another.ok);
    harness.ca.use(harness.ca.issuer, [...harness.ca.anchors(), ...another.value]);
    await waitFor('the second anchor', () =>
      anchorsIn(running.identity.own()?.trustPem ?? '') === 2 ? true : undefined,
    );
    assert.equal(running.identity.own()?.serialHex, first?.serialHex, 'without another certificate');
    assert.notEqual(running.identity.own()?.generation, first?.generation, 'and sessions begin anew');
    await waitFor('the acknowledgement', () => {
      const [one] = syncReport(harness.mesh.hub).sidecars;
      const secrets = one?.types.find(({ kind }) => kind === 'secret');
      return secrets !== undefined && secrets.subscribed === 2 && secrets.acked === 2 ? true : undefined;
    });
  });

  test('a revocation is refused by the authority, and known to the sidecar', async () => {
    const account = { namespace: 'shop', serviceAccount: 'web' };
    const before = await signFor(harness, { token: 'web-token' }, account);
    assert.ok(before.ok);
    harness.mesh.trust.revoke([{ kind: 'identity', spiffeId: WEB, issuedBeforeUnixMs: 0, reason: 'stolen laptop' }]);
    const refused = await signFor(harness, { token: 'web-token' }, account);
    assert.ok(!refused.ok);
    assert.equal(`${refused.code}: ${refused.details}`, `PERMISSION_DENIED: ${WEB} is revoked: stolen laptop`);
    const byCertificate = await signFor(harness, { certificate: before }, account);
    assert.ok(!byCertificate.ok);
    assert.match(byCertificate.details, /client certificate is not taken: .* is revoked/);
    const own = { spiffeId: WEB, serialHex: '1', notBeforeUnixMs: 0 };
    await waitFor('the revocation', () => running.identity.own()?.trust?.refusal(own));
    await waitFor('the reason to ask for another certificate', () =>
      running.lines.find((line) => /stolen laptop; asking for another one/.test(line)),
    );
    harness.mesh.trust.revoke([]);
    await waitFor('its end', () => (running.identity.own()?.trust?.refusal(own) === undefined ? true : undefined));
  });

  test('survives a restart without the control plane', async () => {
    for (const close of closing.splice(0)) close();
    await harness.stop();
    const again = sidecar();
    assert.equal(again.xds.start(), true);
    assert.equal(anchorsIn(again.identity.own()?.trustPem ?? ''), 2);
    assert.equal(
      again.identity.own()?.trust?.refusal({ spiffeId: WEB, serialHex: '1', notBeforeUnixMs: 0 }),
      undefined,
    );
  });
});
