/** Limits that two pods share: the listener that a real control plane sends, and its leases over the real channel. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Harness, startHarness } from '@weft/control-plane/testing/harness';
import { DeltaClient, decoded } from '@weft/control-plane/testing/xds-client';
import { systemClock } from '@weft/policies/kit/clock';
import { ControlChannel } from '@weft/sidecar/control-channel';
import { globalLimits } from '@weft/sidecar/quota/global-limits';
import { controlWire } from '@weft/sidecar/wire/codec';
import { waitFor } from '../support/wait.ts';

const podOf = (name: string, app: string, i: number): string => `
kind: Pod
metadata: { name: ${name}, namespace: shop, uid: uid-${name}, labels: { app: ${app} } }
spec:
  serviceAccountName: ${app}
  containers: [{ name: app, ports: [{ name: http, containerPort: 8080 }] }]
  initContainers: [{ name: weft-proxy, restartPolicy: Always }]
status: { phase: Running, podIP: 10.1.0.${i}, podIPs: [{ ip: 10.1.0.${i} }] }`;

const pods = [
  ['cart-a', 'cart'],
  ['cart-b', 'cart'],
  ['web-a', 'web'],
] as const;
const objects = `${pods.map(([name, app], i) => podOf(name, app, i + 1)).join('\n---\n')}
---
apiVersion: weft.dev/v1alpha1
kind: OverloadPolicy
metadata: { name: limits, namespace: shop }
spec:
  selector: { matchLabels: { app: cart } }
  rateLimits: [{ name: together, requests: 100, scope: Global }]
`;
const tokens = `
tokens:
${pods.map(([name, app]) => `  - { token: ${name}, namespace: shop, serviceAccount: ${app}, pod: ${name}, uid: uid-${name} }`).join('\n')}
`;
const limit = 'shop/limits/together';

describe('limits that pods share', { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-quota-'));
  const channels: ControlChannel[] = [];
  let harness: Harness;

  before(async () => {
    harness = await startHarness({ objects, tokens });
    writeFileSync(join(folder, 'trust.pem'), harness.authority.trustBundlePem);
  });

  after(async () => {
    for (const channel of channels) channel.close();
    await harness.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function channelOf(token: string): ControlChannel {
    writeFileSync(join(folder, token), token);
    const channel = new ControlChannel({
      target: harness.address,
      serverName: 'weft-control-plane.weft-system.svc',
      trustFile: join(folder, 'trust.pem'),
      tokenFile: join(folder, token),
      clock: systemClock,
      wire: () => controlWire,
    });
    channels.push(channel);
    return channel;
  }

  const nodeOf = (pod: string): string => `sidecar~10.1.0.1~${pod}.shop~cluster.local`;

  test('are named by the listener', async () => {
    const client = DeltaClient.open(harness, { token: 'cart-a' }, { pod: 'cart-a', namespace: 'shop' });
    client.subscribe('listener', ['inbound']);
    const resource = decoded((await client.next()).resources[0]?.resource);
    client.close();
    assert.ok(resource?.kind === 'listener');
    assert.deepEqual(globalLimits(resource.value), [limit]);
  });

  test('are leased by demand, and together never more than they are', async () => {
    const a = channelOf('cart-a');
    const b = channelOf('cart-b');
    const ask = async (channel: ControlChannel, pod: string, demandPerSecond: number, leasedPerSecond: number) => {
      const [lease] = await channel.lease(nodeOf(pod), [{ limit, demandPerSecond, leasedPerSecond }]);
      assert.ok(lease !== undefined);
      return lease;
    };
    // A control plane that has just started asks nobody to change what he may have.
    const first = await ask(a, 'cart-a', 500, 70);
    assert.deepEqual([first.tokensPerSecond, first.validMs, first.holders], [70, 10_000, 1]);
    assert.equal((await ask(b, 'cart-b', 100, 30)).tokensPerSecond, 30);
    // Then demand decides.
    let most = 0;
    await waitFor(
      'leases that follow demand',
      async () => {
        const ofA = await ask(a, 'cart-a', 300, 0);
        const ofB = await ask(b, 'cart-b', 100, 0);
        most = Math.max(most, ofA.tokensPerSecond + ofB.tokensPerSecond);
        return Math.abs(ofA.tokensPerSecond - 75) < 1 || undefined;
      },
      20_000,
      200,
    );
    assert.ok(most <= 100 + 1e-6, `${most}`);
  });

  test('are for the pods that they are about, and for nobody who says so', async () => {
    const uses = [{ limit, demandPerSecond: 1, leasedPerSecond: 0 }];
    assert.deepEqual(await channelOf('web-a').lease(nodeOf('web-a'), uses), []);
    await assert.rejects(channelOf('web-a').lease(nodeOf('cart-a'), uses), /may not ask for pod/);
    await assert.rejects(channelOf('nobody').lease(nodeOf('cart-a'), uses), /16/);
  });
});
