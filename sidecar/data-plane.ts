import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { Cluster } from '@weft/policies/model/cluster';
import type { FilterChain, Listener } from '@weft/policies/model/listener';
import type { SnapshotSource } from '@weft/policies/model/snapshot';
import type { LimitState } from './cluster/limits.ts';
import { ClusterManager } from './cluster/manager.ts';
import { resolveLocally } from './cluster/resolve-locally.ts';
import { plaintext } from './cluster/security.ts';
import type { ResolveHost } from './cluster/strict-dns.ts';
import { createDispatch } from './filters/chain.ts';
import { ActiveCalls } from './filters/hop/calls.ts';
import { Protection } from './filters/protection.ts';
import { evaluateNetwork } from './filters/rbac/engine.ts';
import { OpenTunnels } from './filters/tunnels.ts';
import { connectHttp } from './http/client.ts';
import type { CertificateSource } from './identity/source.ts';
import type { ListenerSharing } from './listener/deps.ts';
import { createListenerManager, type ListenerManager } from './listener/manager.ts';
import { refuses } from './listener/outside.ts';
import type { Dial } from './net/connection.ts';
import { createDial } from './net/dial.ts';
import type { OverloadState } from './overload/state.ts';
import { LoggingRecorder, type LogSinks, loggersOf } from './telemetry/log/loggers.ts';
import type { Recorder } from './telemetry/record.ts';

/** How long a request waits for configuration that is not known yet. */
const ON_DEMAND_WAIT_MS_MAX = 5_000;

interface DataPlaneOptions {
  readonly source: SnapshotSource;
  readonly listenerNames: readonly string[];
  readonly certificates: CertificateSource;
  readonly recorder: Recorder;
  /** Outputs of the loggers that listeners name; undefined: they are not written. */
  readonly logSinks?: LogSinks;
  readonly clock: Clock;
  readonly prng: Prng;
  /** Addresses of the pod itself, canonical. */
  readonly ownIps: ReadonlySet<string>;
  /** Names to addresses; undefined: as every program of the pod resolves them. */
  readonly resolveHost?: ResolveHost;
  /** Undefined: this is the only data thread. */
  readonly sharing?: ThreadSharing | undefined;
  readonly overload?: OverloadState | undefined;
}

/** What a data thread has in common with the others. */
export interface ThreadSharing extends ListenerSharing {
  limitsOf(cluster: Cluster): LimitState;
  /** How many they are. */
  readonly threads: number;
}

export interface DataPlane {
  readonly listeners: ListenerManager;
  readonly clusters: ClusterManager;
  readonly protection: Protection;
}

/** Wires the parts that a request passes; one for each data thread. */
export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const { source, certificates, recorder, clock, prng, sharing, overload } = options;
  const anywhere = createDial({ certificates, clock, recorder });
  // A Service may pick the pod that calls it. Its own sidecar is not passed on that way, so there is none to do TLS with.
  const dial: Dial = (request, done) =>
    request.security.kind === 'mesh' && options.ownIps.has(request.endpoint.address.ip)
      ? anywhere({ ...request, security: plaintext }, done)
      : anywhere(request, done);
  const clusters = new ClusterManager({
    source,
    dial,
    connectHttp: (transport, { connections }, wire) => connectHttp(transport, wire, { clock, recorder }, connections),
    identity: certificates,
    recorder,
    clock,
    prng,
    onDemandWaitMsMax: ON_DEMAND_WAIT_MS_MAX,
    resolveHost: options.resolveHost ?? resolveLocally,
    ownIps: options.ownIps,
    limitsOf: sharing === undefined ? undefined : (cluster) => sharing.limitsOf(cluster),
  });
  const protection = new Protection({ clock, prng, recorder, threads: sharing?.threads ?? 1 });
  recorder.collect?.(() => protection.render());
  const calls = new ActiveCalls();
  const tunnels = new OpenTunnels();
  const listeners = createListenerManager({
    source,
    listenerNames: options.listenerNames,
    certificates,
    recorder,
    clock,
    onDemandWaitMsMax: ON_DEMAND_WAIT_MS_MAX,
    recorderOf: recordersOf(recorder, options.logSinks),
    tcpUpstreams: clusters.forTcp,
    evaluateNetwork,
    sharing,
    overload,
    createDispatch: (hcm, listener) =>
      createDispatch({
        hcm,
        direction: listener.direction,
        settings: listener.settings,
        traceContext: listener.traceContext,
        source,
        clusters,
        recorder,
        ...(options.logSinks === undefined ? {} : { logSinks: options.logSinks }),
        filterChainName: chainNameOf(listener, hcm),
        clock,
        prng,
        onDemandWaitMsMax: ON_DEMAND_WAIT_MS_MAX,
        identity: certificates,
        refusesOutside: listener.filterChains.some((one) => one.outside !== undefined && refuses(one)),
        overload,
        protection,
        tunnels,
        // Listeners of the mesh say what workload they are for; a proxy from a bootstrap is as Envoy.
        calls: (listener.settings?.workloadName ?? '') === '' ? undefined : calls,
      }),
  });
  return { listeners, clusters, protection };
}

/** Empty: it has none. */
const chainNameOf = ({ filterChains, defaultFilterChain }: Listener, terminal: FilterChain['terminal']): string =>
  (filterChains.find((chain) => chain.terminal === terminal) ?? defaultFilterChain)?.name ?? '';

/** The recorder of each filter chain, with its own loggers where it has any. */
function recordersOf(
  recorder: Recorder,
  sinks: LogSinks | undefined,
): (terminal: FilterChain['terminal'], listener: Listener) => Recorder {
  const made = new WeakMap<FilterChain['terminal'], Recorder>();
  return (terminal, listener) => {
    let own = made.get(terminal);
    if (own === undefined) {
      const loggers = loggersOf(terminal, listener, sinks, chainNameOf(listener, terminal));
      own = loggers === undefined ? recorder : new LoggingRecorder(recorder, loggers);
      made.set(terminal, own);
    }
    return own;
  };
}
