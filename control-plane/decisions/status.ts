/** Hits of rules in the status of their AuthorizationPolicy. */
import { z } from 'zod';
import type { HitsOfPolicy } from './hits.ts';

/** As it stands in the status. */
interface HitStatus {
  readonly hits: number;
  readonly lastHitTime?: string;
  readonly rules: readonly RuleStatus[];
}

interface RuleStatus {
  readonly name: string;
  readonly hits: number;
  /** Since when they are counted: a rule without hits is dead for as long. */
  readonly since: string;
  readonly lastHitTime?: string;
}

const written = z.looseObject({
  hits: z.int().min(0).catch(0),
  lastHitTime: z.string().optional().catch(undefined),
  rules: z
    .array(
      z.looseObject({
        name: z.string(),
        hits: z.int().min(0),
        since: z.string(),
        lastHitTime: z.string().optional(),
      }),
    )
    .catch([]),
});

const iso = (unixMs: number): string => new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z');

/** A number beyond would not be read again, and all would begin anew. */
const bounded = (hits: number): number => Math.min(hits, Number.MAX_SAFE_INTEGER);

/** What was written before with what has come since; undefined: nothing is new. `names`: of the rules, in their order. */
export function hitStatus(
  before: unknown,
  names: readonly string[],
  fresh: HitsOfPolicy | undefined,
  nowUnixMs: number,
): HitStatus | undefined {
  const parsed = written.safeParse(before);
  const old = parsed.success ? parsed.data : { hits: 0, lastHitTime: undefined, rules: [] };
  const same = old.rules.length === names.length && old.rules.every(({ name }, i) => name === names[i]);
  if (same && parsed.success && (fresh === undefined || fresh.size === 0)) return undefined;
  const rules = names.map((name): RuleStatus => {
    const known = old.rules.find((one) => one.name === name);
    const added = fresh?.get(name);
    const lastHitTime = added === undefined ? known?.lastHitTime : iso(added.lastHitUnixMs);
    return {
      name,
      hits: bounded((known?.hits ?? 0) + (added?.hits ?? 0)),
      since: known?.since ?? iso(nowUnixMs),
      ...(lastHitTime === undefined ? {} : { lastHitTime }),
    };
  });
  const times = rules.flatMap(({ lastHitTime }) => lastHitTime ?? []).sort();
  const lastHitTime = times.at(-1) ?? old.lastHitTime;
  return {
    // Rules that are gone have been met all the same.
    hits: bounded(
      Math.max(
        old.hits + [...(fresh?.values() ?? [])].reduce((sum, { hits }) => sum + hits, 0),
        rules.reduce((sum, { hits }) => sum + hits, 0),
      ),
    ),
    ...(lastHitTime === undefined ? {} : { lastHitTime }),
    rules,
  };
}
