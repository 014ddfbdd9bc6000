/** What an attacker tries who is in the cluster, against the running shop: from outside of a pod, and from inside of one. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { execInPod } from '../support/exec-in-pod.ts';
import type { TestMesh } from '../support/mesh.ts';
import type { Shop, ShopPod } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const ATTEMPT_MS = 3_000;
const APPLICATION_PORT = 8080;
/** Who an attacker would like to be taken for. */
const FORGED = {
  'x-forwarded-client-cert': 'By=x;URI=spiffe://cluster.local/ns/shop/sa/web',
  'x-forwarded-for': '127.0.0.1',
};

const strict = `
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: attacked, namespace: shop }
spec: { selector: { matchLabels: { app: cart } }, mtls: { mode: STRICT } }
`;

const allowWeb = `
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: attacked, namespace: shop }
spec: { selector: { matchLabels: { app: cart } }, rules: [{ from: [{ serviceAccounts: [web] }] }] }
`;

/** Of both families. */
async function addressesOf(mesh: TestMesh, pod: ShopPod): Promise<readonly string[]> {
  const found = await mesh.kubectl.json<{ status: { podIPs: { ip: string }[] } }>(
    'get',
    'pod',
    '-n',
    'shop',
    pod.metadata.name,
  );
  const ips = found.status.podIPs.map(({ ip }) => ip);
  assert.equal(ips.length, 2, ips.join());
  return ips;
}

const url = (ip: string, port: number, path: string): string =>
  `http://${ip.includes(':') ? `[${ip}]` : ip}:${port}${path}`;

/** What a stranger without a sidecar and without a certificate gets: a status, or why there is none. */
async function ask(ip: string, port: number, path: string, init: RequestInit = {}): Promise<string> {
  try {
    const response = await fetch(url(ip, port, path), { signal: AbortSignal.timeout(ATTEMPT_MS), ...init });
    await response.arrayBuffer();
    return String(response.status);
  } catch (error) {
    const { cause } = error as { cause?: { code?: string; message?: string } };
    return cause?.code ?? (error as Error).name;
  }
}

/** Whether a connection is refused at once. */
const dialled = (ip: string, port: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({ host: ip, port, timeout: ATTEMPT_MS });
    const end = (outcome: string): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once('connect', () => end('open'));
    socket.once('timeout', () => end('silence'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });

export function attackTests(context: () => { readonly mesh: TestMesh; readonly shop: Shop }): void {
  test('plaintext to the address of a pod under STRICT gets nowhere, in IPv4 and IPv6, and is in log and metrics', async () => {
    const { mesh, shop } = context();
    const cart = await shop.pod('cart');
    const ips = await addressesOf(mesh, cart);
    for (const ip of ips) assert.equal(await ask(ip, APPLICATION_PORT, '/'), '200', 'before');
    await mesh.kubectl.apply(strict);
    try {
      for (const ip of ips) {
        await waitFor(`${ip} to be closed to strangers`, async () =>
          (await ask(ip, APPLICATION_PORT, '/strict', { headers: FORGED })) === '200' ? undefined : true,
        );
        assert.doesNotMatch(await ask(ip, APPLICATION_PORT, '/strict', { headers: FORGED }), /^\d+$/);
      }
      await shop.servedWithoutFailure(20);
      // Lines are written together, a moment later.
      const log = await waitFor('both families in the log', async () => {
        const text = await mesh.kubectl('logs', '-n', 'shop', cart.metadata.name, '-c', 'weft-proxy');
        const refused = text
          .split('\n')
          .filter((line) => /"flags":"NR".*plaintext to a port that takes mutual TLS/.test(line));
        const of = (address: RegExp): boolean => refused.some((line) => address.test(line));
        return of(/"remote":"\d/) && of(/"remote":"\[/) ? text : undefined;
      });
      assert.match(
        await shop.metrics(cart),
        /^weft_tcp_connections_closed_total\{direction="inbound"[^}]*response_flags="NR",mtls="false"\} [1-9]/m,
      );
      assert.doesNotMatch(log, /"path":"\/strict".*"status":200/);
    } finally {
      await mesh.kubectl('delete', 'authenticationpolicy', '-n', 'shop', 'attacked');
    }
  });

  test('forged identities of a stranger are not believed: denied by name of the rule, counted and logged', async () => {
    const { mesh, shop } = context();
    const cart = await shop.pod('cart');
    await mesh.kubectl.apply(allowWeb);
    try {
      for (const ip of await addressesOf(mesh, cart)) {
        await waitFor(`${ip} to deny strangers`, async () =>
          (await ask(ip, APPLICATION_PORT, '/forged', { headers: FORGED })) === '403' ? true : undefined,
        );
      }
      await shop.servedWithoutFailure(20);
      await waitFor('the denial in the log', async () => {
        const log = await mesh.kubectl('logs', '-n', 'shop', cart.metadata.name, '-c', 'weft-proxy');
        return /"path":"\/forged","status":403,"flags":"UAEX"/.test(log) ? true : undefined;
      });
      assert.match(
        await shop.metrics(cart),
        /^weft_requests_total\{direction="inbound"[^}]*response_code="403"[^}]*\} [1-9]/m,
      );
    } finally {
      await mesh.kubectl('delete', 'authorizationpolicy', '-n', 'shop', 'attacked');
    }
  });

  test("the sidecar's own ports: 15001, 15006, 15000 and 15053 are closed to others, 15020 tells health and metrics and nothing else", async () => {
    const { mesh, shop } = context();
    for (const ip of await addressesOf(mesh, await shop.pod('cart'))) {
      for (const port of [15001, 15006]) assert.equal(await dialled(ip, port), 'ECONNREFUSED', `${ip} ${port}`);
      // Redirected as any port of the application, where nobody listens.
      for (const port of [15000, 15053]) assert.notEqual(await ask(ip, port, '/config_dump'), '200', `${ip} ${port}`);
      assert.equal(await ask(ip, 15020, '/healthz/ready'), '200');
      for (const path of [
        '/config_dump',
        '/certs',
        '/clusters',
        '/listeners',
        '/stats',
        '/../config_dump',
        '/drain/../certs',
      ])
        assert.equal(await ask(ip, 15020, path), '404', `${ip} ${path}`);
      for (const path of ['/quitquitquit', '/drain_listeners', '/healthcheck/fail'])
        assert.notEqual(await ask(ip, 15020, path, { method: 'POST' }), '200', `${ip} ${path}`);
    }
  });

  test('an application does not reach the admin interface, the key or the processes of its sidecar', async () => {
    const { mesh, shop } = context();
    const { uid } = (await shop.pod('cart')).metadata;
    const inside = (...command: readonly string[]): Promise<string> =>
      execInPod(mesh.name, uid, command).catch(
        (error: { stderr?: string; code?: number }) => `failed ${error.code} ${error.stderr}`,
      );
    for (const host of ['127.0.0.1', '[::1]']) {
      assert.match(await inside('curl', '-sS', '--max-time', '3', `http://${host}:15000/config_dump`), /^failed 7 /);
    }
    assert.match(await inside('ls', '/var/run/weft'), /^failed/);
    assert.match(await inside('ls', '/run/weft'), /^failed/);
    // Of its PID namespace the application sees itself: no /proc/<sidecar>/root to go through.
    assert.doesNotMatch(await inside('sh', '-c', 'cat /proc/[0-9]*/cmdline'), /sidecar\/main/);
  });

  test('a pod whose application would run as the user of the sidecar, and so past it, is refused', async () => {
    const { mesh } = context();
    const pod = (security: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: past, namespace: shop }
spec:
  ${security}
  containers: [{ name: app, image: busybox, args: [sleep, "60"] }]
`;
    await assert.rejects(mesh.kubectl.apply(pod('securityContext: { runAsUser: 1337 }')), /1337/);
    await assert.rejects(mesh.kubectl.apply(pod('securityContext: { runAsGroup: 1337, runAsUser: 1337 }')), /1337/);
  });
}
