/** The control plane as a process of its own, without Kubernetes: objects and tokens from files. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { type ServerSide, signFor } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens, web, webToken } from '@weft/control-plane/testing/shop';
import { DeltaClient, decoded } from '@weft/control-plane/testing/xds-client';
import { fetchBundle } from '@weft/control-plane/trust/fetch-bundle';
import { z } from 'zod';
import { waitFor } from '../support/wait.ts';
import { startPartner } from './partner.fixture.ts';

const root = join(import.meta.dirname, '..', '..');
const logLine = z.looseObject({
  message: z.string(),
  xdsPort: z.number().optional(),
  monitoringPort: z.number().optional(),
});

interface Running {
  readonly process: ChildProcess;
  readonly server: ServerSide;
  readonly monitoringPort: number;
}

describe('control plane from static sources', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-static-'));
  const objects = join(dir, 'objects.yaml');
  const caDir = join(dir, 'ca');
  let running: Running;

  const lines: string[] = [];
  const start = async (): Promise<Running> => {
    const flags = ['--static', objects, '--tokens', join(dir, 'tokens.yaml'), '--ca-dir', caDir];
    const ports = ['--xds', '127.0.0.1:0', '--monitoring', '127.0.0.1:0', '--bundle', '127.0.0.1:0'];
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(root, 'control-plane', 'main.ts'), ...flags, ...ports],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    for await (const line of createInterface(child.stdout)) {
      lines.push(line);
      const { message, xdsPort, monitoringPort } = logLine.parse(JSON.parse(line));
      if (message !== 'serving' || monitoringPort === undefined) continue;
      child.stdout.on('data', (chunk: Buffer) => lines.push(chunk.toString())).resume();
      const trustBundlePem = readFileSync(join(caDir, 'ca.crt'), 'utf8');
      return {
        process: child,
        monitoringPort,
        server: { address: `127.0.0.1:${xdsPort}`, authority: { trustBundlePem } },
      };
    }
    throw new Error('the control plane did not start');
  };
  const stop = async (): Promise<number | null> => {
    running.process.kill('SIGTERM');
    const [code] = running.process.exitCode === null ? await once(running.process, 'exit') : [running.process.exitCode];
    return code;
  };

  before(async () => {
    writeFileSync(objects, shopObjects);
    writeFileSync(join(dir, 'tokens.yaml'), shopTokens);
    running = await start();
  });
  after(async () => {
    await stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('signs and serves; a changed file is pushed, a broken one changes nothing', async (t) => {
    const signed = await signFor(running.server, webToken, { namespace: 'shop', serviceAccount: 'web' });
    assert.ok(signed.ok);
    const certificate = { chainPem: signed.chainPem, key: signed.key };
    const client = DeltaClient.open(running.server, { certificate }, web);
    t.after(() => client.close());
    client.subscribe('address', ['10.96.0.50']);
    const absent = await client.next();
    assert.deepEqual(absent.removedResources, ['10.96.0.50']);
    client.ack('address', absent);
    writeFileSync(
      objects,
      `${shopObjects}\n---\nkind: Service\nmetadata: { name: broken, namespace: shop }\nspec: { ports: what }\n`,
    );
    assert.ok(await client.quiet(600));
    const late =
      'kind: Service\nmetadata: { name: late, namespace: shop }\nspec: { clusterIPs: [10.96.0.50], ports: [{ port: 80 }] }\n';
    writeFileSync(objects, `${shopObjects}\n---\n${late}`);
    const address = decoded((await client.next()).resources[0]?.resource);
    assert.ok(address.kind === 'address');
    assert.equal(address.value.name, 'late');
  });

  test('other trust domains, revocations and the watch over certificates, as in a cluster; also after a restart without the partner', async (t) => {
    const partner = await startPartner('partner.example');
    t.after(() => partner.stop());
    const revoked = 'spiffe://cluster.local/ns/shop/sa/web';
    const entry = { identity: revoked, reason: 'lost laptop', at: '2026-01-01T00:00:00Z' };
    const more = [
      partner.mesh,
      { kind: 'ConfigMap', metadata: { name: 'weft-revocations' }, data: { web: JSON.stringify(entry) } },
      { kind: 'ConfigMap', metadata: { name: 'something' } },
    ];
    writeFileSync(objects, [shopObjects, ...more.map((one) => JSON.stringify(one))].join('\n---\n'));
    const metric = async (pattern: RegExp): Promise<string | undefined> => {
      const text = await (await fetch(`http://127.0.0.1:${running.monitoringPort}/metrics`)).text();
      return pattern.exec(text)?.[1];
    };
    const healthy = /federation_healthy\{trust_domain="partner\.example"\} (\d)/;
    await waitFor('the bundle of the partner', async () => ((await metric(healthy)) === '1' ? true : undefined));
    await waitFor('the bundle in its file', () =>
      existsSync(join(caDir, 'federation.json')) &&
      readFileSync(join(caDir, 'federation.json'), 'utf8').includes('partner')
        ? true
        : undefined,
    );
    assert.ok(await metric(/certificate_expiry_seconds\{kind="federated",name="partner\.example"\} (\d+)/));
    assert.ok(await metric(/certificate_expiry_seconds\{kind="root"[^}]*\} (\d+)/));
    const sign = () => signFor(running.server, webToken, { namespace: 'shop', serviceAccount: 'web' });
    const refused = await sign();
    assert.ok(!refused.ok && /is revoked: lost laptop/.test(refused.details), JSON.stringify(refused));
    assert.match(lines.join(), /objects that nothing here looks at.*ConfigMap 1/);
    const [, ours] = /"serving our bundle".*?"port":(\d+)/.exec(lines.join()) ?? [];
    const anchorsPem = running.server.authority.trustBundlePem;
    const id = 'spiffe://cluster.local/ns/weft-system/sa/weft-control-plane';
    const own = await fetchBundle({ url: `https://127.0.0.1:${ours}/`, spiffe: { id, anchorsPem } });
    assert.equal(own.ok && own.value.anchorsPem, anchorsPem);
    await stop();
    partner.stop();
    running = await start();
    assert.match(lines.join(), /kept bundle of a federated trust domain holds until its endpoint answers/);
    assert.ok(await metric(/certificate_expiry_seconds\{kind="federated",name="partner\.example"\} (\d+)/));
    assert.ok(!(await sign()).ok, 'still revoked');
    writeFileSync(objects, shopObjects);
    await waitFor('the end of the revocation', async () => ((await sign()).ok ? true : undefined));
  });

  test('the key of the authority is for its owner alone, and a restart keeps the root', async () => {
    assert.equal(statSync(join(caDir, 'ca.key')).mode & 0o777, 0o600);
    const { trustBundlePem } = running.server.authority;
    assert.equal(await stop(), 0);
    running = await start();
    assert.equal(running.server.authority.trustBundlePem, trustBundlePem);
    assert.equal((await fetch(`http://127.0.0.1:${running.monitoringPort}/readyz`)).status, 200);
  });

  test('wrong arguments and files end with one clear line', async () => {
    const run = async (args: readonly string[]): Promise<{ readonly code: number | null; readonly text: string }> => {
      const child = spawn(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', join(root, 'control-plane', 'main.ts'), ...args],
        {
          stdio: ['ignore', 'ignore', 'pipe'],
        },
      );
      let text = '';
      child.stderr.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      const [code] = await once(child, 'close');
      return { code, text };
    };
    const flag = await run(['--xds', 'nowhere']);
    assert.equal(flag.code, 2);
    assert.match(flag.text, /^weft-control-plane: --xds: "nowhere" is not <host>:<port>/);
    const file = await run(['--static', join(dir, 'none.yaml')]);
    assert.equal(file.code, 1);
    assert.match(file.text, /none\.yaml.*ENOENT/);
  });
});
