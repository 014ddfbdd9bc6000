/** What `weft ca` asks for, judged by the replica that leads. */
import { err, ok, type Result } from '@weft/policies/kit/result';
import { describeLeaves, type LeafSummary } from './ledger.ts';
import { isNeeded } from './rotation.ts';
import type { KeySource } from './source.ts';
import type { CaCommand, StoredState } from './state.ts';
import type { CaData } from './store.ts';

export interface CommandParts {
  readonly data: CaData;
  readonly state: StoredState;
  readonly source: KeySource;
  readonly nowMs: number;
  /** Fingerprints of what the key source wants trusted. */
  readonly wanted: ReadonlySet<string>;
  /** Time alone asks for another root. */
  readonly due: boolean;
  readonly leavesOf: (fingerprint: string) => LeafSummary;
}

export interface Decided {
  readonly state: StoredState;
  readonly data: CaData;
}

const forcedMax = 16;

export async function runCommand(command: CaCommand | undefined, parts: CommandParts): Promise<Decided | undefined> {
  if (command === undefined) {
    const renewed = parts.due && !isRotating(parts) ? await rotate(parts) : err('not due');
    return renewed.ok ? { state: parts.state, data: renewed.value } : undefined;
  }
  if (command.do === 'rotate') {
    const rotated = await rotate(parts);
    const message = !rotated.ok
      ? rotated.error
      : parts.source.drive !== undefined
        ? 'a new certificate is requested; it signs within minutes under the same root, and another root is announced first'
        : 'a new root is announced; it signs as soon as everybody trusts it, and the old one goes when nothing needs it';
    return outcome(parts, command.id, rotated.ok, message, rotated.ok ? rotated.value : parts.data);
  }
  const found = drop(command, parts);
  const decided = outcome(parts, command.id, found.ok, found.ok ? `anchor ${found.value} is dropped` : found.error);
  if (!found.ok) return decided;
  const forced = [...parts.state.forced.filter((one) => one !== found.value), found.value].slice(-forcedMax);
  return { ...decided, state: { ...decided.state, forced } };
}

function outcome({ state, data }: CommandParts, id: string, done: boolean, message: string, next = data): Decided {
  return { state: { ...state, lastCommand: { id, ok: done, message } }, data: next };
}

const isRotating = ({ state, data }: CommandParts): boolean =>
  data['previous.key'] !== undefined || state.anchors.some((one) => one.role === 'retiring');

async function rotate(parts: CommandParts): Promise<Result<CaData, string>> {
  if (parts.source.generate === undefined)
    return err(`the key comes from ${parts.source.kind}; put another there, and the mesh changes over to it`);
  if (isRotating(parts)) return err('a rotation is under way; see `weft ca status`');
  return parts.source.generate(parts.data);
}

/** The fingerprint of the anchor that may go. */
function drop(command: CaCommand & { readonly do: 'drop-anchor' }, parts: CommandParts): Result<string, string> {
  const matching = parts.state.anchors.filter((one) => one.fingerprint.startsWith(command.anchor));
  const [anchor, second] = matching;
  if (anchor === undefined) return err(`there is no anchor ${command.anchor}; see \`weft ca status\``);
  if (second !== undefined)
    return err(`${command.anchor} is the beginning of ${matching.length} anchors; give more of it`);
  const { fingerprint } = anchor;
  const short = fingerprint.slice(0, 16);
  if (anchor.role === 'signing') return err(`anchor ${short} signs; rotate first`);
  if (parts.wanted.has(fingerprint))
    return err(`anchor ${short} is among those that the key's source names; take it out there`);
  const leaves = parts.leavesOf(fingerprint);
  const liveUntilMs = (): number => leaves.untilMs;
  if (command.force || !isNeeded(anchor, { nowMs: parts.nowMs, liveUntilMs, forced: new Set() }))
    return ok(fingerprint);
  const until = new Date(Math.max(leaves.untilMs, anchor.neededUntilMs)).toISOString();
  return err(
    leaves.untilMs > parts.nowMs
      ? `anchor ${short} is not dropped: ${leaves.count} workloads hold certificates that chain to it, until ${until}: ${describeLeaves(leaves)}`
      : `anchor ${short} is not dropped: certificates that chain to it may be valid until ${until}`,
  );
}
