/** Bootstraps one after the other, each with several route tables and many requests, until the time or the number is up. */
import fc from 'fast-check';
import { Applications } from './applications.ts';
import { arbitraryTable } from './arbitrary-routes.ts';
import type { Case, Table, Wires } from './case.ts';
import type { Difference } from './compare.ts';
import { Usage } from './judge.ts';
import { differences, type Mismatch, runLane } from './lane.ts';
import { mismatchText, writeReplay } from './report.ts';
import { type Ran, Rig } from './rig.ts';
import { shrinkTable } from './shrink-table.ts';
import { allWires } from './tables.ts';

export interface CampaignOptions {
  readonly seed: number;
  readonly folder: string;
  readonly timeMs: number;
  readonly casesMax: number;
  readonly tablesPerBootstrap: number;
  readonly runsPerLane: number;
}

export interface CampaignResult {
  readonly cases: number;
  readonly bootstraps: number;
  readonly usage: Usage;
  readonly unstable: readonly Difference[];
  /** The first mismatch as text; undefined: none. */
  readonly failure: string | undefined;
}

const TABLE_TRIES_MAX = 14;

/** One table alone, a few requests: what differs now. */
export async function replayOnce(
  applications: Applications,
  folder: string,
  what: { readonly wires: Wires; readonly table: Table; readonly cases: readonly Case[] },
): Promise<{ readonly ran: readonly Ran[]; readonly found: readonly Difference[] }> {
  const rig = new Rig(applications);
  try {
    await rig.start(folder, [what.table]);
    return await differences(
      { rig, index: 0, table: what.table, wires: what.wires },
      what.cases,
      true,
      new Usage(),
      [],
    );
  } finally {
    await rig.stop();
  }
}

async function explain(applications: Applications, folder: string, mismatch: Mismatch): Promise<string> {
  const { lane, cases, seed } = mismatch;
  const { wires } = lane;
  let { ran, differences: found } = mismatch;
  const table = await shrinkTable(
    lane.table,
    async (smaller) => {
      const now = await replayOnce(applications, folder, { wires, table: smaller, cases });
      if (now.found.length > 0) ({ ran, found } = now);
      return now.found.length > 0;
    },
    TABLE_TRIES_MAX,
  );
  const again = writeReplay(seed, wires, table, cases);
  return mismatchText(found, { wires, table, cases }, ran, again);
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed, folder } = options;
  const deadlineMs = performance.now() + options.timeMs;
  const usage = new Usage();
  const unstable: Difference[] = [];
  const applications = new Applications();
  await applications.start();
  let cases = 0;
  let bootstraps = 0;
  let failure: string | undefined;
  try {
    while (failure === undefined && cases < options.casesMax && performance.now() < deadlineMs) {
      const own = (seed * 104_729 + bootstraps * 7_919) % 2 ** 31;
      bootstraps++;
      const tables = fc.sample(arbitraryTable, { numRuns: options.tablesPerBootstrap, seed: own });
      const rig = new Rig(applications);
      let mismatch: Mismatch | undefined;
      try {
        await rig.start(folder, tables);
        await Promise.all(
          allWires.map(async (wires, w) => {
            for (const [index, table] of tables.entries()) {
              if (mismatch !== undefined) return;
              const lane = { rig, index, table, wires };
              const result = await runLane(
                lane,
                options.runsPerLane,
                (own * 64 + index * 4 + w) % 2 ** 31,
                deadlineMs,
                usage,
              );
              cases += result.cases;
              unstable.push(...result.unstable);
              mismatch ??= result.mismatch;
            }
          }),
        );
      } finally {
        await rig.stop();
      }
      if (mismatch !== undefined) failure = await explain(applications, folder, mismatch);
    }
  } finally {
    applications.stop();
  }
  return { cases, bootstraps, usage, unstable, failure };
}
