/** The charts with a real helm against the embedded API: installed, upgraded, uninstalled. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from '@weft/control-plane/kube/client';
import { type EmbeddedApi, startEmbeddedApi } from '@weft/local/api/server';
import { z } from 'zod';
import { findTool } from '../support/tools.ts';

const root = join(import.meta.dirname, '..', '..');
const webhooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/weft-control-plane';
const configuration = z.looseObject({
  webhooks: z.array(
    z.looseObject({
      name: z.string(),
      timeoutSeconds: z.number(),
      clientConfig: z.looseObject({ caBundle: z.string().optional() }),
    }),
  ),
});

describe('helm install, upgrade, uninstall', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-charts-'));
  let api: EmbeddedApi;
  let admin: KubeClient;
  let tool = '';

  // Never the synchronous kind: the API server runs in this very process.
  const helm = (...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, KUBECONFIG: join(dir, 'kubeconfig'), HELM_CACHE_HOME: dir, HELM_DATA_HOME: dir };
      const child = spawn(tool, [...args, '--namespace', 'weft-system'], { env, timeout: 60_000 });
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.on('error', reject);
      child.on('close', (code) =>
        code === 0 ? resolve(output) : reject(new Error(`helm ${args.join(' ')}: ${output}`)),
      );
    });
  const chart = (name: string): string => join(root, 'charts', name);
  const status = async (path: string): Promise<number> => {
    const answer = await admin.get(path);
    return answer.ok ? 200 : answer.error.status;
  };

  before(async () => {
    tool = await findTool('helm');
    api = await startEmbeddedApi({
      dataDir: join(dir, 'api'),
      listen: [{ host: '127.0.0.1', port: 0 }],
      serviceCidrs: ['10.211.128.0/17'],
      podCidrs: ['10.211.0.0/17'],
      advertise: [{ ip: '127.0.0.1' }],
      clusterDomain: 'cluster.local',
    });
    writeFileSync(join(dir, 'kubeconfig'), api.adminKubeconfig);
    const config = new KubeConfig();
    config.loadFromString(api.adminKubeconfig);
    admin = new KubeClient(config);
  });
  after(async () => {
    await api?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test('installs CRDs, then the mesh with its settings', async () => {
    await helm('install', 'weft-crds', chart('weft-crds'), '--create-namespace');
    await helm('install', 'weft', chart('weft'), '--set', 'mesh.mtls.mode=STRICT');
    const mesh = await admin.get('/apis/weft.dev/v1alpha1/meshes/default');
    assert.match(JSON.stringify(mesh), /"mode":"STRICT"/);
  });

  test('an upgrade keeps what the programs put into caBundle', async () => {
    const before = configuration.parse(await answerOf(admin.get(webhooks)));
    assert.ok(before.webhooks.every((one) => one.clientConfig.caBundle === undefined));
    const operations = before.webhooks.map((_, index) => ({
      op: 'add',
      path: `/webhooks/${index}/clientConfig/caBundle`,
      value: Buffer.from('bundle').toString('base64'),
    }));
    await answerOf(admin.patch(webhooks, 'application/json-patch+json', operations));
    await helm(
      'upgrade',
      'weft',
      chart('weft'),
      '--set',
      'mesh.mtls.mode=PERMISSIVE',
      '--set',
      'controlPlane.replicas=3',
    );
    const kept = configuration.parse(await answerOf(admin.get(webhooks)));
    assert.deepEqual(
      kept.webhooks.map((one) => [one.name, one.clientConfig.caBundle]),
      before.webhooks.map((one) => [one.name, 'YnVuZGxl']),
    );
    // The list itself changes as well: without the name as its key it would be replaced as a whole.
    await helm('upgrade', 'weft', chart('weft'), '--set', 'admission.timeoutSeconds=7');
    const changed = configuration.parse(await answerOf(admin.get(webhooks)));
    assert.deepEqual(
      changed.webhooks.map((one) => [one.timeoutSeconds, one.clientConfig.caBundle]),
      before.webhooks.map(() => [7, 'YnVuZGxl']),
    );
  });

  test('an uninstalled mesh leaves the CRDs, and with them every policy', async () => {
    const policy = {
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'TrafficPolicy',
      metadata: { name: 'kept', namespace: 'weft-system' },
      spec: { targetRefs: [{ kind: 'Service', name: 'x' }], timeouts: { request: '1s' } },
    };
    await helm('uninstall', 'weft');
    assert.equal(await status(webhooks), 404);
    await answerOf(admin.create('/apis/weft.dev/v1alpha1/namespaces/weft-system/trafficpolicies', policy));
    await helm('uninstall', 'weft-crds');
    assert.equal(await status('/apis/weft.dev/v1alpha1/namespaces/weft-system/trafficpolicies/kept'), 200);
  });
});

async function answerOf(answer: ReturnType<KubeClient['get']>): Promise<unknown> {
  const got = await answer;
  if (!got.ok) assert.fail(`${got.error.status}: ${got.error.message}`);
  return got.value;
}
