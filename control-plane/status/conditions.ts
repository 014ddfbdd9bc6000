/** metav1.Condition: written so that nothing changes when nothing has changed. */
import { z } from 'zod';

export interface Verdict {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export interface Condition extends Verdict {
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

const existing = z.looseObject({
  type: z.string(),
  status: z.string(),
  lastTransitionTime: z.string().optional(),
});

const messageCharsMax = 4_096;

/** `lastTransitionTime` moves only when the status does. */
export function conditionsFrom(
  verdicts: readonly Verdict[],
  generation: number,
  before: unknown,
  now: string,
): Condition[] {
  const known = new Map<string, z.output<typeof existing>>();
  for (const one of Array.isArray(before) ? before : []) {
    const parsed = existing.safeParse(one);
    if (parsed.success) known.set(parsed.data.type, parsed.data);
  }
  return verdicts.map((verdict) => {
    const old = known.get(verdict.type);
    const same = old?.status === verdict.status && old.lastTransitionTime !== undefined;
    return {
      type: verdict.type,
      status: verdict.status,
      reason: verdict.reason,
      message: verdict.message.slice(0, messageCharsMax),
      observedGeneration: generation,
      lastTransitionTime: same ? (old.lastTransitionTime ?? now) : now,
    };
  });
}
