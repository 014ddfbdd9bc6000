import { escapeLabel } from './series.ts';

/** Counters with labels of their own, beside those of requests. */
const tallyFamilies = {
  weft_egress_unknown_total: 'Requests and connections out of the mesh that no ExternalService is for.',
  weft_ext_authz_requests_total:
    'Requests that an authorizer outside of the proxy was asked about, by what came of it.',
  weft_plaintext_connections_total:
    'Connections taken without TLS of the mesh, by who opened them: STRICT would refuse these.',
  weft_tls_refused_total: 'Connections refused for their TLS, or for having none, by who opened them and why.',
  weft_mirror_requests_total: 'Copies of requests, by what came of them.',
  weft_mirror_compared_total: 'Answers to copies that were compared with the real ones.',
  weft_mirror_mismatch_total: 'Answers to copies that differed from the real ones, by the part that did.',
} as const;

export type TallyFamily = keyof typeof tallyFamilies;

export type TallyLabels = Readonly<Record<string, string | number>>;

/** Sets of labels of all families together. */
const SETS_MAX = 1_000;

export class Tallies {
  private readonly families = new Map<TallyFamily, Map<string, number>>();
  private sets = 0;

  /** False: there is no room for another set of labels. */
  add(family: TallyFamily, labels: TallyLabels): boolean {
    let rows = this.families.get(family);
    if (rows === undefined) {
      rows = new Map();
      this.families.set(family, rows);
    }
    const key = Object.entries(labels)
      .map(([name, value]) => `${name}="${escapeLabel(String(value))}"`)
      .join(',');
    const before = rows.get(key);
    if (before === undefined) {
      if (this.sets >= SETS_MAX) return false;
      this.sets++;
    }
    rows.set(key, (before ?? 0) + 1);
    return true;
  }

  render(counter: (name: string, help: string, rows: Iterable<readonly [string, number]>) => void): void {
    for (const [family, rows] of this.families) counter(family, tallyFamilies[family], rows);
  }
}
