/** Many generated runs through one listener, one after the other; what fails is shrunk. */
import fc from 'fast-check';
import { arbitraryCases } from './arbitrary-cases.ts';
import type { Case, Table, Wires } from './case.ts';
import type { Difference } from './compare.ts';
import { judgeAll, Usage } from './judge.ts';
import type { Ran, Rig } from './rig.ts';

export interface Lane {
  readonly rig: Rig;
  readonly index: number;
  readonly table: Table;
  readonly wires: Wires;
  /** Absent: those of any table. */
  readonly cases?: fc.Arbitrary<readonly Case[]>;
}

const casesOf = ({ wires, cases }: Lane): fc.Arbitrary<readonly Case[]> => cases ?? arbitraryCases(wires);

export interface Mismatch {
  readonly lane: Lane;
  readonly seed: number;
  readonly cases: readonly Case[];
  readonly differences: readonly Difference[];
  readonly ran: readonly Ran[];
}

export interface LaneResult {
  readonly cases: number;
  readonly mismatch: Mismatch | undefined;
  /** Differences that were gone when the same was done again on connections of its own. */
  readonly unstable: readonly Difference[];
}

const SHRINK_MS_MAX = 8_000;

/** Runs the cases; what differs has to differ again on fresh connections. */
export async function differences(
  lane: Lane,
  cases: readonly Case[],
  logs: boolean,
  usage: Usage,
  unstable: Difference[],
): Promise<{ readonly ran: readonly Ran[]; readonly found: readonly Difference[] }> {
  const { rig, index, wires } = lane;
  const copies = JSON.stringify(lane.table.virtualHosts).includes('"request_mirror_policies"');
  const first = await rig.run(index, wires, cases, { logs, copies });
  const found = judgeAll(cases, first, lane, usage);
  if (found.length === 0) return { ran: first, found };
  if (found.some(({ what }) => what.includes('with the response of'))) return { ran: first, found };
  rig.refresh(index, wires);
  const second = await rig.run(index, wires, cases, { logs, copies });
  const again = judgeAll(cases, second, lane, new Usage());
  if (again.length === 0) unstable.push(...found);
  return { ran: second, found: again };
}

/** The smallest of what differs in that way, as far as it is found in time. */
async function shrink(lane: Lane, seed: number, path: string, logs: boolean): Promise<Mismatch | undefined> {
  let smallest: Mismatch | undefined;
  const property = fc.asyncProperty(casesOf(lane), async (cases) => {
    const { ran, found } = await differences(lane, cases, logs, new Usage(), []);
    if (found.length === 0) return;
    smallest = { lane, seed, cases, differences: found, ran };
    throw new Error('differs');
  });
  await fc.check(property, { seed, path, numRuns: 1, interruptAfterTimeLimit: SHRINK_MS_MAX });
  return smallest;
}

export async function runLane(
  lane: Lane,
  runs: number,
  seed: number,
  deadlineMs: number,
  usage: Usage,
): Promise<LaneResult> {
  const unstable: Difference[] = [];
  const done: { readonly cases: readonly Case[]; readonly ran: readonly Ran[] }[] = [];
  let count = 0;
  const property = fc.asyncProperty(casesOf(lane), async (cases) => {
    if (performance.now() > deadlineMs) return;
    const { ran, found } = await differences(lane, cases, false, usage, unstable);
    count += cases.length;
    done.push({ cases, ran });
    if (found.length > 0) throw new Error('differs');
  });
  const details = await fc.check(property, { seed, numRuns: runs, endOnFailure: true });
  if (details.failed) {
    const mismatch = await shrink(lane, seed, details.counterexamplePath ?? '0', false);
    if (mismatch !== undefined) return { cases: count, mismatch, unstable };
  }
  const index = await firstLogMismatch(lane, done, usage);
  const mismatch = index === -1 ? undefined : await shrink(lane, seed, String(index), true);
  return { cases: count, mismatch, unstable };
}

/** Both logs are read once all is done: they are written late. */
async function firstLogMismatch(
  lane: Lane,
  done: readonly { readonly cases: readonly Case[]; readonly ran: readonly Ran[] }[],
  usage: Usage,
): Promise<number> {
  const { rig } = lane;
  await rig.awaitLogs(done.flatMap(({ ran }) => ran.map(({ id }) => id)));
  const logs = rig.readLogs();
  for (const [i, { cases, ran }] of done.entries()) {
    const withLogs = ran.map(({ id, outcome }) => ({
      id,
      outcome: {
        weft: { ...outcome.weft, log: logs.weft.get(id) },
        envoy: { ...outcome.envoy, log: logs.envoy.get(id) },
      },
    }));
    const quiet = new Usage();
    if (judgeAll(cases, withLogs, lane, quiet).some(({ what }) => what.startsWith('log '))) return i;
    for (const name of quiet.counts.keys()) if (!usage.counts.has(name)) usage.add(name);
  }
  return -1;
}
