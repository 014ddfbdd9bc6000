import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestMesh } from '../support/mesh.ts';
import type { Shop } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const identity = (account: string): string => `spiffe://cluster.local/ns/shop/sa/${account}`;

const policy = (name: string, spec: string): string => `
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: ${spec}
`;

const callersOfCatalog = (account: string): string =>
  policy(
    'catalog-callers',
    `{ selector: { matchLabels: { app: catalog } }, rules: [{ name: in-use, from: [{ serviceAccounts: [${account}] }] }, { name: dead, from: [{ serviceAccounts: [nobody] }] }] }`,
  );

/** Answers 200, and 403 to whom it is told not to let in. */
const AUTHORIZER = `
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(403 if self.headers.get("x-refuse") else 200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
`;

const authorizer = `
apiVersion: v1
kind: Service
metadata: { name: authorizer, namespace: shop }
spec:
  selector: { app: authorizer }
  ports: [{ name: http, port: 80, targetPort: 8000 }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: authorizer, namespace: shop }
spec:
  selector: { matchLabels: { app: authorizer } }
  template:
    metadata: { labels: { app: authorizer } }
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: python
          image: python
          args: ["-c", ${JSON.stringify(AUTHORIZER)}]
          readinessProbe: { tcpSocket: { port: 8000 }, periodSeconds: 1 }
`;

/** Authorization as a security engineer switches it on: looked at, audited by its hits, asked elsewhere, taken back. */
export function authorizationTests(context: () => { readonly mesh: TestMesh; readonly shop: Shop }): void {
  const programmed = (name: string): Promise<true> =>
    waitFor(`${name} on all sidecars`, () =>
      context().shop.condition('authorizationpolicy', name, 'weft.dev/Programmed'),
    );
  const fromCart = (url: string): Promise<Readonly<Record<string, number>>> =>
    context().shop.statusesFrom('cart', url, 1, 1);
  const answers = (what: string, url: string, status: string): Promise<true> =>
    waitFor(what, async () => ((await fromCart(url))[status] === 1 ? true : undefined), 30_000, 200);

  test('a dry run names whom a policy would lock out, of those who really called', async () => {
    const { mesh } = context();
    const folder = mkdtempSync(join(tmpdir(), 'weft-e2e-'));
    const file = join(folder, 'policy.yaml');
    const diff = async (text: string) => {
      writeFileSync(file, text);
      const { stdout, code } = await mesh.weft(
        'authz',
        'diff',
        '-f',
        file,
        '--since',
        '1h',
        '-n',
        'shop',
        '-o',
        'json',
      );
      return { code, stdout };
    };
    try {
      await waitFor(
        'what cart asked of catalog in the flows',
        async () => {
          const { code, stdout } = await diff(callersOfCatalog('nobody-else'));
          return code === 1 && stdout.includes(identity('cart')) && /"outcome": "loses"/.test(stdout)
            ? true
            : undefined;
        },
        40_000,
        500,
      );
      const harmless = await diff(callersOfCatalog('cart'));
      assert.doesNotMatch(harmless.stdout, new RegExp(`"outcome": "loses"[^}]*${identity('cart')}`));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('hits of rules are in the status, and a dead rule is seen', async () => {
    const { mesh, shop } = context();
    const before = await shop.stats();
    await mesh.kubectl.apply(callersOfCatalog('cart'));
    await programmed('catalog-callers');
    await shop.servedWithoutFailure(40);
    const rules = await waitFor(
      'hits in the status',
      async () => {
        const { stdout } = await mesh.weft('authz', '-n', 'shop', '-o', 'json');
        const found = (
          JSON.parse(stdout) as { policy: string; rule: string; hits: number; deadSince: string }[]
        ).filter((one) => one.policy === 'catalog-callers');
        return found.some(({ hits }) => hits > 0) ? found : undefined;
      },
      60_000,
      500,
    );
    assert.ok(
      rules.some(({ rule, hits, deadSince }) => rule === 'in-use' && hits > 0 && deadSince === ''),
      JSON.stringify(rules),
    );
    assert.ok(
      rules.some(({ rule, hits, deadSince }) => rule === 'dead' && hits === 0 && deadSince !== ''),
      JSON.stringify(rules),
    );
    assert.match(await mesh.kubectl('get', 'authorizationpolicy', '-n', 'shop', 'catalog-callers'), /HITS +LAST HIT/);
    const now = await shop.stats();
    assert.equal(now.failed - before.failed, 0, now.errors.join('\n'));
    await mesh.kubectl('delete', 'authorizationpolicy', '-n', 'shop', 'catalog-callers');
  });

  test('an authorizer elsewhere is asked, and nobody gets in while it is away', async () => {
    const { mesh, shop } = context();
    await mesh.kubectl.apply(authorizer);
    await mesh.kubectl('rollout', 'status', 'deployment/authorizer', '-n', 'shop', '--timeout=60s');
    await mesh.kubectl.apply(`
apiVersion: weft.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec: { authorizers: [{ name: own, http: { target: { namespace: shop, name: authorizer, port: 80 } } }] }
`);
    await mesh.kubectl.apply(
      policy(
        'ask',
        '{ action: CUSTOM, provider: own, selector: { matchLabels: { app: pricing } }, rules: [{ to: [{ paths: ["/price/*"] }] }] }',
      ),
    );
    await programmed('ask');
    const url = 'http://pricing/price/7';
    await answers('an answer with leave', url, '200');
    await shop.servedWithoutFailure(20);
    await mesh.kubectl('scale', 'deployment/authorizer', '-n', 'shop', '--replicas=0');
    await answers('a refusal while nobody can be asked', url, '403');
    await mesh.kubectl('delete', 'authorizationpolicy', '-n', 'shop', 'ask');
    await answers('an answer without asking', url, '200');
    await mesh.kubectl('delete', 'mesh', 'default');
    await mesh.kubectl('delete', 'deployment,service', '-n', 'shop', 'authorizer');
    await shop.settles();
  });

  test('a revoked identity is shut out within seconds, and let in again when that is taken back', async () => {
    const { mesh, shop } = context();
    const url = 'http://pricing/price/7';
    await answers('an answer before', url, '200');
    const revoked = await mesh.weft('ca', 'revoke', '--identity', identity('cart'), '--reason', 'a test');
    assert.equal(revoked.code, 0, revoked.stdout);
    await answers('no way in any more', url, '503');
    const back = await mesh.weft('ca', 'unrevoke', '--identity', identity('cart'));
    assert.equal(back.code, 0, back.stdout);
    await answers('a way in again', url, '200');
    await shop.settles();
  });
}
