/**
 * How one root takes the place of another: pure, so that every case can be tried on a clock. An anchor is announced before
 * anything is signed under it, and kept until nothing that it signed is valid any more.
 */
import { createHash } from 'node:crypto';

export type AnchorRole =
  /** Trusted; nothing is signed under it, or not yet. */
  | 'announced'
  | 'signing'
  /** Nothing is signed under it any more; certificates that were are still about. */
  | 'retiring';

export interface AnchorRecord {
  /** SHA-256 of the certificate, hexadecimal. */
  readonly fingerprint: string;
  readonly pem: string;
  readonly role: AnchorRole;
  readonly sinceMs: number;
  readonly notAfterMs: number;
  /** The longest life that certificates under it were given. */
  readonly leafMsMax: number;
  /** Until then a certificate under it may be valid; of one that signs: unknown, 0. */
  readonly neededUntilMs: number;
}

export interface RotationState {
  readonly anchors: readonly AnchorRecord[];
}

export interface Anchor {
  readonly fingerprint: string;
  readonly pem: string;
  readonly notAfterMs: number;
}

export interface RotationInputs {
  readonly nowMs: number;
  /** What the key source brings: the anchor that is to sign, and all that it wants trusted. */
  readonly signing: string;
  readonly anchors: readonly Anchor[];
  /** The anchor of a key that can go on signing while the new one is announced; undefined: there is none. */
  readonly present: string | undefined;
  readonly announceMs: number;
  /** Whoever is to trust the anchor that is to sign has said so, or has been waited for long enough. */
  readonly isHeard: boolean;
  readonly leafMsMax: number;
  /** Until when certificates under an anchor are known to be valid; 0: none is known. */
  readonly liveUntilMs: (fingerprint: string) => number;
  /** Anchors that an operator has given up although they are needed. */
  readonly forced: ReadonlySet<string>;
}

export interface RotationStep {
  readonly state: RotationState;
  /** With which key: that of the source, or the one from before. */
  readonly sign: 'source' | 'present';
}

/** Replicas hear of a switch at different moments, and clocks differ. */
export const switchMarginMs = 5 * 60_000;
export const anchorsMax = 16;

export const fingerprintOf = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');

export function advance(state: RotationState, inputs: RotationInputs): RotationStep {
  const records = new Map(state.anchors.map((one) => [one.fingerprint, one]));
  drop(records, inputs);
  makeRoom(records, inputs);
  trustWanted(records, inputs);
  const target = records.get(inputs.signing);
  const announced = target === undefined ? 0 : inputs.nowMs - target.sinceMs;
  const { present } = inputs;
  const isTold = announced >= inputs.announceMs && inputs.isHeard;
  // Also for room: nothing is signed under an anchor that is not trusted.
  const waits =
    (target === undefined || (target.role === 'announced' && !isTold)) &&
    present !== undefined &&
    present !== inputs.signing &&
    records.get(present) !== undefined;
  if (!waits && target !== undefined && target.role !== 'signing') switchTo(records, target, inputs);
  longestLife(records, inputs);
  retireUnwanted(records, inputs, waits ? present : inputs.signing);
  drop(records, inputs);
  const order: Readonly<Record<AnchorRole, number>> = { signing: 0, announced: 1, retiring: 2 };
  const anchors = [...records.values()].sort((a, b) => order[a.role] - order[b.role] || a.sinceMs - b.sinceMs);
  return { state: { anchors }, sign: waits ? 'present' : 'source' };
}

/**
 * For the anchor that is to sign, where there are as many as there may be. One that retires goes by itself, and is waited
 * for where something else can sign meanwhile; else the first that would go, or the last that the source names.
 */
function makeRoom(records: Map<string, AnchorRecord>, { signing, present }: RotationInputs): void {
  if (records.size < anchorsMax || records.has(signing)) return;
  const all = [...records.values()];
  const [retiring] = all.filter((one) => one.role === 'retiring').sort((a, b) => a.neededUntilMs - b.neededUntilMs);
  if (retiring !== undefined && present !== undefined && present !== signing && records.has(present)) return;
  const gone = retiring ?? all.findLast((one) => one.role === 'announced' && one.fingerprint !== present);
  if (gone !== undefined) records.delete(gone.fingerprint);
}

function trustWanted(records: Map<string, AnchorRecord>, { anchors, signing, nowMs }: RotationInputs): void {
  const signingFirst = anchors.toSorted(
    (a, b) => Number(b.fingerprint === signing) - Number(a.fingerprint === signing),
  );
  for (const { fingerprint, pem, notAfterMs } of signingFirst) {
    const known = records.get(fingerprint);
    if (known === undefined && records.size < anchorsMax) {
      const fresh = { role: 'announced', sinceMs: nowMs, leafMsMax: 0, neededUntilMs: 0 } as const;
      records.set(fingerprint, { fingerprint, pem, notAfterMs, ...fresh });
    } else if (known?.role === 'retiring') {
      // Wanted again; everybody has it already, so that it need not be announced anew.
      records.set(fingerprint, { ...known, role: 'announced' });
    }
  }
}

function switchTo(
  records: Map<string, AnchorRecord>,
  target: AnchorRecord,
  { nowMs, leafMsMax }: RotationInputs,
): void {
  for (const one of records.values()) {
    if (one.role !== 'signing') continue;
    const neededUntilMs = nowMs + Math.max(one.leafMsMax, leafMsMax) + switchMarginMs;
    records.set(one.fingerprint, { ...one, role: 'retiring', sinceMs: nowMs, neededUntilMs });
  }
  records.set(target.fingerprint, { ...target, role: 'signing', sinceMs: nowMs, neededUntilMs: 0 });
}

function longestLife(records: Map<string, AnchorRecord>, { leafMsMax }: RotationInputs): void {
  for (const one of records.values()) {
    if (one.role === 'signing' && one.leafMsMax < leafMsMax) records.set(one.fingerprint, { ...one, leafMsMax });
  }
}

function retireUnwanted(
  records: Map<string, AnchorRecord>,
  { anchors, nowMs }: RotationInputs,
  signs: string | undefined,
): void {
  const wanted = new Set(anchors.map((one) => one.fingerprint));
  for (const one of records.values()) {
    if (wanted.has(one.fingerprint) || one.fingerprint === signs || one.role !== 'announced') continue;
    // It never signed, or has been kept beyond its time already.
    records.set(one.fingerprint, { ...one, role: 'retiring', sinceMs: nowMs });
  }
}

function drop(records: Map<string, AnchorRecord>, inputs: RotationInputs): void {
  for (const one of [...records.values()]) if (!isNeeded(one, inputs)) records.delete(one.fingerprint);
}

export function isNeeded(
  one: AnchorRecord,
  { nowMs, liveUntilMs, forced }: Pick<RotationInputs, 'nowMs' | 'liveUntilMs' | 'forced'>,
): boolean {
  if (one.role !== 'retiring') return true;
  if (forced.has(one.fingerprint) || one.notAfterMs <= nowMs) return false;
  return nowMs < one.neededUntilMs || nowMs < liveUntilMs(one.fingerprint);
}
