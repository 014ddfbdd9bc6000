/** `weft ca` against a control plane of its own: a root is rotated, and the old one does not go before its time. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { type ServerSide, signFor } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens, webToken } from '@weft/control-plane/testing/shop';
import { Program } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
const meshYaml = `
---
apiVersion: weft.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec: { certificates: { ttl: 1m, announce: 2s } }
`;

interface Anchors {
  readonly anchors: readonly { readonly fingerprint: string; readonly role: string }[];
}

describe('weft ca', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-ca-rotation-'));
  const caDir = join(dir, 'ca');
  let server: Program;
  let address = '';

  const weft = async (...args: readonly string[]): Promise<string> => {
    const main = join(root, 'cli', 'main.ts');
    const { stdout } = await run(process.execPath, [...flags, main, 'ca', ...args, '--ca-dir', caDir]);
    return stdout;
  };
  const roles = async (): Promise<string> => {
    const status: Anchors = JSON.parse(await weft('status', '--output', 'json'));
    return status.anchors.map((one) => one.role).join(' ');
  };
  /** As a client that hears of every change of the bundle. */
  const side = (): ServerSide => {
    const state: { readonly anchors: readonly { readonly pem: string }[] } = JSON.parse(
      readFileSync(join(caDir, 'state.json'), 'utf8'),
    );
    return { address, authority: { trustBundlePem: state.anchors.map((one) => one.pem).join('') } };
  };
  const issuerOfNext = async (): Promise<string> => {
    const signed = await signFor(side(), webToken, { namespace: 'shop', serviceAccount: 'web' });
    assert.ok(signed.ok, signed.ok ? '' : signed.details);
    return new X509Certificate(signed.chainPem).issuer;
  };

  before(async () => {
    writeFileSync(join(dir, 'objects.yaml'), `${shopObjects}${meshYaml}`);
    writeFileSync(join(dir, 'tokens.yaml'), shopTokens);
    const files = ['--static', join(dir, 'objects.yaml'), '--tokens', join(dir, 'tokens.yaml'), '--ca-dir', caDir];
    const ports = ['--xds', '127.0.0.1:0', '--monitoring', '127.0.0.1:0'];
    server = new Program(process.execPath, [...flags, join(root, 'control-plane', 'main.ts'), ...files, ...ports]);
    await server.until('serves', () => server.stdout.includes('"serving"'));
    address = `127.0.0.1:${/"xdsPort":(\d+)/.exec(server.stdout)?.[1] ?? ''}`;
  });
  after(async () => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('rotates; the anchor that a live certificate chains to is not dropped, and its holder is named', async () => {
    const before = await issuerOfNext();
    assert.equal(await roles(), 'signing');
    assert.match(await weft('rotate'), /a new root is announced/);
    await assert.rejects(weft('rotate'), /a rotation is under way/);
    await waitFor('the new root signs', async () => ((await roles()) === 'signing retiring' ? true : undefined));
    assert.notEqual(await issuerOfNext(), before);
    assert.match(await weft('status'), /retiring/);
    const status: Anchors = JSON.parse(await weft('status', '--output', 'json'));
    const old = status.anchors.find((one) => one.role === 'retiring')?.fingerprint ?? '';
    await assert.rejects(weft('drop-anchor', '--anchor', old), /is not dropped: 1 workloads hold .*: shop\/web-a/);
    assert.equal(await roles(), 'signing retiring');
    assert.match(await weft('drop-anchor', '--anchor', old, '--force'), /is dropped/);
    assert.equal(await roles(), 'signing');
    await server.until('says so', () => server.stdout.includes('"trust anchor dropped"'));
  });

  test('a broken key in the folder: the last good one goes on, and that is said', async () => {
    const good = readFileSync(join(caDir, 'ca.key'));
    const issuer = await issuerOfNext();
    writeFileSync(join(caDir, 'ca.key'), 'broken');
    await server.until('says so', () => server.stdout.includes('SourceInvalid'));
    assert.equal(await issuerOfNext(), issuer);
    writeFileSync(join(caDir, 'ca.key'), good);
    await server.until('is over', () => server.stdout.includes('problem over'));
    assert.doesNotMatch(server.stdout, /PRIVATE KEY/);
  });
});
