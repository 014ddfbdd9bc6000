/** Sets of policies, several to a bootstrap, each with requests of its own; what differs is made small. */
import fc from 'fast-check';
import { Applications } from './applications.ts';
import { arbitrarySet } from './arbitrary-policies.ts';
import { policyCases } from './arbitrary-policy-cases.ts';
import type { Case, Wires } from './case.ts';
import type { Difference } from './compare.ts';
import { Usage } from './judge.ts';
import { differences, type Mismatch, runLane } from './lane.ts';
import { policyBootstrap } from './policy-bootstrap.ts';
import { COPYING, type PolicySet, tableOf } from './policy-set.ts';
import { mismatchText } from './report.ts';
import { type Ran, Rig } from './rig.ts';

export interface PolicyCampaignOptions {
  readonly seed: number;
  readonly folder: string;
  readonly timeMs: number;
  readonly sets: number;
  readonly setsPerBootstrap: number;
  readonly requestsPerLane: number;
}

export interface PolicyCampaignResult {
  readonly cases: number;
  readonly sets: number;
  readonly usage: Usage;
  readonly unstable: readonly Difference[];
  readonly failures: readonly string[];
}

const TRIES_MAX = 14;
const FAILURES_MAX = 3;

async function alone(
  applications: Applications,
  folder: string,
  set: PolicySet,
  wires: Wires,
  cases: readonly Case[],
): Promise<{ readonly ran: readonly Ran[]; readonly found: readonly Difference[] }> {
  const rig = new Rig(applications, policyBootstrap);
  const table = tableOf(set);
  try {
    await rig.start(folder, [table]);
    return await differences({ rig, index: 0, table, wires }, cases, true, new Usage(), []);
  } finally {
    await rig.stop();
  }
}

const without = <T>(list: readonly T[], at: number): readonly T[] => list.filter((_, i) => i !== at);

function* smaller(set: PolicySet): Generator<PolicySet> {
  for (const i of set.policies.keys()) yield { ...set, policies: without(set.policies, i) };
  for (const i of set.rules.keys()) if (set.rules.length > 1) yield { ...set, rules: without(set.rules, i) };
  for (const [i, rule] of set.rules.entries()) {
    for (const field of ['filters', 'retry', 'timeouts', 'matches']) {
      if (!(field in rule)) continue;
      const { [field]: _, ...rest } = rule;
      yield { ...set, rules: set.rules.map((one, at) => (at === i ? rest : one)) };
    }
  }
}

async function explain(
  applications: Applications,
  folder: string,
  first: PolicySet,
  { lane: { wires }, cases, ran: firstRan, differences: firstFound }: Mismatch,
): Promise<string> {
  let set = first;
  let [ran, found] = [firstRan, firstFound];
  let tries = 0;
  for (let better = true; better && tries < TRIES_MAX; ) {
    better = false;
    for (const candidate of smaller(set)) {
      if (++tries > TRIES_MAX) break;
      const now = await alone(applications, folder, candidate, wires, cases);
      if (now.found.length === 0) continue;
      set = candidate;
      ({ ran, found } = now);
      better = true;
      break;
    }
  }
  const { virtualHosts } = tableOf(set);
  return mismatchText(found, { wires, table: { virtualHosts, filters: [] }, cases }, ran, `of ${JSON.stringify(set)}`);
}

export async function runPolicyCampaign(options: PolicyCampaignOptions): Promise<PolicyCampaignResult> {
  const { seed, folder, setsPerBootstrap } = options;
  const deadlineMs = performance.now() + options.timeMs;
  const usage = new Usage();
  const unstable: Difference[] = [];
  const failures: string[] = [];
  const applications = new Applications(COPYING);
  await applications.start();
  let cases = 0;
  let done = 0;
  const sets = fc.sample(arbitrarySet, { numRuns: options.sets, seed });
  try {
    while (done < sets.length && failures.length < FAILURES_MAX && performance.now() < deadlineMs) {
      const batch = sets.slice(done, done + setsPerBootstrap);
      const tables = batch.map(tableOf);
      const rig = new Rig(applications, policyBootstrap);
      const mismatches: { readonly set: PolicySet; readonly mismatch: Mismatch }[] = [];
      try {
        await rig.start(folder, tables);
        for (const [index, table] of tables.entries()) {
          const set = batch[index];
          if (set === undefined) continue;
          await Promise.all(
            (table.translated?.wires ?? []).map(async (wires, w) => {
              const lane = { rig, index, table, wires, cases: policyCases(set) };
              const own = (seed * 7_919 + (done + index) * 8 + w) % 2 ** 31;
              const result = await runLane(lane, options.requestsPerLane, own, deadlineMs, usage);
              cases += result.cases;
              unstable.push(...result.unstable);
              if (result.mismatch !== undefined) mismatches.push({ set, mismatch: result.mismatch });
            }),
          );
        }
      } finally {
        await rig.stop();
      }
      done += batch.length;
      for (const { set, mismatch } of mismatches.slice(0, FAILURES_MAX)) {
        failures.push(await explain(applications, folder, set, mismatch));
      }
    }
  } finally {
    applications.stop();
  }
  return { cases, sets: done, usage, unstable, failures };
}
