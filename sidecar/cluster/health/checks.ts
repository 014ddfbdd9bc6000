import type { Cluster } from '@weft/policies/model/cluster';
import type { HealthCheck, HealthProbe } from '@weft/policies/model/health-check';
import type { Host } from '../host.ts';
import type { PoolDeps, PoolWire } from '../pool.ts';
import { upstreamSecurity } from '../security.ts';
import type { CheckBounds } from './bounds.ts';
import { type CheckOutcome, HostHealth } from './host-health.ts';
import { HttpProber } from './http-prober.ts';
import { grpcQuestion, httpQuestion } from './http-question.ts';
import type { Prober, ProbeTarget } from './prober.ts';
import { HealthSession } from './session.ts';
import { TcpProber } from './tcp-prober.ts';

/** Under Envoy's names. */
interface CheckCounters {
  attempt: number;
  success: number;
  failure: number;
  network_failure: number;
  /** Of the failures above those that took too long. */
  timeout: number;
}

interface ChecksHooks {
  readonly cluster: () => Cluster;
  readonly hasTraffic: () => boolean;
  /** Endpoints take traffic or take none, other than before. */
  readonly onChange: () => void;
  /** Every endpoint that was there has been asked once. */
  readonly onFirstRound: () => void;
  readonly onPassed: (host: Host) => void;
}

/** The active health checks of one cluster's endpoints. */
export class HealthChecks {
  readonly settings: HealthCheck;
  readonly counters: CheckCounters = { attempt: 0, success: 0, failure: 0, network_failure: 0, timeout: 0 };
  private readonly sessions = new Map<Host, HealthSession>();
  private readonly deps: PoolDeps;
  private readonly bounds: CheckBounds;
  private readonly hooks: ChecksHooks;

  constructor(settings: HealthCheck, deps: PoolDeps, bounds: CheckBounds, hooks: ChecksHooks) {
    this.settings = settings;
    this.deps = deps;
    this.bounds = bounds;
    this.hooks = hooks;
  }

  /** `served`: the endpoint took traffic before it was checked, which goes on until a check says otherwise. */
  add(host: Host, served: boolean): void {
    const before = host.health?.failed ?? (served ? false : undefined);
    const health = new HostHealth(this.settings, before, () => this.hooks.onChange());
    host.health = health;
    const { clock, prng } = this.deps;
    const { settings, bounds } = this;
    const session = new HealthSession(health, this.proberOf(host), {
      settings,
      clock,
      prng,
      bounds,
      hasTraffic: this.hooks.hasTraffic,
      onOutcome: (outcome, { changed, passed }) => {
        this.count(outcome);
        if (passed) this.hooks.onPassed(host);
        if (changed) this.hooks.onChange();
        if (this.settled) this.hooks.onFirstRound();
      },
    });
    this.sessions.set(host, session);
  }

  remove(host: Host): void {
    this.sessions.get(host)?.stop();
    this.sessions.delete(host);
  }

  stop(): void {
    for (const [host, session] of this.sessions) {
      session.stop();
      host.health = undefined;
    }
    this.sessions.clear();
  }

  /** Nothing has to be waited for: all that are there were asked, or count as healthy meanwhile. */
  get settled(): boolean {
    if (this.settings.initially === 'healthy') return true;
    for (const { health } of this.sessions.values()) if (health.pending && health.failed) return false;
    return true;
  }

  /** What each check came to, once. */
  get results(): Readonly<Record<string, number>> {
    const { success, failure, network_failure, timeout } = this.counters;
    return { success, failure: failure - network_failure, network_failure: network_failure - timeout, timeout };
  }

  certificateChanged(): void {
    for (const session of this.sessions.values()) session.certificateChanged();
  }

  private count(outcome: CheckOutcome): void {
    const { counters } = this;
    counters.attempt++;
    if (outcome === 'success') counters.success++;
    else {
      counters.failure++;
      if (outcome === 'network' || outcome === 'timeout') counters.network_failure++;
      if (outcome === 'timeout') counters.timeout++;
    }
  }

  private proberOf(host: Host): Prober {
    const cluster = this.hooks.cluster();
    const { probe, port, reuseConnection, timeoutMs } = this.settings;
    const { ip, port: own } = host.endpoint.address;
    const security = probe.kind === 'tcp' ? upstreamSecurity(cluster, host.endpoint, 'tcp') : host.security;
    const target: ProbeTarget = {
      request: {
        endpoint: { address: { ip, port: port === 0 ? own : port } },
        security,
        timeoutMs,
        tcpKeepAlive: cluster.connections?.tcpKeepAlive,
      },
      dial: this.deps.dial,
      reuse: reuseConnection,
    };
    if (probe.kind === 'tcp') return new TcpProber(target, probe, this.bounds);
    const scheme = security.kind === 'plaintext' ? 'http' : 'https';
    const question =
      probe.kind === 'http' ? httpQuestion(probe, cluster.name, scheme) : grpcQuestion(probe, cluster.name, scheme);
    const wire = wireOf(probe, host, cluster);
    return new HttpProber(
      target,
      question,
      (transport) => this.deps.connectHttp(transport, this.hooks.cluster(), wire),
      this.bounds,
    );
  }
}

/** ALPN decides where both sides choose by it; elsewhere the check says what it speaks. */
function wireOf(probe: HealthProbe, host: Host, cluster: Cluster): PoolWire {
  if (host.security.kind === 'mesh' || cluster.protocol === 'negotiated') return 'negotiated';
  return probe.kind === 'grpc' || (probe.kind === 'http' && probe.http2) ? 'http2' : 'http1';
}
