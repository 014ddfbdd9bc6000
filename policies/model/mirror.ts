import type { Fraction } from './fraction.ts';

/** A copy of the requests goes to this cluster; nobody waits for its answer. */
export interface Mirror {
  readonly cluster: string;
  readonly share: Fraction;
  /** The copy keeps the host; else it is marked with `-shadow`, as Envoy does. */
  readonly keepsHost: boolean;
}

/** What of a copy's answer is compared with the real one; its status always is. */
export interface MirrorDiff {
  /** Lower case. */
  readonly headers: readonly string[];
  readonly ignoresBody: boolean;
  /** Of each body; beyond them only lengths are compared. */
  readonly bodyBytesMax: number;
}
