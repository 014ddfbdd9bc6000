/** What `weft identity serve` knows of trust: anchors, aliases, revocations and keys of JWT-SVIDs, of every trust domain. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createRoot } from '@weft/control-plane/ca/root';
import { syncReport } from '@weft/control-plane/monitoring/sync';
import { type ClientIdentity, signFor, trustDomain } from '@weft/control-plane/testing/harness';
import { web } from '@weft/control-plane/testing/shop';
import { DeltaClient } from '@weft/control-plane/testing/xds-client';
import { parseTrustDomain, type SpiffeId } from '@weft/policies/identity/spiffe-id';
import { decodePem } from '@weft/policies/identity/x509/pem';
import { JWTBundlesRequestSchema, JWTBundlesResponseSchema } from '@weft/policies/wire/gen/spiffe/workload/workload_pb';
import { waitFor } from '../support/wait.ts';
import { agentRig, ask, vm, x509 } from './workload-api.fixture.ts';

/** In DER, one after the other: each begins as a SEQUENCE with two octets of length. */
function certificatesIn(der: Uint8Array = new Uint8Array(0)): number {
  let count = 0;
  for (let at = 0; at < der.length; count++) at += 4 + Buffer.from(der).readUInt16BE(at + 2);
  return count;
}

describe('trust of an agent', () => {
  let rig: Awaited<ReturnType<typeof agentRig>>;
  before(async () => {
    rig = await agentRig();
  });
  after(() => rig?.stop());

  test('trust is told as it changes, with aliases and revocations, acknowledged, and kept for a restart', async () => {
    const { agent, socket } = await rig.start('told', rig.issue());
    assert.ok(agent.ok);
    await ask(socket, 'FetchX509SVID', x509, {});
    const row = await waitFor('the acknowledgement', () =>
      syncReport(rig.harness.mesh.hub).sidecars.find(({ pod, synced }) => synced && pod.startsWith('shop/agent~vm~')),
    );
    assert.deepEqual(
      row.types.map(({ kind, subscribed, acked }) => ({ kind, subscribed, acked })),
      [{ kind: 'secret', subscribed: 2, acked: 2 }],
    );
    const another = decodePem('CERTIFICATE', (await createRoot(trustDomain(), Date.now())).chainPem);
    assert.ok(another.ok);
    rig.harness.ca.use(rig.harness.ca.issuer, [...rig.harness.ca.anchors(), ...another.value]);
    const anchors = async (): Promise<number> => {
      const { messages } = await ask(socket, 'FetchX509SVID', x509, {});
      return certificatesIn(messages[0]?.svids[0]?.bundle);
    };
    await waitFor('the second anchor', async () => ((await anchors()) === 2 ? true : undefined));
    rig.harness.apply(
      'apiVersion: weft.dev/v1alpha1\nkind: Mesh\nmetadata: { name: default }\nspec: { trust: { aliases: [old.local] } }\n',
    );
    const alias = 'spiffe://old.local/ns/shop/sa/vm' as SpiffeId;
    rig.harness.mesh.trust.revoke([{ kind: 'identity', spiffeId: alias, issuedBeforeUnixMs: 0, reason: 'a drill' }]);
    await waitFor('the revocation, of its other name', () =>
      rig.lines.find((line) => /is revoked: a drill; asking/.test(line)),
    );
    rig.harness.mesh.trust.revoke([]);
    rig.harness.mesh.delete('Mesh', 'default');
    await waitFor('its end', () =>
      syncReport(rig.harness.mesh.hub).sidecars.every(({ synced }) => synced) ? true : undefined,
    );
    await waitFor('the snapshot', () => existsSync(join(rig.folder, 'told', 'snapshot.bin')) || undefined);
  });

  test('by that way a process is told of trust alone, and a pod or a stranger does not come by it', async () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const joined = await signFor(
      rig.harness,
      { joinToken: rig.issue().reveal() },
      { namespace: 'shop', serviceAccount: 'vm' },
      undefined,
      keys,
    );
    assert.ok(joined.ok);
    const certificate = { chainPem: joined.chainPem, key: keys.privateKey };
    const ofPod = await signFor(rig.harness, { token: 'web-token' }, { namespace: 'shop', serviceAccount: 'web' });
    assert.ok(ofPod.ok);
    const outcome = async (
      identity: ClientIdentity,
      kind: 'secret' | 'listener' | 'address' | 'route',
      name: string,
    ) => {
      const client = DeltaClient.open(rig.harness, identity, { ...web, id: `agent~${vm}` });
      client.subscribe(kind, [name]);
      const { code, details } = await client.end();
      client.close();
      return `${code}: ${details}`;
    };
    for (const [kind, name] of [
      ['listener', 'inbound'],
      ['address', '10.96.0.10'],
      ['route', 'outbound/shop/cart/80'],
    ] as const)
      assert.match(
        await outcome({ certificate }, kind, name),
        /^PERMISSION_DENIED: a process without a pod is told of trust alone/,
      );
    assert.match(
      await outcome({ certificate: { chainPem: ofPod.chainPem, key: ofPod.key } }, 'secret', 'weft.dev/trust'),
      /^PERMISSION_DENIED: a certificate is renewed for the key/,
    );
    assert.match(
      await outcome({ token: 'web-token' }, 'secret', 'weft.dev/trust'),
      /^PERMISSION_DENIED: the credential is of a pod/,
    );
    assert.match(await outcome({ joinToken: rig.issue().reveal() }, 'secret', 'weft.dev/trust'), /^UNAUTHENTICATED/);
  });

  test('keys for JWT-SVIDs of federated trust domains are told beside ours', async () => {
    const partner = parseTrustDomain('partner.example');
    assert.ok(partner.ok);
    const key = {
      ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
      kid: 'theirs',
    };
    const anchorsPem = rig.harness.authority.trustBundlePem;
    rig.harness.mesh.trust.federate([
      { trustDomain: partner.value, anchorsPem, jwks: JSON.stringify({ keys: [key] }) },
    ]);
    const { agent, socket } = await rig.start('jwt-federated', rig.issue());
    assert.ok(agent.ok);
    const { messages } = await ask(socket, 'FetchJWTBundles', [JWTBundlesRequestSchema, JWTBundlesResponseSchema], {});
    const bundles = messages[0]?.bundles ?? {};
    assert.deepEqual(Object.keys(bundles).sort(), ['spiffe://cluster.local', 'spiffe://partner.example']);
    assert.equal(JSON.parse(Buffer.from(bundles['spiffe://partner.example'] ?? []).toString()).keys[0].kid, 'theirs');
    rig.harness.mesh.trust.federate([]);
  });
});
