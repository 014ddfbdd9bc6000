/** A mismatch as text, and as a file that can be replayed. */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case, Outcome, Table, Wires } from './case.ts';
import { bodyText, headText } from './client-h1.ts';
import type { Difference } from './compare.ts';
import { IP } from './origin.ts';
import type { Ran } from './rig.ts';
import { bootstrapOf } from './tables.ts';

export interface Replay {
  readonly seed: number;
  readonly wires: Wires;
  readonly table: Table;
  readonly cases: readonly Case[];
  /** For readers; both proxies are started with one like it. */
  readonly bootstrap: string;
}

/** How to do it again. */
export function writeReplay(seed: number, wires: Wires, table: Table, cases: readonly Case[]): string {
  const file = join(tmpdir(), `weft-differential-${seed}-${wires.down}-${wires.up}-${process.pid}.json`);
  const replay: Replay = { seed, wires, table, cases, bootstrap: bootstrapOf([table], IP.weft, {}, 0) };
  writeFileSync(file, JSON.stringify(replay, undefined, 1));
  return `WEFT_DIFF_REPLAY=${file} repeats it`;
}

const TEXT_MAX = 2_000;
const clip = (text: string): string =>
  text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}... (${text.length} characters)`;

const outcomeText = (side: string, { response, received, log }: Outcome): string =>
  [
    `${side}: ${clip(JSON.stringify(response))}`,
    ...received.map((one, i) => `  attempt ${i + 1}: ${clip(JSON.stringify(one))}`),
    ...(log === undefined ? [] : [`  log: ${log}`]),
  ].join('\n');

export function mismatchText(
  found: readonly Difference[],
  replay: { readonly wires: Wires; readonly table: Table; readonly cases: readonly Case[] },
  ran: readonly Ran[],
  again: string,
): string {
  const { wires, table, cases } = replay;
  return [
    `Weft and Envoy differ, ${wires.down} to ${wires.up}:`,
    ...found.map(({ what, weft, envoy }) => `  ${what}: Weft ${clip(weft)}, Envoy ${clip(envoy)}`),
    ...cases.map(({ request, answer }, i) =>
      [
        `request ${i + 1} as bytes of HTTP/1: ${clip(JSON.stringify(headText(request, 'id') + bodyText(request)))}`,
        `answer: ${clip(JSON.stringify(answer))}`,
        ...(['weft', 'envoy'] as const).map((side) => {
          const outcome = ran[i]?.outcome[side];
          return outcome === undefined ? side : outcomeText(side, outcome);
        }),
      ].join('\n'),
    ),
    `routes: ${JSON.stringify(table)}`,
    again,
  ].join('\n');
}
