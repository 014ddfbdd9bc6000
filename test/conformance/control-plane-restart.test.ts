/** The control plane as a process that is killed, doubled and fed with broken objects. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { checkTrust } from '@weft/cli/checks';
import { Kube } from '@weft/cli/kube';
import { type ServerSide, signFor } from '@weft/control-plane/testing/harness';
import { DeltaClient, decoded } from '@weft/control-plane/testing/xds-client';
import { customResourceDefinition } from '@weft/policies/crds/crd';
import { kinds } from '@weft/policies/crds/kinds';
import { stringify } from 'yaml';
import { z } from 'zod';
import { startReplica } from '../integration/control-plane-replica.fixture.ts';
import { type ClusterRig, eventually, split, startClusterRig } from '../integration/control-plane-rig.fixture.ts';
import { startPartner } from '../integration/partner.fixture.ts';

const root = join(import.meta.dirname, '..', '..');
const cartPort = 'outbound/shop/cart/80';
const web = { pod: 'web-a', namespace: 'shop' };
const cart = { pod: 'cart-a', namespace: 'shop' };
const logLine = z.looseObject({
  message: z.string(),
  xdsPort: z.number().optional(),
  monitoringPort: z.number().optional(),
});
const policyStatus = z.looseObject({
  status: z.looseObject({
    conditions: z.array(
      z.looseObject({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() }),
    ),
  }),
});

interface Replica {
  readonly process: ChildProcess;
  readonly server: ServerSide;
  readonly monitoringPort: number;
}

describe('a control plane that is killed, doubled and fed with broken objects', () => {
  let rig: ClusterRig;
  let replica: Replica;
  let trustBundlePem = '';
  let webToken = '';
  let cartToken = '';

  const start = async (podName: string): Promise<Replica> => {
    const listen = '127.0.0.1:0';
    const child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        join(root, 'control-plane', 'main.ts'),
        '--xds',
        listen,
        '--webhook',
        listen,
        '--monitoring',
        listen,
      ],
      {
        env: { ...process.env, KUBECONFIG: join(rig.dir, 'account'), POD_NAME: podName, POD_NAMESPACE: 'weft-system' },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    for await (const line of createInterface(child.stdout)) {
      const { message, xdsPort, monitoringPort } = logLine.parse(JSON.parse(line));
      if (message !== 'serving' || monitoringPort === undefined) continue;
      child.stdout.resume();
      trustBundlePem ||= await rig.trustBundle('shop');
      return {
        process: child,
        monitoringPort,
        server: { address: `127.0.0.1:${xdsPort}`, authority: { trustBundlePem } },
      };
    }
    throw new Error('the control plane did not start');
  };
  const end = async (one: Replica, signal: NodeJS.Signals): Promise<void> => {
    if (one.process.exitCode !== null || one.process.signalCode !== null) return;
    const exit = once(one.process, 'exit');
    one.process.kill(signal);
    await exit;
  };
  const programmed = async (wanted: RegExp) =>
    eventually(`Programmed: ${wanted}`, async () =>
      (await rig.routeConditions('split'))?.find(
        (one) => one.type === 'weft.dev/Programmed' && wanted.test(`${one.status} ${one.message}`),
      ),
    );
  const leads = async (one: Replica): Promise<boolean> =>
    (await (await fetch(`http://127.0.0.1:${one.monitoringPort}/metrics`)).text()).includes(
      'weft_control_plane_leader 1',
    );

  before(async () => {
    rig = await startClusterRig();
    writeFileSync(join(rig.dir, 'account'), rig.accountKubeconfig);
    webToken = await rig.token('web', 'web-a');
    cartToken = await rig.token('cart', 'cart-a');
    replica = await start('weft-control-plane-0');
  });
  after(async () => {
    if (replica !== undefined) await end(replica, 'SIGTERM');
    await rig?.stop();
  });

  test('killed: the same root, sidecars come back to what changed meanwhile, and Programmed follows at once', async (t) => {
    const signed = await signFor(replica.server, { token: webToken }, { namespace: 'shop', serviceAccount: 'web' });
    assert.ok(signed.ok);
    const certificate = { chainPem: signed.chainPem, key: signed.key };
    const first = DeltaClient.open(replica.server, { certificate }, web);
    t.after(() => first.close());
    await rig.apply(split(10));
    first.subscribe('route', [cartPort]);
    const before = await first.next();
    first.ack('route', before);
    await programmed(/^True generation 1 live on 1 of 1 sidecars connected to weft-control-plane-0$/);
    await end(replica, 'SIGKILL');
    await rig.apply(split(20));
    replica = await start('weft-control-plane-0');
    assert.equal(await rig.trustBundle('shop'), trustBundlePem);
    // Nobody is back yet, so that nothing can be claimed about what changed.
    await programmed(/^Unknown generation 2 live on 0 of 0 .* others are still coming back$/);
    const back = DeltaClient.open(replica.server, { certificate }, web);
    const other = DeltaClient.open(replica.server, { token: cartToken }, cart);
    t.after(() => [back, other].map((one) => one.close()));
    other.subscribe('listener', ['inbound']);
    other.ack('listener', await other.next());
    back.subscribe('route', [cartPort], { [cartPort]: before.resources[0]?.version ?? '' });
    const changed = await back.next();
    const route = decoded(changed.resources[0]?.resource);
    assert.ok(route.kind === 'route');
    const fromMs = Date.now();
    back.ack('route', changed);
    await programmed(/^True generation 2 live on 1 of 1 /);
    assert.ok(Date.now() - fromMs < 4_000, 'without waiting for the time in which others might come');
  });

  test('two replicas serve, one writes; when it goes the other takes over', async (t) => {
    const second = await start('weft-control-plane-1');
    t.after(() => end(second, 'SIGTERM'));
    const here = DeltaClient.open(replica.server, { token: webToken }, web);
    const there = DeltaClient.open(second.server, { token: cartToken }, cart);
    t.after(() => [here, there].map((one) => one.close()));
    for (const client of [here, there]) {
      client.subscribe('route', [cartPort]);
      client.ack('route', await client.next());
    }
    assert.deepEqual([await leads(replica), await leads(second)], [true, false]);
    await rig.apply(split(30));
    for (const client of [here, there]) client.ack('route', await client.next());
    await programmed(/^True generation 3 live on 1 of 1 sidecars connected to weft-control-plane-0$/);
    await end(replica, 'SIGTERM');
    await eventually('the other one leads', async () => ((await leads(second)) ? true : undefined));
    await rig.apply(split(40));
    there.ack('route', await there.next());
    await programmed(/^True generation 4 live on 1 of 1 sidecars connected to weft-control-plane-1$/);
    await end(second, 'SIGTERM');
    replica = await start('weft-control-plane-0');
  });

  const policy = (name: string, more = ''): string => `
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: cart }]
  timeouts: { request: 3s }
${more}`;
  const accepted = (name: string, wanted: RegExp) =>
    eventually(`Accepted of ${name}: ${wanted}`, async () => {
      const answer = await rig.admin.get(`/apis/weft.dev/v1alpha1/namespaces/shop/trafficpolicies/${name}`);
      const parsed = answer.ok ? policyStatus.safeParse(answer.value) : undefined;
      const one = parsed?.data?.status.conditions.find(({ type }) => type === 'Accepted');
      return one !== undefined && wanted.test(`${one.status} ${one.reason} ${one.message}`) ? one : undefined;
    });

  test('a replica knows other trust domains and who is revoked before it serves anybody, also while the partner is away', async (t) => {
    const partner = await startPartner('partner.example');
    t.after(() => partner.stop());
    const revoked = {
      identity: 'spiffe://cluster.local/ns/shop/sa/gone',
      reason: 'a drill',
      at: '2026-01-01T00:00:00Z',
    };
    const data = { gone: JSON.stringify(revoked) };
    const metadata = { name: 'weft-revocations', namespace: 'weft-system' };
    await rig.apply(stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }));
    await rig.apply(stringify(partner.mesh));
    t.after(async () => {
      await rig.kubectl(['delete', 'mesh', 'default']);
      await rig.kubectl(['delete', 'configmap', 'weft-revocations', '-n', 'weft-system']);
    });
    await eventually('the bundle in its ConfigMap', async () => {
      const kept = await rig.kubectl(['get', 'configmaps', '-n', 'weft-system', '-o', 'jsonpath={.items[*].data}']);
      return /partner\.example/.test(kept) ? true : undefined;
    });
    partner.stop();
    const tooMany = { ...data, unread: 'what is this' };
    await rig.apply(stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: tooMany }));
    await eventually('what "weft check" says of it', async () => {
      const said: string[] = [];
      for await (const { name, state, hint } of checkTrust(Kube.open(join(rig.dir, 'kubeconfig'))))
        said.push(`${state} ${name}: ${hint}`);
      return (
        said.some((line) => /^failed every revocation is in force: Malformed: 1 are not .*: unread: /.test(line)) ||
        undefined
      );
    });
    const second = await startReplica({ name: 'weft-control-plane-2', kubeconfig: rig.accountKubeconfig });
    t.after(() => second.stop());
    const { trust } = second.mesh;
    assert.deepEqual(
      trust.federated.map(({ trustDomain }) => trustDomain),
      ['partner.example'],
    );
    assert.equal(trust.revoked.length, 1);
    await eventually(
      'why it is not the newest',
      () => /; what was fetched at .* holds$/.test(trust.federationProblems?.()[0] ?? '') || undefined,
    );
  });

  test('a field of a later version is pruned by the CRD; stored under a wider one it is named, and the rest ships', async () => {
    await rig.kubectl(['apply', '--validate=false', '-f', '-'], policy('later', '  telepathy: { after: 10ms }\n'));
    await accepted('later', /^True Accepted/);
    assert.doesNotMatch(
      await rig.kubectl(['get', 'tp', 'later', '-n', 'shop', '-o', 'yaml']),
      /telepathy: *\n? *after/,
    );
    const wider = JSON.stringify(customResourceDefinition(kinds.TrafficPolicy)).replace(
      '"spec":{"description"',
      '"spec":{"x-kubernetes-preserve-unknown-fields":true,"description"',
    );
    assert.match(wider, /preserve-unknown-fields/);
    await rig.apply(wider);
    await eventually('the wider CRD', async () => {
      await rig.kubectl(['apply', '--validate=false', '-f', '-'], policy('broken', '  telepathy: { after: 10ms }\n'));
      return /"telepathy":/.test(await rig.kubectl(['get', 'tp', 'broken', '-n', 'shop', '-o', 'jsonpath={.spec}']))
        ? true
        : undefined;
    });
    await accepted('broken', /^False Invalid spec\.telepathy: is no field of this kind.*nothing of it is served$/);
    await rig.apply(policy('sound'));
    await accepted('sound', /^True Accepted/);
    await rig.apply(stringify(customResourceDefinition(kinds.TrafficPolicy)));
    await rig.kubectl(['delete', 'tp', '-n', 'shop', '--all']);
  });

  test('routes at every limit ship; one whose pattern no sidecar would take is told so and harms no other', async (t) => {
    const client = DeltaClient.open(replica.server, { token: webToken }, web);
    t.after(() => client.close());
    client.subscribe('route', [cartPort]);
    client.ack('route', await client.next());
    const rules = (count: number, matches: number, type = 'PathPrefix', path = '/p') =>
      Array.from({ length: count }, (_, rule) => ({
        matches: Array.from({ length: matches }, (_, match) => ({ path: { type, value: `${path}${rule}-${match}` } })),
        backendRefs: [{ name: 'cart', port: 80 }],
      }));
    const route = (name: string, list: readonly object[]): string =>
      stringify({
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'HTTPRoute',
        metadata: { name, namespace: 'shop' },
        spec: { parentRefs: [{ group: '', kind: 'Service', name: 'cart', port: 80 }], rules: list },
      });
    assert.match(await rig.applyFails(route('wide', rules(16, 64))), /all rules together may have 128 matches/);
    await rig.apply(route('wide', rules(16, 8)));
    const shipped = decoded((await client.next()).resources[0]?.resource);
    assert.ok(shipped.kind === 'route');
    assert.equal(shipped.value.virtualHosts[0]?.routes.filter((one) => one.name.startsWith('shop/wide/')).length, 128);
    for (const pattern of ['(a+)\\1x', '(?=a)', '[']) {
      await rig.apply(route('odd', rules(1, 1, 'RegularExpression', pattern)));
      const refused = await eventually(`verdict about ${pattern.slice(0, 10)}`, async () =>
        (await rig.routeConditions('odd'))?.find((one) => one.type === 'Accepted' && one.status === 'False'),
      );
      assert.equal(refused.reason, 'UnsupportedValue');
      assert.match(refused.message, /^spec\.rules\[0\]\.matches\[0\]\.path\.value: pattern /);
      await rig.kubectl(['delete', 'httproute', 'odd', '-n', 'shop']);
    }
    assert.equal((await rig.routeConditions('wide'))?.find((one) => one.type === 'Accepted')?.status, 'True');
    assert.ok(await client.quiet(), 'what is refused is not sent');
  });

  test('everything is deleted: sidecars are told, and the control plane goes on', async (t) => {
    const client = DeltaClient.open(replica.server, { token: webToken }, web);
    t.after(() => client.close());
    client.subscribe('route', [cartPort]);
    client.ack('route', await client.next());
    for (const kinds of [
      'httproute,trafficpolicy,authorizationpolicy',
      'service',
      'pod --grace-period=0 --force',
      'mesh',
    ]) {
      await rig.kubectl(['delete', ...kinds.split(' '), '--all', ...(kinds === 'mesh' ? [] : ['-n', 'shop'])]);
    }
    for (;;) {
      const response = await client.next();
      client.ack('route', response);
      if (response.removedResources.includes(cartPort)) break;
    }
    const late = await eventually('a refusal, as the pod of the token is gone', async () => {
      const signed = await signFor(replica.server, { token: webToken }, { namespace: 'shop', serviceAccount: 'web' });
      return signed.ok ? undefined : signed;
    });
    assert.match(
      `${late.code} ${late.details}`,
      /PERMISSION_DENIED there is no pod shop\/web-a|UNAUTHENTICATED token refused/,
    );
    assert.equal((await fetch(`http://127.0.0.1:${replica.monitoringPort}/readyz`)).status, 200);
  });
});
