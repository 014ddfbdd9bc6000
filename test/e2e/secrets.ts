/** After a whole run: nothing that was written down anywhere is a secret. */
import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestMesh } from '../support/mesh.ts';
import type { Shop, ShopPod } from '../support/shop.ts';

/** What secrets look like, whatever they are called. */
const SHAPES: readonly (readonly [string, RegExp])[] = [
  ['a private key in PEM', /-----BEGIN (\w+ )?PRIVATE KEY-----/],
  ['a private key in base64 of PEM', /LS0tLS1CRUdJTi[\w+/]*(UFJJVkFUR|BSSVZBVE|QUklWQVRF)/],
  // PKCS#8 of P-256 begins alike in every key: version, algorithm, curve (RFC 5958, RFC 5915).
  ['a P-256 key in base64', /MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/],
  ['a signed token', /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}/],
  ['a credential', /\b(Bearer|Join) [\w.~+/-]{16,}/],
];

const PAGES = ['/config_dump', '/certs', '/stats', '/clusters', '/listeners', '/egress', '/ready'];

/** The state folder of a pod's sidecar, seen through its process. */
function stateOf(mesh: string, pod: ShopPod): string {
  const inode = statSync(`/run/netns/weft-${mesh}-p-${pod.metadata.uid.slice(0, 8)}`).ino;
  const pid = readdirSync('/proc').find((name) => {
    try {
      return (
        /^\d+$/.test(name) &&
        readlinkSync(`/proc/${name}/ns/net`) === `net:[${inode}]` &&
        readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('sidecar/main')
      );
    } catch {
      return false;
    }
  });
  assert.ok(pid !== undefined, `no sidecar of ${pod.metadata.name}`);
  // /var/run is a link, which would lead out of the container.
  return `/proc/${pid}/root/run/weft/state`;
}

const page = (socketPath: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, timeout: 5_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject).on('timeout', () => asked.destroy(new Error(`${path}: no answer`)));
    asked.end();
  });

export function secretTests(context: () => { readonly mesh: TestMesh; readonly shop: Shop }): void {
  test('no log, dump, metric or error of the whole run has a key, a token or a credential in it', async () => {
    const { mesh, shop } = context();
    const seen = new Map<string, string>([['weft up', mesh.output()]]);
    const folder = join(mesh.folder, '.weft', mesh.name, 'logs');
    for (const file of globSync('**/*.log', { cwd: folder })) seen.set(file, readFileSync(join(folder, file), 'utf8'));
    assert.ok(seen.size >= 10, `${seen.size} logs in ${folder}`);
    for (const pod of await shop.pods('shop')) {
      const state = stateOf(mesh.name, pod);
      // The search would find the key where there is one.
      assert.match(readFileSync(join(state, 'key.pem'), 'utf8'), SHAPES[0]?.[1] ?? /$^/);
      for (const path of PAGES) seen.set(`${pod.metadata.name} ${path}`, await page(join(state, 'admin.sock'), path));
      seen.set(`${pod.metadata.name} /metrics`, await shop.metrics(pod));
    }
    for (const name of ['status', 'check'])
      seen.set(`weft ${name}`, (await mesh.weft(name, '--output', 'json')).stdout);
    seen.set('events', await mesh.kubectl('get', 'events', '-A', '-o', 'yaml'));
    seen.set('pods', await mesh.kubectl('get', 'pods', '-A', '-o', 'yaml'));
    const found = [...seen].flatMap(([where, text]) =>
      SHAPES.flatMap(([what, shape]) => {
        const at = shape.exec(text)?.index;
        return at === undefined ? [] : [`${where}: ${what} at ${at}`];
      }),
    );
    assert.deepEqual(found, []);
    const dumps = [...seen].filter(([where]) => where.endsWith('/config_dump') || where.endsWith('/certs'));
    assert.ok(dumps.length >= 10 && dumps.every(([, text]) => text.includes('{')), 'the dumps were read');
  });
}
