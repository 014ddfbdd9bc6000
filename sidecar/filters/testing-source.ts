import type { ManualClock } from '@weft/policies/kit/clock';
import type { Cluster, Endpoint, EndpointAssignment } from '@weft/policies/model/cluster';
import type { RouteConfiguration } from '@weft/policies/model/route';
import type { Lookup, ResourceKind, ResourceMap, Snapshot, SnapshotSource } from '@weft/policies/model/snapshot';
import type { CertificateSource, WorkloadCertificate } from '../identity/source.ts';

interface Waiting {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly finish: (pending: boolean) => void;
}

/** Configuration in memory. What was never set is absent, or pending where `pending` says so. */
export class TestSource implements SnapshotSource {
  pending: (kind: ResourceKind, name: string) => boolean = () => false;
  waitingMax = 100;
  private readonly clock: ManualClock;
  private readonly addresses = new Map<string, ResourceMap['address']>();
  private readonly listeners = new Map<string, ResourceMap['listener']>();
  private readonly routes = new Map<string, ResourceMap['route']>();
  private readonly clusters = new Map<string, ResourceMap['cluster']>();
  private readonly endpoints = new Map<string, ResourceMap['endpoints']>();
  private readonly changed = new Set<(snapshot: Snapshot) => void>();
  private readonly waiting = new Set<Waiting>();
  private version = 1;

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  address(ip: string, value: ResourceMap['address']): void {
    this.addresses.set(ip, value);
    this.publish();
  }

  route(value: RouteConfiguration): void {
    this.routes.set(value.name, value);
    this.publish();
  }

  cluster(value: Cluster): void {
    this.clusters.set(value.name, value);
    this.publish();
  }

  assignment(clusterName: string, endpoints: readonly Endpoint[]): void {
    this.endpoints.set(clusterName, { clusterName, endpoints } satisfies EndpointAssignment);
    this.publish();
  }

  removeCluster(name: string): void {
    this.clusters.delete(name);
    this.publish();
  }

  publish(): void {
    this.version++;
    const snapshot = this.current();
    for (const listener of this.changed) listener(snapshot);
    for (const entry of [...this.waiting]) {
      if (this.lookup(entry.kind, entry.name).state !== 'pending') entry.finish(false);
    }
  }

  current(): Snapshot {
    return { version: this.version, get: (kind, name) => this.lookup(kind, name) };
  }

  lookup<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]> {
    const tables: { readonly [T in ResourceKind]: ReadonlyMap<string, ResourceMap[T]> } = {
      secret: new Map(),
      address: this.addresses,
      listener: this.listeners,
      route: this.routes,
      cluster: this.clusters,
      endpoints: this.endpoints,
    };
    const value = tables[kind].get(name);
    if (value !== undefined) return { state: 'found', value };
    return { state: this.pending(kind, name) ? 'pending' : 'absent' };
  }

  wait<K extends ResourceKind>(
    kind: K,
    name: string,
    timeoutMs: number,
    done: (lookup: Lookup<ResourceMap[K]>) => void,
  ): boolean {
    if (this.waiting.size >= this.waitingMax) return false;
    const entry: Waiting = {
      kind,
      name,
      finish: (pending) => {
        if (!this.waiting.delete(entry)) return;
        cancel();
        done(pending ? { state: 'pending' } : this.lookup(kind, name));
      },
    };
    const cancel = this.clock.after(timeoutMs, () => entry.finish(true));
    this.waiting.add(entry);
    return true;
  }

  onChange(listener: (snapshot: Snapshot) => void): () => void {
    this.changed.add(listener);
    return () => this.changed.delete(listener);
  }
}

export class TestIdentity implements CertificateSource {
  private readonly listeners = new Set<(certificate: WorkloadCertificate) => void>();
  private certificate: WorkloadCertificate | undefined = undefined;

  get(): WorkloadCertificate | undefined {
    return this.certificate;
  }

  own(): WorkloadCertificate | undefined {
    return this.certificate;
  }

  rotate(certificate: WorkloadCertificate): void {
    this.certificate = certificate;
    for (const listener of this.listeners) listener(certificate);
  }

  onChange(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
