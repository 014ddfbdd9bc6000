/** Replicas of the control plane in the process of a test, with the API of a ClusterRig. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { type ClusterServing, runInCluster } from '@weft/control-plane/cluster';
import { parseConfig } from '@weft/control-plane/config';
import type { ServerSide } from '@weft/control-plane/testing/harness';
import type { LogFields } from '@weft/policies/kit/log';
import { parseAllDocuments, stringify } from 'yaml';
import { z } from 'zod';

interface Replica {
  readonly name: string;
  readonly kubeconfig: string;
  /** Any port, unless it has to be known before. */
  readonly monitoring?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly write?: (message: string, fields?: LogFields) => void;
}

export async function startReplica({
  name,
  kubeconfig,
  monitoring = '127.0.0.1:0',
  env = {},
  write = () => undefined,
}: Replica): Promise<ClusterServing> {
  const config = parseConfig(['--xds', '127.0.0.1:0', '--webhook', '127.0.0.1:0', '--monitoring', monitoring], {
    POD_NAME: name,
    POD_NAMESPACE: 'weft-system',
    ...env,
  });
  assert.ok(config.ok && config.value !== 'help', config.ok ? '' : config.error);
  const account = new KubeConfig();
  account.loadFromString(kubeconfig);
  const started = await runInCluster(config.value, { info: write, warn: write, error: write }, account);
  if (!started.ok) assert.fail(started.error);
  return started.value;
}

/** What the clients of the control plane's own tests need of a server. */
export const clientSide = (serving: ClusterServing, trustBundlePem: string): ServerSide => ({
  address: `127.0.0.1:${serving.xdsPort}`,
  authority: { trustBundlePem },
});

/** That of the chart, but reached by address: the test has no Services that lead anywhere. */
export function webhookConfiguration(port: number): string {
  const file = join(import.meta.dirname, '..', '..', 'charts', 'weft', 'templates', 'control-plane-webhook.yaml');
  const text = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => !line.includes('{{') && !line.startsWith('  labels:'))
    .join('\n');
  const [document] = parseAllDocuments(text);
  const configuration: unknown = document && 'toJS' in document ? document.toJS() : undefined;
  const parsed = z
    .looseObject({ webhooks: z.array(z.looseObject({ clientConfig: z.unknown() })) })
    .parse(configuration);
  for (const webhook of parsed.webhooks) webhook.clientConfig = { url: `https://localhost:${port}/validate` };
  return stringify(parsed);
}
