import type { Address } from './address.ts';
import type { Cluster, EndpointAssignment } from './cluster.ts';
import type { Listener } from './listener.ts';
import type { RouteConfiguration } from './route.ts';
import type { TrustSecret } from './trust.ts';

/** What a sidecar may look up, by kind and name. */
export interface ResourceMap {
  /** Whom to believe. */
  readonly secret: TrustSecret;
  readonly address: Address;
  readonly listener: Listener;
  readonly route: RouteConfiguration;
  readonly cluster: Cluster;
  readonly endpoints: EndpointAssignment;
}

export type ResourceKind = keyof ResourceMap;

export type Lookup<T> =
  | { readonly state: 'found'; readonly value: T }
  /** The control plane says that there is no such resource. */
  | { readonly state: 'absent' }
  /** Asked for, not answered yet; `SnapshotSource.wait` tells when. */
  | { readonly state: 'pending' };

/** All configuration of one moment; never changes once made. */
export interface Snapshot {
  readonly version: number;
  get<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]>;
}

/**
 * Where the data path finds configuration. A lookup of something unknown subscribes to it.
 * A static bootstrap never answers pending.
 */
export interface SnapshotSource {
  /** The snapshot of now; a request pins it. */
  current(): Snapshot;
  lookup<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]>;
  /**
   * Calls back once, when the lookup is no longer pending or `timeoutMs` has passed (then with pending).
   * Returns false, and never calls, when the bounded waiting place is full.
   */
  wait<K extends ResourceKind>(
    kind: K,
    name: string,
    timeoutMs: number,
    done: (lookup: Lookup<ResourceMap[K]>) => void,
  ): boolean;
  /** Called after each swap with the new snapshot; returns the way to unsubscribe. */
  onChange(listener: (snapshot: Snapshot) => void): () => void;
}
