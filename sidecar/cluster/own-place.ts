import type { SnapshotSource } from '@weft/policies/model/snapshot';
import { nowhere, type OwnPlace } from './locality.ts';

/** What the Address of the pod itself says of where it runs; from a bootstrap there is none. */
export class PlaceWatch {
  current: OwnPlace;
  private readonly source: SnapshotSource;
  private readonly ip: string;

  constructor(source: SnapshotSource, ownIps: ReadonlySet<string>) {
    const ips = [...ownIps];
    this.source = source;
    this.ip = ips[0] ?? '';
    const v4 = ips.some((ip) => !ip.includes(':'));
    const v6 = ips.some((ip) => ip.includes(':'));
    this.current = ips.length === 0 ? nowhere : { ...nowhere, v4, v6 };
    this.refresh();
  }

  /** True if it is another place than before. Until it is known, and while it is asked for, the last one counts. */
  refresh(): boolean {
    if (this.ip === '') return false;
    const lookup = this.source.lookup('address', this.ip);
    if (lookup.state !== 'found' || lookup.value.kind !== 'workload') return false;
    const { zone, node = '' } = lookup.value;
    if (zone === this.current.zone && node === this.current.node) return false;
    this.current = { ...this.current, zone, node };
    return true;
  }
}
