/** Which differences of one run nothing explains. */
import type { Case, Outcome, Table, Wires } from './case.ts';
import { announcesEnd } from './client-h1.ts';
import { compare, compareLogs, type Difference, leak } from './compare.ts';
import type { Found } from './known-difference.ts';
import { explanation } from './known-differences.ts';
import type { Both, Ran } from './rig.ts';

/** How often each known difference was met. */
export class Usage {
  readonly counts = new Map<string, number>();

  add(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

export interface Verdict {
  readonly unexplained: readonly Difference[];
  /** What differs for a reason, so that nothing that follows from it is compared. */
  readonly settled: boolean;
}

/** After these the two proxies are in different states, with reason. */
const decisive = ({ what }: Difference): boolean => what === 'status' || what === 'after' || what === 'complete';

export function judge(
  one: Case,
  outcome: Both<Outcome>,
  where: { readonly wires: Wires; readonly table: Table; readonly position: number },
  usage: Usage,
): Verdict {
  const unexplained: Difference[] = [];
  let settled = false;
  const check = (difference: Difference): void => {
    const found: Found = { difference, one, outcome, wires: where.wires, table: where.table, position: where.position };
    const known = explanation(found);
    if (known === undefined) unexplained.push(difference);
    else {
      usage.add(known.name);
      if (decisive(difference)) settled = true;
    }
  };
  for (const difference of compare(outcome.weft, outcome.envoy, where.wires, one.answer.early)) check(difference);
  if (outcome.weft.log !== undefined || outcome.envoy.log !== undefined) {
    if (!settled) for (const difference of compareLogs(outcome.weft.log, outcome.envoy.log)) check(difference);
  }
  return { unexplained, settled };
}

/** Of all requests of one run, in order, as far as the proxies are in the same state. */
export function judgeAll(
  cases: readonly Case[],
  ran: readonly Ran[],
  where: { readonly wires: Wires; readonly table: Table },
  usage: Usage,
): readonly Difference[] {
  for (const [i, { id, outcome }] of ran.entries()) {
    const one = cases[i];
    if (one === undefined) break;
    for (const side of ['weft', 'envoy'] as const) {
      const other = leak(id, outcome[side]);
      if (other !== undefined)
        return [{ what: `${side} answered ${id} with the response of ${other}`, weft: '', envoy: '' }];
    }
    const { unexplained, settled } = judge(
      one,
      outcome,
      { wires: where.wires, table: where.table, position: i },
      usage,
    );
    if (unexplained.length > 0) return unexplained;
    // Requests of one HTTP/2 connection do not hang together, those of HTTP/1 do.
    if (settled && where.wires.down === 'h1') break;
    // What follows on a connection that one of them has said to close is not answered by that one.
    if (where.wires.down === 'h1' && (announcesEnd(outcome.weft.response) || announcesEnd(outcome.envoy.response)))
      break;
    // Envoy may close once it has answered a request whose body it has not read: see rest-of-request.
    if (ran.length > 1 && one.request.body.framing !== 'none' && outcome.weft.received.length === 0) break;
    if (outcome.weft.response.after !== 'kept' && where.wires.down === 'h1') break;
  }
  return [];
}
