import type { Server } from 'node:http';
import { join } from 'node:path';
import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { startAdminServer } from './admin/admin-server.ts';
import { waitForRemoval } from './admin/drain-wait.ts';
import { startHealthServer } from './admin/health-server.ts';
import type { SidecarConfig } from './config.ts';
import { ControlChannel } from './control-channel.ts';
import { createDataPlane, type DataPlane } from './data-plane.ts';
import { IdentityManager } from './identity/manager.ts';
import { StateDir } from './identity/state-dir.ts';
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts';
import { XdsClient } from './xds/client.ts';

export interface ProcessPorts {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (line: string) => void;
}

const INBOUND = 'inbound';
const OUTBOUND = 'outbound';
const WAITERS_MAX = 1_024;
const NAMES_MAX = 4_096;
/** Open connections get this much of the grace period; the rest is for what the application needs. */
const DRAIN_MS_MAX = 10_000;

/** A sidecar of a pod: identity and configuration come from the control plane. */
export async function runMeshSidecar(config: SidecarConfig, ports: ProcessPorts): Promise<Result<void, string>> {
  const { clock, prng, log } = ports;
  const state = StateDir.open(config.stateDir, config.stateOnDisk);
  if (!state.ok) return state;
  const telemetry = createTelemetry(log);
  const { metrics } = telemetry;
  const count = (event: string): void => metrics.count(event);
  const channel = new ControlChannel({
    target: config.controlPlane,
    trustFile: config.trustFile,
    tokenFile: config.tokenFile,
  });
  const identity = new IdentityManager({
    spiffeId: config.spiffeId,
    sign: (csr) => channel.sign(csr),
    state: state.value,
    clock,
    prng,
    log,
    count,
  });
  const xds = new XdsClient({
    open: () => channel.openDiscovery(),
    nodeId: `sidecar~${config.pod.ips[0] ?? ''}~${config.pod.name}.${config.pod.namespace}~${config.clusterDomain}`,
    clock,
    prng,
    log,
    count,
    listeners: [INBOUND, OUTBOUND],
    waitersMax: WAITERS_MAX,
    namesMax: NAMES_MAX,
    store: {
      load: () => state.value.read('snapshot.bin'),
      save: (bytes) => {
        const failure = state.value.write('snapshot.bin', bytes);
        if (failure !== undefined) log(`xds: ${failure}`);
      },
    },
  });
  const dataPlane = createDataPlane({
    source: xds.source,
    listenerNames: [INBOUND, OUTBOUND],
    certificates: identity,
    recorder: telemetry.recorder,
    clock,
    prng,
    ownIps: new Set(config.pod.ips),
  });
  const sidecar = new MeshSidecar(config, ports, { telemetry, channel, identity, xds, dataPlane });
  return sidecar.start();
}

interface Parts {
  readonly telemetry: Telemetry;
  readonly channel: ControlChannel;
  readonly identity: IdentityManager;
  readonly xds: XdsClient;
  readonly dataPlane: DataPlane;
}

class MeshSidecar {
  private readonly config: SidecarConfig;
  private readonly ports: ProcessPorts;
  private readonly parts: Parts;
  private readonly servers: Server[] = [];
  private listening = false;
  private stopping = false;
  private retired = false;

  constructor(config: SidecarConfig, ports: ProcessPorts, parts: Parts) {
    this.config = config;
    this.ports = ports;
    this.parts = parts;
  }

  async start(): Promise<Result<void, string>> {
    const { telemetry, identity, xds, dataPlane } = this.parts;
    const { log } = this.ports;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void this.stop());
    xds.source.onChange(() => {
      this.adoptSettings();
      this.retireWhenTerminating();
    });
    identity.start();
    if (xds.start()) log('xds: serving from the stored snapshot until the control plane answers');
    telemetry.gauge(
      'weft_certificate_expiry_seconds',
      'Seconds until the leaf certificate ends.',
      () => ((identity.own()?.notAfterUnixMs ?? 0) - this.ports.clock.unixMs()) / 1_000,
    );
    telemetry.gauge('weft_xds_connected', '1 while the stream to the control plane is up.', () =>
      xds.status().connected ? 1 : 0,
    );
    try {
      await this.serve();
    } catch (error) {
      return err(`port ${this.config.healthPort} or the admin socket cannot be opened: ${(error as Error).message}`);
    }
    const started = await dataPlane.listeners.start();
    if (!started.ok) return err(started.error);
    this.listening = true;
    return ok(undefined);
  }

  private async serve(): Promise<void> {
    const { config } = this;
    const { telemetry, xds } = this.parts;
    const podIp = config.pod.ips[0] ?? '127.0.0.1';
    this.servers.push(
      await startHealthServer({
        host: config.healthHost,
        port: config.healthPort,
        podIp,
        probes: config.probes,
        scrape: config.scrape,
        notReady: () => this.notReady(),
        metrics: () => telemetry.metrics.render(),
        drainWait: () => waitForRemoval(xds.source, podIp, this.ports.clock, config.graceMs),
      }),
    );
    const views = this.adminViews();
    this.servers.push(await startAdminServer({ socketPath: join(config.stateDir, 'admin.sock') }, views));
    if (config.adminPort !== undefined) {
      this.servers.push(await startAdminServer({ host: '127.0.0.1', port: config.adminPort }, views));
    }
  }

  private adminViews(): Parameters<typeof startAdminServer>[1] {
    const { telemetry, identity, xds, dataPlane } = this.parts;
    return {
      configDump: () => ({ status: xds.status(), ...xds.source.entries() }),
      stats: () => telemetry.metrics.render(),
      certs: () => {
        const certificate = identity.own();
        return {
          spiffeId: this.config.spiffeId,
          serial: certificate?.serialHex,
          notAfter: certificate && new Date(certificate.notAfterUnixMs).toISOString(),
          generation: certificate?.generation,
          clockSkewMs: identity.skewMs,
        };
      },
      clusters: () => dataPlane.clusters.active().map((runtime) => runtime.cluster),
      listeners: () => dataPlane.listeners.stats(),
      notReady: () => this.notReady(),
      quit: () => void this.stop(),
    };
  }

  /** Undefined when traffic can be served: own listeners and certificate are there, from now or from before a restart. */
  private notReady(): string | undefined {
    if (this.stopping) return 'draining';
    if (this.parts.identity.own() === undefined) return 'no certificate yet';
    for (const name of [INBOUND, OUTBOUND]) {
      if (this.parts.xds.source.current().get('listener', name).state !== 'found') {
        return `listener ${name} is not known yet: ${this.parts.xds.status().lastErrorText || 'waiting for the control plane'}`;
      }
    }
    if (!this.listening) return 'listeners are not open yet';
    return undefined;
  }

  /** Clients without a sidecar hold connections that no endpoint update ends; they are told with their next response. */
  private retireWhenTerminating(): void {
    if (this.retired) return;
    const own = this.parts.xds.source.lookup('address', this.config.pod.ips[0] ?? '');
    if (own.state !== 'found' || own.value.kind !== 'workload' || !own.value.terminating) return;
    this.retired = true;
    this.ports.log('the pod is terminating: clients are sent elsewhere');
    this.parts.dataPlane.listeners.retire(INBOUND);
  }

  private adoptSettings(): void {
    const inbound = this.parts.xds.source.current().get('listener', INBOUND);
    if (inbound.state !== 'found') return;
    const { pod } = this.config;
    this.parts.telemetry.configure(inbound.value.settings, {
      'k8s.pod.name': pod.name,
      'k8s.namespace.name': pod.namespace,
      'k8s.pod.uid': pod.uid,
    });
  }

  /** Takes nothing new, finishes what is open, tells what it has seen, ends. */
  private async stop(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    const { telemetry, identity, xds, channel, dataPlane } = this.parts;
    this.ports.log('draining');
    await dataPlane.listeners.drain(Math.min(DRAIN_MS_MAX, this.config.graceMs));
    dataPlane.listeners.close();
    dataPlane.clusters.close();
    identity.close();
    xds.close();
    channel.close();
    for (const server of this.servers) {
      server.close();
      server.closeAllConnections();
    }
    await telemetry.close();
    process.exit(0);
  }
}
