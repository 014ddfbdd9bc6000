/** A load that never stops between injected pods of a local mesh: what it is made of, and what happened to it so far. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestMesh } from '../mesh.ts';
import type { ShopPod } from '../shop.ts';
import { waitFor } from '../wait.ts';

export const NAMESPACE = 'steady';
/** Of the applications; 8080 speaks HTTP. */
export const HTTP_PORT = 8080;
const ports = [
  { name: 'http', port: 80, targetPort: HTTP_PORT },
  { name: 'http2', port: 81, targetPort: 8081, appProtocol: 'kubernetes.io/h2c' },
  { name: 'tcp', port: 82, targetPort: 8082 },
];

interface WayStats {
  readonly answered: number;
  readonly failed: number;
  readonly opened: number;
  readonly errors: readonly string[];
}

type Ways = Readonly<Record<'keptHttp' | 'newHttp' | 'http2' | 'keptTcp' | 'newTcp', WayStats>>;

const account = (name: string) => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name, namespace: NAMESPACE },
});

function pod(name: string, serviceAccountName: string, args: readonly string[]) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, labels: { app: serviceAccountName } },
    spec: {
      serviceAccountName,
      terminationGracePeriodSeconds: 2,
      containers: [
        {
          name: 'application',
          image: 'node',
          args: ['/program/program.mts', ...args],
          ports: ports.map(({ name, targetPort }) => ({ name, containerPort: targetPort })),
          readinessProbe: { tcpSocket: { port: HTTP_PORT }, periodSeconds: 1 },
          volumeMounts: [{ name: 'program', mountPath: '/program' }],
        },
      ],
      volumes: [{ name: 'program', configMap: { name: 'program' } }],
    },
  };
}

export const serverPod = (name: string) => pod(name, 'server', ['serve']);

const objects = (servers: readonly string[]) => [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: NAMESPACE, labels: { 'weft.dev/inject': 'enabled' } },
  },
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'program', namespace: NAMESPACE },
    data: { 'program.mts': readFileSync(join(import.meta.dirname, 'program.ts'), 'utf8') },
  },
  account('server'),
  account('caller'),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'server', namespace: NAMESPACE },
    spec: { selector: { app: 'server' }, ports },
  },
  ...servers.map(serverPod),
  pod('caller', 'caller', ['call', `server.${NAMESPACE}.svc`]),
];

export class SteadyLoad {
  private readonly mesh: TestMesh;

  private constructor(mesh: TestMesh) {
    this.mesh = mesh;
  }

  /** Resolves when every way has answered. */
  static async start(mesh: TestMesh, servers: readonly string[]): Promise<SteadyLoad> {
    await mesh.kubectl.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects(servers) }));
    const names = ['caller', ...servers].map((name) => `pod/${name}`);
    await mesh.kubectl('wait', '--for=condition=Ready', ...names, '-n', NAMESPACE, '--timeout=90s');
    const load = new SteadyLoad(mesh);
    await waitFor(
      'an answer by every way',
      async () => (Object.values(await load.ways()).every((one) => one.answered > 0) ? true : undefined),
      30_000,
      500,
    );
    return load;
  }

  async ways(): Promise<Ways> {
    const text = await this.mesh.kubectl('logs', 'caller', '-c', 'application', '-n', NAMESPACE, '--tail=1');
    return JSON.parse(text) as Ways;
  }

  async answered(): Promise<number> {
    return Object.values(await this.ways()).reduce((sum, one) => sum + one.answered, 0);
  }

  /** What has failed since the load began, and what was to last from beginning to end and did not. */
  async failures(): Promise<readonly string[]> {
    const ways = await this.ways();
    const failed = Object.entries(ways).flatMap(([way, { failed, errors }]) =>
      failed === 0 ? [] : [`${way}: ${failed} failed`, ...errors],
    );
    const broken = (['http2', 'keptTcp'] as const).filter((way) => ways[way].opened > 1);
    const opened = broken.map((way) => `${way}: opened ${ways[way].opened} connections in the place of one`);
    return [...failed, ...opened, ...(await this.restarts())];
  }

  /** Containers that have ended by themselves. */
  private async restarts(): Promise<readonly string[]> {
    const { items } = await this.mesh.kubectl.json<{ items: ShopPod[] }>('get', 'pods', '-n', NAMESPACE);
    return items.flatMap(({ metadata, status }) =>
      [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].flatMap((one) =>
        one.restartCount === 0 ? [] : [`${metadata.name}: ${one.name} ended ${one.restartCount} times`],
      ),
    );
  }

  /** Every way goes on answering, and none has failed. */
  async isSteady(): Promise<void> {
    const before = await this.ways();
    await waitFor(
      'answers by every way',
      async () => {
        const now = await this.ways();
        const goesOn = (way: keyof Ways): boolean => now[way].answered >= before[way].answered + 5;
        return goesOn('keptHttp') && goesOn('newHttp') && goesOn('http2') && goesOn('keptTcp') && goesOn('newTcp')
          ? true
          : undefined;
      },
      15_000,
      500,
    );
    assert.deepEqual(await this.failures(), []);
  }
}
