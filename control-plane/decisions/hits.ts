/** How often the rules of AuthorizationPolicies were met, as far as it is not written into their status yet. */
import type { RuleReport } from '@weft/policies/model/decision-report';

/** Of one rule; the time is that of the report, which comes within seconds. */
interface NewHits {
  hits: number;
  lastHitUnixMs: number;
}

export type HitsOfPolicy = ReadonlyMap<string, NewHits>;

const POLICIES_MAX = 4_096;
const RULES_MAX = 64;

export class Hits {
  private readonly byPolicy = new Map<string, Map<string, NewHits>>();

  /** `rule`: `<namespace>/<policy>/<rule>`. */
  add({ rule, hits }: RuleReport, nowUnixMs: number): void {
    const cut = rule.lastIndexOf('/');
    const [policy, name] = [rule.slice(0, cut), rule.slice(cut + 1)];
    let rules = this.byPolicy.get(policy);
    if (rules === undefined) {
      if (this.byPolicy.size >= POLICIES_MAX) return;
      rules = new Map();
      this.byPolicy.set(policy, rules);
    }
    const known = rules.get(name);
    if (known === undefined) {
      if (rules.size < RULES_MAX) rules.set(name, { hits, lastHitUnixMs: nowUnixMs });
      return;
    }
    known.hits += hits;
    known.lastHitUnixMs = nowUnixMs;
  }

  of(policy: string): HitsOfPolicy | undefined {
    return this.byPolicy.get(policy);
  }

  policies(): Iterable<string> {
    return this.byPolicy.keys();
  }

  /** They are written; what has come meanwhile stays. */
  written(policy: string, written: ReadonlyMap<string, number>): void {
    const rules = this.byPolicy.get(policy);
    if (rules === undefined) return;
    for (const [name, hits] of written) {
      const known = rules.get(name);
      if (known === undefined) continue;
      known.hits -= hits;
      if (known.hits <= 0) rules.delete(name);
    }
    if (rules.size === 0) this.byPolicy.delete(policy);
  }

  forget(policy: string): void {
    this.byPolicy.delete(policy);
  }
}
