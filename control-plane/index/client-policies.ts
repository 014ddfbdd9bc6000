/** Policies of the client's side, and what they are attached to. */
import type { FaultPolicy, TrafficPolicy } from '@weft/policies/crds/kinds';
import { unreachable } from '@weft/policies/kit/result';
import { keyOf } from './objects.ts';

/** Attached by reference. */
export type ClientPolicy = TrafficPolicy | FaultPolicy;
export type TargetRef = ClientPolicy['spec']['targetRefs'][number];

/** Namespace that owns the target: a policy of another namespace speaks for its own clients alone. */
export function targetOwner(policy: ClientPolicy, ref: TargetRef, meshNamespace: string): string {
  switch (ref.kind) {
    case 'Service':
    case 'ExternalService':
    case 'HTTPRoute':
    case 'GRPCRoute':
      return ref.namespace ?? policy.metadata.namespace;
    case 'Namespace':
      return ref.name;
    case 'Mesh':
      return meshNamespace;
    default:
      return unreachable(ref.kind);
  }
}

/** By which policies are found. */
export const targetKey = (policy: ClientPolicy, ref: TargetRef): string =>
  ref.kind !== 'Namespace' && ref.kind !== 'Mesh'
    ? `${ref.kind}:${keyOf(ref.namespace ?? policy.metadata.namespace, ref.name)}`
    : `${ref.kind}:${ref.name}`;
