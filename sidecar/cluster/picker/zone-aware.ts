import type { Prng } from '@weft/policies/kit/prng';
import type { ZoneAware } from '@weft/policies/model/balancer';
import type { Hash64 } from './hash/xxhash64.ts';
import type { Candidate, Picker } from './picker.ts';

export interface ZonedCandidate extends Candidate {
  readonly endpoint: { readonly zone: string };
}

interface Spill<T extends ZonedCandidate> {
  readonly picker: Picker<T>;
  /** Upper end of its share of what goes to other zones. */
  readonly upTo: number;
}

/**
 * Traffic stays in the client's zone as far as that zone has its share of the usable endpoints, reckoned as if clients
 * were spread evenly over the zones that have endpoints (Envoy asks for a list of the clients instead); the rest goes
 * to zones with more than their share, in proportion to what they have more.
 */
export class ZoneAwarePicker<T extends ZonedCandidate> implements Picker<T> {
  private readonly settings: ZoneAware;
  private readonly prng: Prng;
  private readonly zone: () => string;
  private readonly create: () => Picker<T>;
  private readonly everywhere: Picker<T>;
  private readonly byZone = new Map<string, Picker<T>>();
  private own: Picker<T> | undefined = undefined;
  private ownShare = 1;
  private spills: readonly Spill<T>[] = [];
  private surplus = 0;

  constructor(settings: ZoneAware, prng: Prng, zone: () => string, create: () => Picker<T>) {
    this.settings = settings;
    this.prng = prng;
    this.zone = zone;
    this.create = create;
    this.everywhere = create();
  }

  update(candidates: readonly T[]): void {
    this.everywhere.update(candidates);
    const zones = Map.groupBy(candidates, ({ endpoint }) => endpoint.zone);
    for (const name of [...this.byZone.keys()]) if (!zones.has(name)) this.byZone.delete(name);
    const zone = this.zone();
    const ownCandidates = zone === '' ? undefined : zones.get(zone);
    this.own = undefined;
    if (ownCandidates === undefined || zones.size < 2 || candidates.length < this.settings.endpointsMin) return;
    this.own = this.pickerOf(zone, ownCandidates);
    const fair = candidates.length / zones.size;
    this.ownShare = Math.min(1, ownCandidates.length / fair);
    this.surplus = 0;
    const spills: Spill<T>[] = [];
    for (const [name, group] of zones) {
      if (name === zone || group.length <= fair) continue;
      this.surplus += group.length - fair;
      spills.push({ picker: this.pickerOf(name, group), upTo: this.surplus });
    }
    this.spills = spills;
  }

  pick(hash: Hash64 | undefined, attempt: number): T | undefined {
    const { own, prng, settings } = this;
    // A pick that was not wanted looks farther: the zone may have no other endpoint.
    if (own === undefined || attempt > 1) return this.everywhere.pick(hash, attempt);
    if (settings.enabledPercent < 100 && prng.next() * 100 >= settings.enabledPercent) {
      return this.everywhere.pick(hash, attempt);
    }
    if (this.ownShare === 1 || this.spills.length === 0 || prng.next() < this.ownShare) return own.pick(hash, attempt);
    const ticket = prng.next() * this.surplus;
    for (const { picker, upTo } of this.spills) if (ticket < upTo) return picker.pick(hash, attempt);
    return own.pick(hash, attempt);
  }

  private pickerOf(zone: string, candidates: readonly T[]): Picker<T> {
    let picker = this.byZone.get(zone);
    if (picker === undefined) {
      picker = this.create();
      this.byZone.set(zone, picker);
    }
    picker.update(candidates);
    return picker;
  }
}
