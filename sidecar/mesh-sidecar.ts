import type { Server } from 'node:http';
import { join } from 'node:path';
import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { TRUST_SECRETS } from '@weft/policies/model/trust';
import { startAdminServer } from './admin/admin-server.ts';
import { waitForRemoval } from './admin/drain-wait.ts';
import { startHealthServer } from './admin/health-server.ts';
import { servedBy } from './admin/served.ts';
import { DecisionReporter } from './authorization/reporter.ts';
import type { SidecarConfig } from './config.ts';
import { ControlChannel } from './control-channel.ts';
import { IdentityManager } from './identity/manager.ts';
import { issuerEndUnixMs } from './identity/material-end.ts';
import { StateDir } from './identity/state-dir.ts';
import { followTrust } from './identity/trust-follower.ts';
import { lowerCompilerWhenWarm } from './overload/compiler.ts';
import type { OverloadMonitor } from './overload/monitor.ts';
import { processOverload } from './overload/process.ts';
import { trimWhenIdle } from './overload/trim.ts';
import { QuotaClient } from './quota/client.ts';
import { globalLimits } from './quota/global-limits.ts';
import { dropStartRights } from './rights.ts';
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts';
import type { DataThreads } from './threads/data-threads.ts';
import type { ThreadPool } from './threads/pool.ts';
import { WireDoor } from './wire/door.ts';
import { XdsClient } from './xds/client.ts';
import type { XdsSource } from './xds/source.ts';

export interface ProcessPorts {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (line: string) => void;
}

const INBOUND = 'inbound';
const OUTBOUND = 'outbound';
const LISTENERS = [INBOUND, OUTBOUND];
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
  const door = new WireDoor(clock);
  const channel = new ControlChannel({
    target: config.controlPlane,
    trustFile: config.trustFile,
    tokenFile: config.tokenFile,
    clock,
    wire: door.wire,
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
  let threads: DataThreads | undefined;
  let reporter: DecisionReporter | undefined;
  const overload = processOverload({ clock, count, log, onChange: (shed) => threads?.shed(shed) });
  const pool = config.concurrency === 1 ? undefined : await createPool(config, ports, telemetry, () => xds.source);
  const xds = new XdsClient({
    open: (listener) => {
      reporter?.connected();
      return channel.openDiscovery(listener);
    },
    wire: door.wire,
    nodeId: `sidecar~${config.pod.ips[0] ?? ''}~${config.pod.name}.${config.pod.namespace}~${config.clusterDomain}`,
    clock,
    prng,
    log,
    count,
    listeners: LISTENERS,
    secrets: TRUST_SECRETS,
    waitersMax: WAITERS_MAX,
    namesMax: NAMES_MAX,
    store: {
      load: () => state.value.read('snapshot.bin'),
      save: (bytes) => {
        const failure = state.value.write('snapshot.bin', bytes);
        if (failure !== undefined) log(`xds: ${failure}`);
      },
    },
    replicas: pool,
  });
  xds.onConnected(() => identity.retrySoon());
  followTrust(xds.source, config.spiffeId, identity);
  const parts = { telemetry, door, channel, identity, xds, overload };
  threads = pool ?? (await createLocal(config, ports, parts));
  if (pool !== undefined) handOut(identity, pool);
  const data = threads;
  const quotas = leaseQuotas(xds, data, channel, ports, count);
  reporter = new DecisionReporter({
    decisions: () => data.decisions(),
    send: (report) => channel.report(xds.nodeId, report),
    clock,
    prng,
    count,
  });
  const sidecar = new MeshSidecar(config, ports, { ...parts, threads: data, quotas, reporter });
  return sidecar.start();
}

/** Leases of global limits, for as long as the inbound listener names any. */
function leaseQuotas(
  xds: XdsClient,
  threads: DataThreads,
  channel: ControlChannel,
  { clock, prng }: ProcessPorts,
  count: (event: string) => void,
): QuotaClient {
  const quotas = new QuotaClient({ lease: (uses) => channel.lease(xds.nodeId, uses), threads, clock, prng, count });
  const follow = (): void => {
    const inbound = xds.source.current().get('listener', INBOUND);
    quotas.follow(inbound.state === 'found' ? globalLimits(inbound.value) : []);
  };
  xds.source.onChange(follow);
  follow();
  return quotas;
}

/** Key material goes to the data threads as it is made. */
function handOut(identity: IdentityManager, pool: ThreadPool): void {
  const adopt = (): void => {
    if (identity.material !== undefined) pool.adopt(identity.material);
  };
  identity.onChange(adopt);
  adopt();
}

async function createPool(
  config: SidecarConfig,
  { clock, log }: ProcessPorts,
  telemetry: Telemetry,
  source: () => XdsSource,
): Promise<ThreadPool> {
  const { processPool } = await import('./threads/process-pool.ts');
  const work = {
    threads: config.concurrency,
    listenerNames: LISTENERS,
    ownIps: config.pod.ips,
    bootstrap: undefined,
    everything: () => source().asChanges(),
    want: (kind: ResourceKind, name: string) => void source().lookup(kind, name),
  };
  return processPool(work, { telemetry, clock, log });
}

async function createLocal(
  config: SidecarConfig,
  { clock, prng }: ProcessPorts,
  { telemetry, identity, xds, overload }: Omit<Parts, 'threads' | 'quotas' | 'reporter'>,
): Promise<DataThreads> {
  const [{ createDataPlane }, { localThread }, { warmUp, WARM_UP_MS_MAX }, { tlsOfMesh }] = await Promise.all([
    import('./data-plane.ts'),
    import('./threads/local.ts'),
    import('./warm-up.ts'),
    import('./warm-up-tls.ts'),
  ]);
  const dataPlane = createDataPlane({
    source: xds.source,
    listenerNames: LISTENERS,
    certificates: identity,
    recorder: telemetry.recorder,
    logSinks: telemetry.logSinks,
    clock,
    prng,
    ownIps: new Set(config.pod.ips),
    overload,
  });
  return localThread(dataPlane, telemetry, {
    before: async () => {
      const tls = await tlsOfMesh(identity, clock);
      await warmUp({ clock, prng }, { budgetMs: WARM_UP_MS_MAX, tls });
    },
  });
}

interface Parts {
  readonly telemetry: Telemetry;
  readonly door: WireDoor;
  readonly channel: ControlChannel;
  readonly identity: IdentityManager;
  readonly xds: XdsClient;
  readonly overload: OverloadMonitor;
  readonly threads: DataThreads;
  readonly quotas: QuotaClient;
  readonly reporter: DecisionReporter;
}

class MeshSidecar {
  private readonly config: SidecarConfig;
  private readonly ports: ProcessPorts;
  private readonly parts: Parts;
  private readonly servers: Server[] = [];
  private workloadApi: { close(): void } | undefined = undefined;
  private listening = false;
  private stopping = false;
  private retired = false;

  constructor(config: SidecarConfig, ports: ProcessPorts, parts: Parts) {
    this.config = config;
    this.ports = ports;
    this.parts = parts;
  }

  async start(): Promise<Result<void, string>> {
    const { telemetry, identity, xds, threads, overload } = this.parts;
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
    telemetry.gauge(
      'weft_certificate_issuer_expiry_seconds',
      'Seconds until the first certificate above the leaf ends, anchors of our trust domain among them.',
      () => (issuerEndUnixMs(identity.material) - this.ports.clock.unixMs()) / 1_000,
    );
    telemetry.gauge(
      'weft_trust_bundles_refused',
      'Bundles of other trust domains that cannot be used: their last good ones hold, if there are any.',
      () => identity.refusedBundles.length,
    );
    telemetry.gauge('weft_xds_connected', '1 while the stream to the control plane is up.', () =>
      xds.status().connected ? 1 : 0,
    );
    try {
      await this.serve();
    } catch (error) {
      return err(`port ${this.config.healthPort} or the admin socket cannot be opened: ${(error as Error).message}`);
    }
    const workloadApi = await this.serveWorkloadApi();
    if (!workloadApi.ok) return workloadApi;
    const started = await threads.start();
    if (!started.ok) return err(started.error);
    overload.start();
    this.parts.reporter.start();
    const { clock } = this.ports;
    const count = (event: string): void => telemetry.recorder.count(event);
    trimWhenIdle({ clock, listeners: () => threads.listeners(), count, spare: this.parts.door });
    lowerCompilerWhenWarm({ clock, count });
    dropStartRights(this.config.concurrency);
    this.listening = true;
    return ok(undefined);
  }

  private async serve(): Promise<void> {
    const { config } = this;
    const { xds, threads, telemetry } = this.parts;
    const podIp = config.pod.ips[0] ?? '127.0.0.1';
    this.servers.push(
      await startHealthServer({
        host: config.healthHost,
        port: config.healthPort,
        podIp,
        probes: config.probes,
        scrape: config.scrape,
        notReady: () => this.notReady(),
        metrics: () => threads.metrics(),
        drainWait: () => waitForRemoval(xds.source, podIp, this.ports.clock, config.graceMs),
        count: (event) => telemetry.recorder.count(event),
      }),
    );
    const views = this.adminViews();
    this.servers.push(await startAdminServer({ socketPath: join(config.stateDir, 'admin.sock') }, views));
    if (config.adminPort !== undefined) {
      this.servers.push(await startAdminServer({ host: '127.0.0.1', port: config.adminPort }, views));
    }
  }

  /** Loaded where a pod asks for it: most do not. */
  private async serveWorkloadApi(): Promise<Result<void, string>> {
    const { spiffeId, workloadApi: socket } = this.config;
    if (socket === undefined) return ok(undefined);
    const { channel, xds, telemetry } = this.parts;
    const { serveWorkloadApi } = await import('./workload-api/in-sidecar.ts');
    const count = (event: string): void => telemetry.recorder.count(event);
    const onConnected = (listener: () => void): void => xds.onConnected(listener);
    const { source } = xds;
    const served = await serveWorkloadApi({ ...this.ports, socket, spiffeId, channel, source, onConnected, count });
    if (!served.ok) return err(`Workload API: ${served.error}`);
    this.workloadApi = served.value;
    return ok(undefined);
  }

  private adminViews(): Parameters<typeof startAdminServer>[1] {
    const { identity, xds, threads } = this.parts;
    return {
      node: { id: `${this.config.pod.name}.${this.config.pod.namespace}`, cluster: this.config.pod.namespace },
      concurrency: this.config.concurrency,
      config: () => servedBy(xds.source.entries()),
      metrics: () => threads.metrics(),
      counters: () => threads.counters(),
      certs: () => {
        const certificate = identity.own();
        return {
          spiffeId: this.config.spiffeId,
          serial: certificate?.serialHex,
          notAfter: certificate && new Date(certificate.notAfterUnixMs).toISOString(),
          generation: certificate?.generation,
          clockSkewMs: identity.skewMs,
          refusedBundles: identity.refusedBundles,
        };
      },
      clusters: () => threads.clusters(),
      listeners: () => threads.listeners(),
      notReady: () => this.notReady(),
      drain: () => void threads.drain(DRAIN_MS_MAX),
      quit: () => void this.stop(),
    };
  }

  /** Undefined when traffic can be served: own listeners and certificate are there, from now or from before a restart. */
  private notReady(): string | undefined {
    if (this.stopping) return 'draining';
    if (this.parts.identity.own() === undefined) return 'no certificate yet';
    for (const name of LISTENERS) {
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
    this.parts.threads.retire(INBOUND);
  }

  private adoptSettings(): void {
    const inbound = this.parts.xds.source.current().get('listener', INBOUND);
    if (inbound.state !== 'found') return;
    const { pod } = this.config;
    const { settings } = inbound.value;
    const attributes = { 'k8s.pod.name': pod.name, 'k8s.namespace.name': pod.namespace, 'k8s.pod.uid': pod.uid };
    // Spans are exported by this thread, whichever made them.
    this.parts.telemetry.configure(settings, attributes);
    this.parts.threads.configure({ settings, attributes });
  }

  /** Takes nothing new, finishes what is open, tells what it has seen, ends. */
  private async stop(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    const { telemetry, identity, xds, channel, threads, overload, quotas, reporter } = this.parts;
    this.ports.log('draining');
    quotas.close();
    await threads.drain(Math.min(DRAIN_MS_MAX, this.config.graceMs));
    overload.close();
    await reporter.close();
    await threads.close();
    this.workloadApi?.close();
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
