import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { Mesh } from '@weft/policies/crds/kinds';
import { leastRequest } from '@weft/policies/model/balancer';
import { type Cluster, type ClusterLimits, defaultClusterLimits } from '@weft/policies/model/cluster';
import { keyOf } from '../index/objects.ts';
import { connectionsOf } from './connections.ts';
import type { TranslateContext } from './context.ts';
import { timerMs } from './durations.ts';
import { UNKNOWN } from './external/names.ts';
import { tcpFault } from './fault.ts';
import { healthCheckOf } from './health-check.ts';
import { balancingOf } from './load-balancing.ts';
import { type INBOUND, outboundName, PASSTHROUGH, type ServicePortRef } from './names.ts';
import { outlierOf } from './outlier.ts';
import { type MergedPolicy, mergedPolicy } from './policy.ts';
import { servicePortProtocol } from './ports.ts';
import { mayBeOpaque } from './protocol.ts';
import { retryBudgetOf } from './retry.ts';

const connectTimeoutMs = 5_000;
const idleTimeoutMs = 3_600_000;
/** Envoy's way to say "no limit": the largest uint32. */
const unlimited = 4_294_967_295;

export function translateCluster(
  context: TranslateContext,
  clientNamespace: string,
  ref: ServicePortRef,
): Cluster | undefined {
  const service = context.state.services.get(keyOf(ref.namespace, ref.service));
  const port = service?.ports.find((one) => one.port === ref.port);
  if (service === undefined || port === undefined) return undefined;
  const policy = mergedPolicy(context.state, clientNamespace, { service, port });
  const protocol = servicePortProtocol(context.state, service, port);
  const name = outboundName(ref);
  return clusterWith(context, policy, {
    name,
    discovery: { kind: 'eds', serviceName: name },
    // Who calls a port of HTTP by HTTP/2 knows that its server speaks it.
    protocol: protocol === 'http2' || protocol === 'grpc' ? 'http2' : 'downstream',
    tls: undefined,
    meshTls: true,
    ...(service.locality === undefined ? {} : { locality: service.locality }),
    service: { namespace: ref.namespace, name: ref.service },
    ...(mayBeOpaque(protocol) ? tcpFault(context.state, clientNamespace, { service, port }) : {}),
  });
}

/** What a cluster is by itself, whatever policies say. */
type OwnParts = Pick<
  Cluster,
  'name' | 'discovery' | 'protocol' | 'tls' | 'sniFromHost' | 'meshTls' | 'locality' | 'service' | 'fault'
>;

/** With everything that policies decide. */
export function clusterWith(context: TranslateContext, policy: MergedPolicy, own: OwnParts): Cluster {
  const { name, discovery, protocol, ...rest } = own;
  const upstream = connectionsOf(policy, protocol);
  return {
    name,
    discovery,
    connectTimeoutMs: durationOr(policy.timeouts?.connect, connectTimeoutMs),
    idleTimeoutMs: durationOr(policy.timeouts?.idle, idleTimeoutMs),
    requestsPerConnectionMax: policy.connections?.maxRequestsPerConnection ?? 0,
    ...balancingOf(policy),
    ...upstream,
    limits: limitsOf(policy, context.state.mesh),
    errorRate: errorRateOf(policy),
    outlier: outlierOf(policy),
    ...healthCheckOf(policy, { discovery, protocol: upstream.protocol, service: own.service }),
    ...rest,
  };
}

/** `inbound` goes on to the application, `passthrough` to wherever the connection was meant to go. */
export function originalDestinationCluster(name: typeof INBOUND | typeof PASSTHROUGH): Cluster {
  return {
    name,
    discovery: { kind: 'original-dst' },
    connectTimeoutMs,
    idleTimeoutMs,
    requestsPerConnectionMax: 0,
    balancer: leastRequest,
    protocol: 'downstream',
    limits: {
      connectionsMax: unlimited,
      pendingRequestsMax: unlimited,
      requestsMax: unlimited,
      retriesMax: unlimited,
      retryBudget: undefined,
    },
    errorRate: undefined,
    outlier: undefined,
    healthyPanicPercent: 0,
    tls: undefined,
    // Behind `passthrough` may be a pod that takes mesh TLS; behind `inbound` is the application itself.
    meshTls: name === PASSTHROUGH,
    service: name === PASSTHROUGH ? UNKNOWN : undefined,
  };
}

const durationOr = (text: string | undefined, otherwiseMs: number): number =>
  text === undefined ? otherwiseMs : timerMs(text);

function limitsOf(policy: MergedPolicy, mesh: Mesh | undefined): ClusterLimits {
  const limits = policy.circuitBreaker?.limits;
  // Who sets a number of retries and no budget means the number.
  const counted = limits?.maxRetries !== undefined && policy.retries?.budget === undefined;
  const budget = policy.retries?.budget ?? mesh?.spec.retryBudget;
  const defaults = defaultClusterLimits;
  return {
    connectionsMax: limits?.maxConnections ?? defaults.connectionsMax,
    pendingRequestsMax: limits?.maxPendingRequests ?? defaults.pendingRequestsMax,
    requestsMax: limits?.maxRequests ?? defaults.requestsMax,
    retriesMax: limits?.maxRetries ?? defaults.retriesMax,
    retryBudget: counted ? undefined : budget === undefined ? defaults.retryBudget : retryBudgetOf(budget),
  };
}

function errorRateOf(policy: MergedPolicy): Cluster['errorRate'] {
  const errorRate = policy.circuitBreaker?.errorRate;
  if (errorRate === undefined) return undefined;
  return {
    thresholdPercent: errorRate.thresholdPercent,
    volumeMin: errorRate.volume,
    windowMs: acceptedDurationMs(errorRate.window),
    openMs: acceptedDurationMs(errorRate.openFor),
  };
}
