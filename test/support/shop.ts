import { readdirSync, readFileSync } from 'node:fs';
import { execInPod, OWN_PROGRAM } from './exec-in-pod.ts';
import type { TestMesh } from './mesh.ts';
import { waitFor } from './wait.ts';

export interface LoadStats {
  readonly sent: number;
  readonly ok: number;
  readonly failed: number;
  readonly versions: Readonly<Record<string, number>>;
  readonly errors: readonly string[];
}

interface ContainerStatus {
  readonly name: string;
  readonly restartCount: number;
  readonly ready: boolean;
}

export interface ShopPod {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly containers: readonly { readonly name: string }[];
    readonly initContainers?: readonly { readonly name: string }[];
  };
  readonly status: {
    readonly podIP: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

interface Condition {
  readonly type: string;
  readonly status: string;
}

const ROLLOUT_TIMEOUT = '--timeout=90s';

/** Requests made inside a pod's application container, so that its sidecar carries them. Node runs there. */
const IN_POD_CLIENT = `
const http = require('node:http');
const [url, count, parallel] = process.argv.slice(1);
const agent = new http.Agent({ keepAlive: true, maxSockets: Number(parallel) });
const seen = {};
let left = Number(count);
const one = () => new Promise((resolve) => {
  const done = (key) => { seen[key] = (seen[key] ?? 0) + 1; resolve(); };
  http.get(url, { agent, timeout: 20000 }, (response) => {
    response.resume();
    response.on('end', () => done(response.statusCode));
    response.on('error', (error) => done(error.message));
  }).on('error', (error) => done(error.message));
});
const worker = async () => { while (left-- > 0) await one(); };
Promise.all(Array.from({ length: Number(parallel) }, worker)).then(() => { console.log(JSON.stringify(seen)); process.exit(0); });
`;

/** The demo shop, as a test sees it. */
export class Shop {
  private readonly mesh: TestMesh;

  constructor(mesh: TestMesh) {
    this.mesh = mesh;
  }

  /** Pods of a namespace that are not on their way out. */
  async pods(namespace: string): Promise<readonly ShopPod[]> {
    const { items } = await this.mesh.kubectl.json<{ items: ShopPod[] }>('get', 'pods', '-n', namespace);
    return items.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  }

  async pod(name: string | RegExp): Promise<ShopPod> {
    const pods = await this.pods('shop');
    const found = pods.find((pod) =>
      typeof name === 'string' ? pod.metadata.name.startsWith(`${name}-`) : name.test(pod.metadata.name),
    );
    if (found === undefined)
      throw new Error(`no pod ${String(name)} among ${pods.map((pod) => pod.metadata.name).join(', ')}`);
    return found;
  }

  isReady(pod: ShopPod): boolean {
    return (
      pod.status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
    );
  }

  restartsOf(pod: ShopPod, container: string): number {
    const all = [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])];
    return all.find((status) => status.name === container)?.restartCount ?? 0;
  }

  async stats(): Promise<LoadStats> {
    const [load] = await this.pods('load');
    const response = await fetch(`http://${load?.status.podIP}:8080/stats`, { signal: AbortSignal.timeout(10_000) });
    return (await response.json()) as LoadStats;
  }

  /** Waits until that many more requests of the load generator were answered; fails when one of them failed. */
  async servedWithoutFailure(count: number): Promise<void> {
    const before = await this.stats();
    await waitFor(`${count} answers`, async () => {
      const now = await this.stats();
      if (now.failed > before.failed) throw new Error(now.errors.slice(-1)[0]);
      return now.ok - before.ok >= count ? true : undefined;
    });
  }

  /** Waits until a stretch of 40 answers has no failure in it: what was open when something broke has ended. */
  async settles(): Promise<void> {
    let from = await this.stats();
    await waitFor('40 answers in a row without a failure', async () => {
      const now = await this.stats();
      if (now.failed > from.failed) from = now;
      return now.ok - from.ok >= 40 ? true : undefined;
    });
  }

  /** rollout restart of every deployment, until it is complete and the old pods are gone. */
  async restart(): Promise<void> {
    const old = new Set((await this.pods('shop')).map((pod) => pod.metadata.uid));
    await this.mesh.kubectl('rollout', 'restart', 'deployment', '-n', 'shop');
    await this.mesh.kubectl('rollout', 'status', 'deployment', '-n', 'shop', ROLLOUT_TIMEOUT);
    await this.gone(old);
  }

  private async gone(uids: ReadonlySet<string>): Promise<void> {
    await waitFor(
      'old pods to be gone',
      async () => {
        const { items } = await this.mesh.kubectl.json<{ items: ShopPod[] }>('get', 'pods', '-n', 'shop');
        return items.some((pod) => uids.has(pod.metadata.uid)) ? undefined : true;
      },
      60_000,
      200,
    );
  }

  async setEnv(deployment: string, ...assignments: readonly string[]): Promise<void> {
    const old = new Set(
      (await this.pods('shop'))
        .filter((pod) => pod.metadata.name.startsWith(`${deployment}-`))
        .map((pod) => pod.metadata.uid),
    );
    await this.mesh.kubectl('set', 'env', `deployment/${deployment}`, '-n', 'shop', ...assignments);
    await this.mesh.kubectl('rollout', 'status', `deployment/${deployment}`, '-n', 'shop', ROLLOUT_TIMEOUT);
    await this.gone(old);
  }

  metrics(pod: ShopPod): Promise<string> {
    const { podIP } = pod.status;
    return fetch(`http://${podIP.includes(':') ? `[${podIP}]` : podIP}:15020/metrics`, {
      signal: AbortSignal.timeout(5_000),
    }).then((response) => response.text());
  }

  /** Requests that the pod's sidecar let in, retries of its clients included. */
  async inboundRequests(pod: ShopPod): Promise<number> {
    const text = await this.metrics(pod);
    let sum = 0;
    for (const [, value] of text.matchAll(/^weft_requests_total\{direction="inbound"[^}]*\} (\d+)$/gm))
      sum += Number(value);
    return sum;
  }

  /** True when the condition holds for every parent, undefined while not. */
  async condition(kind: string, name: string, type: string): Promise<true | undefined> {
    const { status } = await this.mesh.kubectl.json<{
      status?: { parents?: { conditions?: Condition[] }[]; ancestors?: { conditions?: Condition[] }[] };
    }>('get', kind, '-n', 'shop', name);
    const parents = status?.parents ?? status?.ancestors ?? [];
    const holds = parents.every((parent) =>
      parent.conditions?.some((condition) => condition.type === type && condition.status === 'True'),
    );
    return parents.length > 0 && holds ? true : undefined;
  }

  /** Statuses of requests made by the application container of a deployment's pod. */
  async statusesFrom(
    deployment: string,
    url: string,
    count: number,
    parallel = 4,
  ): Promise<Readonly<Record<string, number>>> {
    const pod = await this.pod(deployment);
    return this.inPod(pod, IN_POD_CLIENT, [url, String(count), String(parallel)]);
  }

  /** Share of requests answered 200 when the pod of a deployment is asked from a pod outside the mesh. */
  async successOf(service: string, path: string, count: number, parallel = 8): Promise<number> {
    const [load] = await this.pods('load');
    if (load === undefined) throw new Error('there is no load generator');
    const seen = await this.inPod(load, IN_POD_CLIENT, [
      `http://${service}.shop.svc${path}`,
      String(count),
      String(parallel),
    ]);
    return (seen['200'] ?? 0) / count;
  }

  /** Which versions of the catalogue answer the cart. */
  async versionsOf(count: number): Promise<Readonly<Record<string, number>>> {
    const script = IN_POD_CLIENT.replace(
      'done(response.statusCode)',
      "done(response.headers['x-shop-version'].replace('catalog-', ''))",
    );
    return this.inPod(await this.pod('cart'), script, ['http://catalog.shop.svc/items/7', String(count), '8']);
  }

  /** Runs a script in the network and user of a pod's application, as that application would. */
  private async inPod(
    pod: ShopPod,
    script: string,
    args: readonly string[],
  ): Promise<Readonly<Record<string, number>>> {
    return JSON.parse(
      await execInPod(this.mesh.name, pod.metadata.uid, [OWN_PROGRAM, '-e', script, ...args]),
    ) as Record<string, number>;
  }

  /** kill -9, and kept away: the Deployment is scaled to nothing at the same time. */
  async killControlPlane(): Promise<void> {
    for (const pid of processesOf(this.mesh.name, /control-plane\/main/)) process.kill(pid, 'SIGKILL');
    await this.mesh.kubectl('scale', 'deployment/weft-control-plane', '-n', 'weft-system', '--replicas=0');
    await waitFor('the control plane to be gone', async () => {
      const { items } = await this.mesh.kubectl.json<{ items: ShopPod[] }>(
        'get',
        'pods',
        '-n',
        'weft-system',
        '-l',
        'app.kubernetes.io/component=control-plane',
      );
      return items.length === 0 ? true : undefined;
    });
  }

  async reviveControlPlane(): Promise<void> {
    await this.mesh.kubectl('scale', 'deployment/weft-control-plane', '-n', 'weft-system', '--replicas=1');
    await this.mesh.kubectl('rollout', 'status', 'deployment/weft-control-plane', '-n', 'weft-system', ROLLOUT_TIMEOUT);
  }

  killProxy(pod: ShopPod): void {
    for (const pid of processesOf(this.mesh.name, /sidecar\/main/)) {
      if (readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`POD_NAME=${pod.metadata.name}\0`))
        process.kill(pid, 'SIGKILL');
    }
  }
}

/** Processes of a mesh whose command line matches. */
export function processesOf(mesh: string, command: RegExp): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return (
          command.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')) &&
          readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`WEFT_MESH=${mesh}\0`)
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}
