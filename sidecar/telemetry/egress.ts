/** What left the mesh, or wanted to, without an ExternalService: by name and port, for whoever is about to forbid it. */
import { BLACKHOLE, UNKNOWN_SERVICE } from '@weft/policies/model/egress';
import type { RequestRecord } from './record.ts';
import type { TallyFamily, TallyLabels } from './tallies.ts';

/** Names are chosen by clients: what comes after these is counted together. */
const SETS_MAX = 256;

export class EgressBook {
  private readonly known = new Set<string>();
  private readonly tally: (family: TallyFamily, labels: TallyLabels) => void;
  private readonly count: (event: string) => void;

  constructor(tally: (family: TallyFamily, labels: TallyLabels) => void, count: (event: string) => void) {
    this.tally = tally;
    this.count = count;
  }

  observe(record: RequestRecord): void {
    if (record.destinationService !== UNKNOWN_SERVICE) return;
    const port = record.destination.slice(record.destination.lastIndexOf(':') + 1);
    const host = withoutPort(record.authority.toLowerCase());
    // A request that came to no cluster was answered by the sidecar.
    const refused = record.cluster === BLACKHOLE || record.cluster === '';
    const decision = refused ? 'refused' : 'allowed';
    const key = `${host} ${port} ${decision}`;
    if (this.known.has(key) || this.known.size < SETS_MAX) {
      this.known.add(key);
      this.tally('weft_egress_unknown_total', { host, port, decision });
      return;
    }
    this.count('egress.names_max');
    this.tally('weft_egress_unknown_total', { host: 'other', port: 'other', decision });
  }
}

function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(':');
  return colon === -1 || authority.indexOf(']', colon) !== -1 ? authority : authority.slice(0, colon);
}
