import { formatSpiffeId, type SpiffeId, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Pod } from '../index/core.ts';
import type { ClusterState } from '../index/state.ts';
import type { TlsModes } from './authentication.ts';
import type { TrustFacts } from './trust.ts';

/** Between two modes a server takes what callers of either do, and callers are told of the new one after it does. */
export interface ModeChange {
  readonly taken: TlsModes;
  readonly told: TlsModes;
}

export interface KeySets {
  /** The last good one; undefined: there never was one. */
  get(uri: string): string | undefined;
  /** Why it could not be fetched last time; undefined: it could, or was not tried. */
  problem(uri: string): string | undefined;
}

export interface PlaintextCaller {
  readonly ip: string;
  readonly port: number;
  /** Requests, and connections whose requests are not looked at. */
  readonly count: number;
}

/** What translation reads: the state of the cluster, and nothing that changes behind its back. */
export interface TranslateContext {
  readonly state: ClusterState;
  readonly trustDomain: TrustDomain;
  /** True when the end of a pod (`<ns>/<name>`) has reached everyone who sent requests to it. */
  readonly isDrained: (podKey: string) => boolean;
  /** Undefined: proxies learn of trust with their certificates alone. */
  readonly trust?: TrustFacts;
  /** Of a pod whose policies have just changed: what holds until everyone knows. Absent: changes hold at once. */
  readonly modeChanges?: (podKey: string) => ModeChange | undefined;
  /** Key sets that issuers publish; absent: none are fetched. */
  readonly keySets?: KeySets;
  /** Who has called a workload (`<ns>/<name>`) without mutual TLS in the last 24 hours and was let in; absent: not known. */
  readonly plaintextCallers?: (workload: string) => readonly PlaintextCaller[] | undefined;
}

export const identityOf = (context: TranslateContext, pod: Pod): SpiffeId =>
  formatSpiffeId({
    trustDomain: context.trustDomain,
    namespace: pod.metadata.namespace,
    serviceAccount: pod.serviceAccount,
  });

export const zoneOf = (context: TranslateContext, nodeName: string): string =>
  context.state.nodes.get(nodeName)?.zone ?? '';

/** How many proxies in front of a pod are believed. */
export const trustedHopsOf = (context: TranslateContext, pod: Pod): number =>
  pod.trustedHops ?? context.state.mesh?.spec.trustedHops ?? 0;
