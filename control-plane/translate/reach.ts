/** Whom a TrafficPolicy is for, and which of its fields cannot do anything there: nothing is ignored in silence. */
import type { TrafficPolicy } from '@weft/policies/crds/kinds';
import { type ClientPolicy, type TargetRef, targetOwner } from '../index/client-policies.ts';
import type { Service } from '../index/core.ts';
import type { ClusterState } from '../index/state.ts';
import { isHeadless, rivalsOf } from './headless.ts';
import { servicePortProtocol } from './ports.ts';
import { carriesHttp } from './protocol.ts';

export interface TargetPort {
  /** `<ns>/<name>`. */
  readonly service: string;
  readonly port: number;
}

export const isProducer = (state: ClusterState, policy: ClientPolicy, ref: TargetRef): boolean =>
  targetOwner(policy, ref, state.meshNamespace) === policy.metadata.namespace;

const namesMax = 3;

export function reachOf(
  state: ClusterState,
  policy: TrafficPolicy,
  ref: TargetRef,
  targets: readonly TargetPort[],
): string {
  const clients = isProducer(state, policy, ref) ? 'all clients' : `clients in namespace ${policy.metadata.namespace}`;
  const said = [`the policy applies to ${clients}`];
  const forRoute = ref.kind === 'HTTPRoute' || ref.kind === 'GRPCRoute' ? notForRoutes(policy) : [];
  if (forRoute.length > 0) said.push(`a route has no use for ${forRoute.join(', ')}: target the Service for that`);
  const ports = targets.flatMap(({ service, port }) => {
    const found = state.services.get(service);
    const spec = found?.ports.find((one) => one.port === port);
    return found === undefined || spec === undefined ? [] : [{ service: found, port: spec }];
  });
  const forBytes = ports.some(({ service, port }) => carriesHttp(servicePortProtocol(state, service, port)))
    ? []
    : notForBytes(policy);
  if (ports.length > 0 && forBytes.length > 0) {
    const numbers = [...new Set(ports.map(({ port }) => port.port))].slice(0, namesMax).join(', ');
    said.push(`what does not carry HTTP (port ${numbers}) has no use for ${forBytes.join(', ')}`);
  }
  const services = [...new Set(ports.map((one) => one.service))];
  said.push(...forHeadless(state, policy, services.filter(isHeadless)));
  const sticky =
    policy.spec.loadBalancer !== undefined
      ? services.filter(({ affinitySeconds }) => affinitySeconds !== undefined)
      : [];
  if (sticky.length > 0) said.push(`loadBalancer goes before sessionAffinity of Services (${listed(sticky)})`);
  const elsewhere = services.filter(({ addressing }) => addressing === 'external-name');
  if (elsewhere.length > 0) said.push(`clients of an ExternalName (${listed(elsewhere)}) are not affected`);
  const own = onlyWeft(policy);
  if (own.length > 0) said.push(`proxies other than Weft's sidecar do without ${own.join(', ')}`);
  return said.join('; ');
}

/** For what Envoy has no message. */
function onlyWeft({ spec }: TrafficPolicy): string[] {
  return fieldsSet({
    'circuitBreaker.errorRate': spec.circuitBreaker?.errorRate,
    'outlierDetection.latency': spec.outlierDetection?.latency,
    'healthChecks.initially': spec.healthChecks?.initially === 'Healthy' ? true : undefined,
    'loadBalancer.peakEwma': spec.loadBalancer?.peakEwma,
    'loadBalancer.subset': spec.loadBalancer?.subset,
    hedging: spec.hedging,
    'retries.idempotencyKey': spec.retries?.idempotencyKey === true ? true : undefined,
    'retries.budget.interval': spec.retries?.budget,
    mirrorDiff: spec.mirrorDiff,
  });
}

const listed = (services: readonly Service[]): string => {
  const more = services.length > namesMax ? ` and ${services.length - namesMax} more` : '';
  return `${services
    .slice(0, namesMax)
    .map(({ metadata }) => metadata.name)
    .join(', ')}${more}`;
};

/** Their clients call pods by address: with that the endpoint is chosen (docs/decisions/011). */
function forHeadless(state: ClusterState, policy: TrafficPolicy, services: readonly Service[]): string[] {
  if (services.length === 0) return [];
  const idle = notForHeadless(policy);
  const said =
    idle.length === 0
      ? []
      : [
          `clients of a headless Service (${listed(services)}) choose the pod, where there is no use for ${idle.join(', ')}`,
        ];
  const rivals = services.flatMap((service) => {
    const others = rivalsOf(state, service);
    return others.length === 0 ? [] : [`${service.metadata.name} with ${others.slice(0, namesMax).join(', ')}`];
  });
  if (rivals.length > 0) {
    said.push(
      `headless Services that share ports of pods (${rivals.slice(0, namesMax).join('; ')}) leave calls of those unaffected`,
    );
  }
  return said;
}

/** What chooses among endpoints, or judges them against each other. */
function notForHeadless({ spec }: TrafficPolicy): string[] {
  return fieldsSet({
    loadBalancer: spec.loadBalancer,
    outlierDetection: spec.outlierDetection,
    healthChecks: spec.healthChecks,
  });
}

/** What belongs to connections and endpoints, which all routes to a Service share. */
function notForRoutes({ spec }: TrafficPolicy): string[] {
  return fieldsSet({
    circuitBreaker: spec.circuitBreaker,
    loadBalancer: spec.loadBalancer,
    outlierDetection: spec.outlierDetection,
    healthChecks: spec.healthChecks,
    connections: spec.connections,
    'retries.budget': spec.retries?.budget,
    'timeouts.connect': spec.timeouts?.connect,
    'timeouts.idle': spec.timeouts?.idle,
  });
}

/** What is about requests, of which a connection of opaque bytes has none. */
function notForBytes({ spec }: TrafficPolicy): string[] {
  const limits = spec.circuitBreaker?.limits;
  const keys = spec.loadBalancer?.hashKeys;
  return fieldsSet({
    retries: spec.retries,
    hedging: spec.hedging,
    'timeouts.stream': spec.timeouts?.stream,
    'timeouts.streamIdle': spec.timeouts?.streamIdle,
    'timeouts.request': spec.timeouts?.request,
    'timeouts.backendRequest': spec.timeouts?.backendRequest,
    'timeouts.idle': spec.timeouts?.idle,
    'circuitBreaker.errorRate': spec.circuitBreaker?.errorRate,
    'circuitBreaker.limits.maxPendingRequests': limits?.maxPendingRequests,
    'circuitBreaker.limits.maxRequests': limits?.maxRequests,
    'circuitBreaker.limits.maxRetries': limits?.maxRetries,
    'outlierDetection.latency': spec.outlierDetection?.latency,
    'connections.upstreamProtocol': spec.connections?.upstreamProtocol,
    'connections.maxRequestsPerConnection': spec.connections?.maxRequestsPerConnection,
    'connections.maxConnectionDuration': spec.connections?.maxConnectionDuration,
    'connections.maxConcurrentStreams': spec.connections?.maxConcurrentStreams,
    'connections.http2KeepAlive': spec.connections?.http2KeepAlive,
    'loadBalancer.hashKeys (but source)': keys?.some(({ source }) => source === undefined) ? keys : undefined,
    'loadBalancer.loadReported': spec.loadBalancer?.type === 'LoadReported' ? true : undefined,
  });
}

const fieldsSet = (fields: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [field]));
