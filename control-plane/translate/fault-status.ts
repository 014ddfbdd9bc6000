/** What is said of a FaultPolicy: whom it is for, what it cannot do there, and what only Weft's sidecar does. */
import type { FaultPolicy } from '@weft/policies/crds/kinds';
import type { TargetRef } from '../index/client-policies.ts';
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { clientAncestors } from './client-policy-status.ts';
import type { TranslateContext } from './context.ts';
import { faultConflicts, isAboutRequests } from './fault.ts';
import { servicePortProtocol } from './ports.ts';
import { carriesHttp, mayBeOpaque } from './protocol.ts';
import { isProducer, type TargetPort } from './reach.ts';
import type { PolicyVerdict } from './status.ts';

export function faultPolicyStatus({ state }: TranslateContext, policy: FaultPolicy): PolicyVerdict {
  const { metadata, spec } = policy;
  // A policy that names its clients fights with others about those.
  const clients = spec.match?.sourceNamespaces?.[0] ?? metadata.namespace;
  return {
    kind: 'FaultPolicy',
    policy: objectKey(metadata),
    generation: metadata.generation,
    ancestors: clientAncestors(state, policy, {
      reach: (ref, targets) => reachOf(state, policy, ref, targets),
      conflictsAt: (target) => faultConflicts(state, clients, target),
    }),
  };
}

function reachOf(state: ClusterState, policy: FaultPolicy, ref: TargetRef, targets: readonly TargetPort[]): string {
  const { spec, metadata } = policy;
  const sources = spec.match?.sourceNamespaces;
  const clients =
    sources !== undefined
      ? `clients in namespace ${sources.join(', ')}`
      : isProducer(state, policy, ref)
        ? 'all clients'
        : `clients in namespace ${metadata.namespace}`;
  const said = [`the policy applies to ${clients}`];
  const protocols = targets.flatMap(({ service, port }) => {
    const found = state.services.get(service);
    const spec = found?.ports.find((one) => one.port === port);
    return found === undefined || spec === undefined ? [] : [servicePortProtocol(state, found, spec)];
  });
  if (protocols.length > 0 && !protocols.some(carriesHttp)) {
    if (spec.abort !== undefined) said.push('what does not carry HTTP has no use for abort: use reset');
    if (spec.match !== undefined && isAboutRequests(spec.match)) {
      said.push('what does not carry HTTP matches no paths, methods or headers, and is left alone');
    }
  }
  const ofRoute = ref.kind === 'HTTPRoute' || ref.kind === 'GRPCRoute';
  const own = onlyWeft(spec, !ofRoute && protocols.some(mayBeOpaque));
  if (own.length > 0) said.push(`proxies other than Weft's sidecar do without ${own.join(', ')}`);
  return said.join('; ');
}

/** For what Envoy has no message: nothing of it delays or limits opaque bytes. */
function onlyWeft({ match, delay, reset, bandwidth }: FaultPolicy['spec'], bytes: boolean): string[] {
  const ofBytes =
    bytes && (delay ?? reset ?? bandwidth) !== undefined && (match === undefined || !isAboutRequests(match));
  return [
    ...(reset === undefined ? [] : ['reset']),
    ...(bandwidth?.requestKiBPerSecond === undefined ? [] : ['bandwidth.requestKiBPerSecond']),
    ...(ofBytes ? ['faults of opaque bytes'] : []),
  ];
}
