/**
 * `sessionAffinity: ClientIP` of a Service. kube-proxy remembers for `timeoutSeconds` which endpoint a client was given;
 * here the client's address is hashed, which needs no memory and so has no end: a client stays with its endpoint until
 * that one goes, which keeps the promise and more.
 */
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import type { MergedPolicy, PolicyTarget } from './policy.ts';

const clientIp: NonNullable<MergedPolicy['loadBalancer']> = {
  type: 'RingHash',
  hashKeys: [{ source: 'IP', terminal: true }],
};

/** Who says in a TrafficPolicy how to balance means it, whatever the Service says. */
export function affinityOf(
  state: ClusterState,
  { service }: PolicyTarget,
  stated: MergedPolicy['loadBalancer'],
): Pick<MergedPolicy, 'loadBalancer'> {
  if (stated !== undefined || service.kind !== 'Service') return {};
  return state.services.get(objectKey(service.metadata))?.affinitySeconds === undefined
    ? {}
    : { loadBalancer: clientIp };
}
