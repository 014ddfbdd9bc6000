/**
 * The main job, as a new user does it, on one shared mesh: the demo comes up, moves into the mesh under load, obeys
 * policies, survives its control plane, moves out again, and leaves nothing behind. The tests build on one another.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { startCapture } from '../support/capture.ts';
import { startMesh, type TestMesh } from '../support/mesh.ts';
import { Shop } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';
import { attackTests } from './attacks.ts';
import { authenticationTests } from './authentication.ts';
import { authorizationTests } from './authorization.ts';
import { rightsTests } from './rights.ts';
import { secretTests } from './secrets.ts';
import { traceTests } from './traces.ts';
import { workloadTests } from './workloads.ts';

const NAME = 'e2e';

let mesh: TestMesh;
let shop: Shop;
let stopped = false;

before(async () => {
  mesh = await startMesh(NAME, ['--demo']);
  shop = new Shop(mesh);
});

after(async () => {
  if (!stopped) await mesh?.stop();
});

describe('the mesh from one command', () => {
  test('says what to type next, and the demo serves without a failure', async () => {
    assert.match(mesh.output(), /kubectl label namespace shop weft\.dev\/inject=enabled/);
    assert.match(mesh.output(), /\.weft\/kubeconfig/);
    const pods = await shop.pods('shop');
    assert.equal(pods.length, 5);
    await shop.servedWithoutFailure(20);
  });

  test('weft check finds the mesh whole', async () => {
    const { stdout, code } = await mesh.weft('check', '--output', 'json');
    assert.equal(code, 0, stdout);
  });

  test('a labelled namespace moves into the mesh without a failed request', async () => {
    const before = await shop.stats();
    await mesh.kubectl('label', 'namespace', 'shop', 'weft.dev/inject=enabled');
    await shop.restart();
    for (const pod of await shop.pods('shop')) {
      const names = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map((container) => container.name);
      assert.ok(names.includes('weft-proxy'), `${pod.metadata.name} has ${names.join(', ')}`);
    }
    const table = await mesh.kubectl('get', 'pods', '-n', 'shop');
    assert.equal(table.match(/ 2\/2 +Running/g)?.length, 5, table);
    await shop.servedWithoutFailure(20);
    const now = await shop.stats();
    assert.equal(now.failed - before.failed, 0, now.errors.join('\n'));
  });

  rightsTests(NAME, 5);

  test('between sidecars everything is TLS 1.3 with the right SPIFFE IDs', async () => {
    const capture = await startCapture(NAME);
    await shop.servedWithoutFailure(20);
    const packets = await capture.stop();
    const cart = await shop.pod('cart');
    // While few requests are under way all of them may go to the version that answers faster.
    const catalogs = (await shop.pods('shop')).filter(({ metadata }) => metadata.name.startsWith('catalog'));
    const between = catalogs.flatMap(({ status }) => packets.between(cart.status.podIP, status.podIP));
    assert.ok(between.length > 0, 'nothing was seen between cart and catalog');
    assert.ok(!Buffer.concat(between).includes('HTTP/1.1'), 'plaintext HTTP between sidecars');
    const metrics = await shop.metrics(cart);
    assert.match(
      metrics,
      /weft_requests_total\{direction="inbound"[^}]*source_principal="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web"[^}]*mtls="true"/,
    );
    assert.match(
      metrics,
      /weft_requests_total\{direction="outbound"[^}]*destination_principal="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/catalog"[^}]*destination_service="shop\/catalog"/,
    );
  });

  test('weft status shows every sidecar with the newest configuration', async () => {
    const sidecars = await waitFor('five sidecars to be in step', async () => {
      const { stdout, code } = await mesh.weft('status', '--output', 'json');
      assert.equal(code, 0, stdout);
      const rows = JSON.parse(stdout) as {
        namespace: string;
        pending: number;
        rejected: number;
        acknowledged: number;
      }[];
      return rows.length === 5 && rows.every((row) => row.pending === 0) ? rows : undefined;
    });
    assert.ok(sidecars.every((row) => row.namespace === 'shop' && row.rejected === 0 && row.acknowledged > 0));
  });

  test('promtool accepts the metrics of a sidecar', async () => {
    const metrics = await shop.metrics(await shop.pod('web'));
    execFileSync('promtool', ['check', 'metrics'], { input: metrics, stdio: ['pipe', 'pipe', 'pipe'] });
  });
});

describe('policies', () => {
  test('an HTTPRoute moves traffic 90/10 within a second', async () => {
    const programmedMs = async (): Promise<number> => {
      await mesh.kubectl.apply(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: catalog, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: catalog, port: 80 }]
  rules:
    - backendRefs:
        - { name: catalog-v1, port: 80, weight: 90 }
        - { name: catalog-v2, port: 80, weight: 10 }
`);
      const appliedMs = performance.now();
      await waitFor(
        'the route to be programmed',
        () => shop.condition('httproute', 'catalog', 'weft.dev/Programmed'),
        20_000,
        20,
      );
      return performance.now() - appliedMs;
    };
    const tookMs = [await programmedMs()];
    // Whoever is held up once by other work on the machine is not so every time.
    while (Math.min(...tookMs) >= 1_000 && tookMs.length < 5) {
      await mesh.kubectl('delete', 'httproute', '-n', 'shop', 'catalog');
      tookMs.push(await programmedMs());
    }
    assert.ok(Math.min(...tookMs) < 1_000, `live after ${tookMs.map((ms) => ms.toFixed(0)).join(', ')} ms`);
    const versions = await shop.versionsOf(600);
    const share = (versions['v2'] ?? 0) / 600;
    // Binomial with p = 0.1 and n = 600: five standard deviations.
    assert.ok(Math.abs(share - 0.1) < 0.062, JSON.stringify(versions));
    assert.equal(await shop.condition('httproute', 'catalog', 'Accepted'), true);
    assert.equal(await shop.condition('httproute', 'catalog', 'ResolvedRefs'), true);
  });

  test('a wrong policy is refused with the field named', async () => {
    await assert.rejects(
      mesh.kubectl.apply(`
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: wrong, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: pricing }]
  retries: { attempts: 99 }
`),
      /spec\.retries\.attempts/,
    );
  });

  test('retries lift a service that fails 30 % to 99.5 %, within the budget that was given', async () => {
    await shop.setEnv('pricing', 'FAIL_PERCENT=30');
    const bare = await shop.successOf('catalog-v1', '/items/7', 300);
    assert.ok(bare < 0.85, `without a policy ${bare}`);
    await mesh.kubectl.apply(`
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: pricing, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: pricing }]
  retries: { attempts: 5, budget: { percent: 100, minConcurrency: 100 } }
`);
    await waitFor('retries to be live', async () =>
      (await shop.successOf('catalog-v1', '/items/7', 40)) === 1 ? true : undefined,
    );
    const retried = await shop.successOf('catalog-v1', '/items/7', 1_000);
    assert.ok(retried >= 0.995, `with retries ${retried}`);
  });

  test('the default budget of 20 % bites', async () => {
    await mesh.kubectl.apply(`
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: pricing, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: pricing }]
  retries: { attempts: 5 }
`);
    await shop.setEnv('pricing', 'FAIL_PERCENT=100');
    const pricing = await shop.pod('pricing');
    const requests = async (): Promise<number> => shop.inboundRequests(pricing);
    await shop.successOf('catalog-v1', '/items/7', 20);
    const before = await requests();
    await shop.successOf('catalog-v1', '/items/7', 400, 40);
    const attempts = (await requests()) - before;
    // Five retries each would be 2,400; a fifth of 40 concurrent requests is 8 retries at a time.
    assert.ok(attempts < 1_000, `${attempts} attempts for 400 requests`);
    await mesh.kubectl('delete', 'trafficpolicy', '-n', 'shop', 'pricing');
    await shop.setEnv('pricing', 'FAIL_PERCENT=0');
  });

  test('the breaker opens on a dead version and closes when it is back', async () => {
    await mesh.kubectl.apply(`
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: catalog-v2, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: catalog-v2 }]
  circuitBreaker: { errorRate: { thresholdPercent: 50, volume: 5, window: 5s, openFor: 1s } }
`);
    await mesh.kubectl('delete', 'httproute', '-n', 'shop', 'catalog');
    await shop.setEnv('catalog-v2', 'FAIL_PERCENT=100');
    const answers = await waitFor('the breaker to open', async () => {
      const seen = await shop.statusesFrom('cart', 'http://catalog-v2.shop.svc/items/7', 20);
      return seen['503'] !== undefined ? seen : undefined;
    });
    assert.ok(answers['503'], JSON.stringify(answers));
    await shop.setEnv('catalog-v2', 'FAIL_PERCENT=0');
    await waitFor('the breaker to close', async () => {
      const seen = await shop.statusesFrom('cart', 'http://catalog-v2.shop.svc/items/7', 10);
      return seen['200'] === 10 ? true : undefined;
    });
    await mesh.kubectl('delete', 'trafficpolicy', '-n', 'shop', 'catalog-v2');
  });

  test('an AuthorizationPolicy denies with 403, and the log names the rule', async () => {
    await mesh.kubectl.apply(`
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: no-web, namespace: shop }
spec:
  selector: { matchLabels: { app: pricing } }
  action: DENY
  rules:
    - name: from-web
      from: [{ serviceAccounts: [web] }]
`);
    await waitFor('web to be denied', async () => {
      const seen = await shop.statusesFrom('web', 'http://pricing.shop.svc/price/7', 5);
      return seen['403'] === 5 ? true : undefined;
    });
    assert.deepEqual(await shop.statusesFrom('catalog-v1', 'http://pricing.shop.svc/price/7', 5), { '200': 5 });
    const pricing = await shop.pod('pricing');
    await waitFor('the rule in the log', async () => {
      const log = await mesh.kubectl('logs', '-n', 'shop', pricing.metadata.name, '-c', 'weft-proxy');
      return /"status":403[^\n]*"rule":"shop\/no-web\/from-web"/.test(log) ? true : undefined;
    });
    await mesh.kubectl('delete', 'authorizationpolicy', '-n', 'shop', 'no-web');
  });
});

describe('attacks from inside the cluster', () => {
  attackTests(() => ({ mesh, shop }));
});

describe('authentication', () => authenticationTests(() => ({ mesh, shop })));

describe('authorization', () => authorizationTests(() => ({ mesh, shop })));

describe('other workloads', () => workloadTests(() => ({ mesh })));

describe('traces', () => traceTests(() => ({ mesh, shop })));

describe('failures', () => {
  test('traffic goes on without the control plane, also through a sidecar that restarts meanwhile', async () => {
    await shop.servedWithoutFailure(20);
    await shop.killControlPlane();
    await shop.servedWithoutFailure(40);
    const cart = await shop.pod('cart');
    const restarts = shop.restartsOf(cart, 'weft-proxy');
    shop.killProxy(cart);
    await waitFor('the sidecar to be back', async () => {
      const pod = await shop.pod('cart');
      return shop.restartsOf(pod, 'weft-proxy') > restarts && shop.isReady(pod) ? true : undefined;
    });
    // A killed proxy takes its open requests with it; what comes after is served, from the last good snapshot.
    await shop.settles();
    await shop.reviveControlPlane();
    await mesh.kubectl.apply(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: catalog, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: catalog, port: 80 }]
  rules: [{ backendRefs: [{ name: catalog-v2, port: 80 }] }]
`);
    await waitFor(
      'everything to converge',
      async () => (Object.keys(await shop.versionsOf(20)).join() === 'v2' ? true : undefined),
      30_000,
    );
    // It says so once the other sidecars are back as well.
    await waitFor(
      'Programmed',
      async () => ((await shop.condition('httproute', 'catalog', 'weft.dev/Programmed')) ? true : undefined),
      15_000,
    );
    await mesh.kubectl('delete', 'httproute', '-n', 'shop', 'catalog');
  });
});

describe('what was written down', () => {
  secretTests(() => ({ mesh, shop }));
});

describe('the way back', () => {
  test('an unlabelled namespace moves out without a failed request', async () => {
    await shop.servedWithoutFailure(20);
    const before = await shop.stats();
    await mesh.kubectl('label', 'namespace', 'shop', 'weft.dev/inject-');
    await shop.restart();
    for (const pod of await shop.pods('shop')) assert.equal(pod.spec.initContainers?.length ?? 0, 0);
    await shop.servedWithoutFailure(20);
    const now = await shop.stats();
    assert.equal(now.failed - before.failed, 0, now.errors.join('\n'));
  });

  test('Ctrl-C leaves no process, namespace, mount or link behind', async () => {
    stopped = true;
    await mesh.stop('SIGINT');
    const namespaces = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
    assert.ok(!namespaces.includes(`weft-${NAME}-`), namespaces);
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(`weft-${NAME}`));
    const left = readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`WEFT_MESH=${NAME}\0`);
      } catch {
        return false;
      }
    });
    assert.deepEqual(left, []);
  });
});
