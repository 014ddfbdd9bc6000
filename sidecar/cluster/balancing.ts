import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { Cluster } from '@weft/policies/model/cluster';
import type { Host } from './host.ts';
import { PeakLatency } from './load/peak-latency.ts';
import { ReportedLoad } from './load/reported-load.ts';
import type { OwnPlace } from './locality.ts';
import type { Hash64 } from './picker/hash/xxhash64.ts';
import { createPicker, type Picker } from './picker/picker.ts';
import { SubsetChooser } from './picker/subset.ts';
import { ZoneAwarePicker } from './picker/zone-aware.ts';
import type { Level } from './usable.ts';

interface BalancingPorts {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly place?: { readonly current: OwnPlace };
  /** Which of the clients this one is, for subsets; absent: any. */
  readonly client?: number | undefined;
}

/** As Envoy's host_selection_retry_max_attempts, before a scan decides. */
const REPICKS_MAX = 3;

export const sameBalancing = (a: Cluster, b: Cluster): boolean =>
  JSON.stringify([a.balancer, a.subset, a.zoneAware]) === JSON.stringify([b.balancer, b.subset, b.zoneAware]);

interface PickedLevel {
  readonly picker: Picker<Host>;
  /** Upper end of its share of 100. */
  readonly upTo: number;
}

/** Which endpoint of a cluster gets the next request: priority, subset, zone, then the balancer. */
export class Balancing {
  /** All that may be picked. */
  hosts: readonly Host[] = [];
  private readonly cluster: Cluster;
  private readonly ports: BalancingPorts;
  private readonly subset: SubsetChooser | undefined;
  /** By position of the level, so that tables of hashes are kept. */
  private readonly pickers: Picker<Host>[] = [];
  private levels: readonly PickedLevel[] = [];

  constructor(cluster: Cluster, ports: BalancingPorts) {
    this.cluster = cluster;
    this.ports = ports;
    this.subset =
      cluster.subset && new SubsetChooser(cluster.subset.size, ports.client ?? ports.prng.next() * 4_294_967_296);
  }

  /** What the balancer wants to know of each endpoint. */
  observe(host: Host): void {
    const { balancer } = this.cluster;
    host.latency = balancer.kind === 'peak-ewma' ? new PeakLatency(balancer.decayMs) : undefined;
    host.reportedLoad = balancer.kind === 'load-reported' ? new ReportedLoad(balancer) : undefined;
  }

  update(levels: readonly Level[]): void {
    const chosen = levels.map((level) => this.subset?.choose(level.hosts, level.total) ?? level.hosts);
    const hosts = chosen.flat();
    this.welcome(hosts);
    let upTo = 0;
    this.levels = levels.map((level, i) => {
      const picker = this.pickers[i] ?? this.create();
      this.pickers[i] = picker;
      picker.update(chosen[i] ?? []);
      upTo += level.percent;
      return { picker, upTo };
    });
    this.hosts = hosts;
    this.pickers.length = levels.length;
  }

  /** Endpoints that begin to take traffic while others do already. */
  private welcome(hosts: readonly Host[]): void {
    const { balancer } = this.cluster;
    if (!('slowStart' in balancer) || balancer.slowStart === undefined || this.hosts.length === 0) return;
    const before = new Set(this.hosts);
    const nowMs = this.ports.clock.nowMs();
    for (const host of hosts) if (!before.has(host)) host.sinceMs = nowMs;
  }

  /** If possible not the excluded one; undefined if there is none. */
  pick(exclude: Host | undefined, hash: Hash64 | undefined): Host | undefined {
    const picker = this.pickerFor(hash);
    if (picker === undefined) return undefined;
    let host = picker.pick(hash, 0);
    if (exclude === undefined || host !== exclude) return host;
    for (let i = 1; i <= REPICKS_MAX && host === exclude; i++) host = picker.pick(hash, i);
    if (host !== exclude) return host;
    return this.hosts.find((other) => other !== exclude && other.weight > 0) ?? host;
  }

  private pickerFor(hash: Hash64 | undefined): Picker<Host> | undefined {
    const { levels } = this;
    if (levels.length <= 1) return levels[0]?.picker;
    const ticket = hash?.modulo(100) ?? this.ports.prng.next() * 100;
    for (const { picker, upTo } of levels) if (ticket < upTo) return picker;
    return levels[0]?.picker;
  }

  private create(): Picker<Host> {
    const { cluster, ports } = this;
    const { zoneAware } = cluster;
    const create = (): Picker<Host> => createPicker<Host>(cluster.balancer, ports);
    if (zoneAware === undefined) return create();
    return new ZoneAwarePicker<Host>(zoneAware, ports.prng, () => ports.place?.current.zone ?? '', create);
  }
}
