import type { Clock } from '@weft/policies/kit/clock';
import type { Recorder } from '../../telemetry/record.ts';
import type { DifferingPart } from './digest.ts';

/** Samples are for people, counters for the rest. */
const PAUSE_MS = 10_000;

/** Neither query, values of headers nor bodies: they may be secret. */
export interface Mismatch {
  readonly route: string;
  readonly backend: string;
  readonly path: string;
  readonly parts: readonly DifferingPart[];
  readonly status: number;
  readonly mirrorStatus: number;
}

const lastMs = new WeakMap<Recorder, number>();

export function noteMismatch(recorder: Recorder, clock: Clock, mismatch: Mismatch): void {
  const nowMs = clock.nowMs();
  const before = lastMs.get(recorder);
  if (before !== undefined && nowMs - before < PAUSE_MS) return;
  lastMs.set(recorder, nowMs);
  recorder.note?.({ time: new Date(clock.unixMs()).toISOString(), event: 'mirror_mismatch', ...mismatch });
}
