import { arch, cpus, hostname, release, totalmem } from 'node:os';
import type { KubeClient } from '../client/client.ts';
import { paths } from '../client/paths.ts';
import type { AgentSettings } from './settings.ts';

const LEASE_SECONDS = 40;
const HEARTBEAT_MS = 10_000;
const RETRY_MS = 500;
const LEASE_NAMESPACE = 'kube-node-lease';
const GOARCH: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

const seconds = (): string => new Date().toISOString().replace(/\.\d+Z$/, 'Z');
const micros = (): string => new Date().toISOString().replace('Z', '000Z');

function nodeStatus(settings: AgentSettings): unknown {
  const at = seconds();
  const condition = (type: string, status: string, reason: string, message: string): unknown => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: at,
    lastTransitionTime: at,
  });
  const resources = { cpu: String(cpus().length), memory: `${Math.floor(totalmem() / 1024)}Ki`, pods: '250' };
  return {
    capacity: resources,
    allocatable: resources,
    addresses: [
      ...settings.names.bridgeIps.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: settings.names.nodeName },
    ],
    conditions: [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'not measured'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'not measured'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'not measured'),
      condition('Ready', 'True', 'KubeletReady', 'the node agent runs pods'),
    ],
    nodeInfo: {
      architecture: GOARCH[arch()] ?? arch(),
      operatingSystem: 'linux',
      kernelVersion: release(),
      osImage: `host ${hostname()}`,
      containerRuntimeVersion: 'process://1',
      kubeletVersion: 'v1.34.0',
      kubeProxyVersion: '',
      machineID: '',
      systemUUID: '',
      bootID: '',
    },
  };
}

/** Registers the node and renews its Lease until closed. */
export class NodeRegistration {
  readonly #client: KubeClient;
  readonly #settings: AgentSettings;
  readonly #onError: (message: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(client: KubeClient, settings: AgentSettings, onError: (message: string) => void) {
    this.#client = client;
    this.#settings = settings;
    this.#onError = onError;
  }

  async start(): Promise<void> {
    const { names } = this.#settings;
    const labels = {
      'kubernetes.io/hostname': names.nodeName,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': GOARCH[arch()] ?? arch(),
      'topology.kubernetes.io/zone': this.#settings.zone,
    };
    const spec = { podCIDR: names.podCidrs[0], podCIDRs: names.podCidrs };
    for (;;) {
      if (this.#closed) return;
      const created = await this.#client.create(paths.core('nodes'), {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: names.nodeName, labels },
        spec,
      });
      if (created.ok || created.status === 409) {
        if (!created.ok)
          await this.#client.patch(paths.core('nodes', undefined, names.nodeName), { metadata: { labels }, spec });
        const status = await this.#client.patch(`${paths.core('nodes', undefined, names.nodeName)}/status`, {
          status: nodeStatus(this.#settings),
        });
        if (status.ok) break;
        this.#onError(`node status: ${status.message}`);
      } else this.#onError(`register node: ${created.message}`);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    void this.#beat();
  }

  async #beat(): Promise<void> {
    const { nodeName } = this.#settings.names;
    const spec = { holderIdentity: nodeName, leaseDurationSeconds: LEASE_SECONDS, renewTime: micros() };
    const path = paths.coordination('leases', LEASE_NAMESPACE);
    const patched = await this.#client.patch(`${path}/${nodeName}`, { spec });
    if (!patched.ok && patched.status === 404) {
      const created = await this.#client.create(path, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: nodeName, namespace: LEASE_NAMESPACE },
        spec,
      });
      if (!created.ok && created.status !== 404) this.#onError(`lease: ${created.message}`);
    }
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#beat(), HEARTBEAT_MS);
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
