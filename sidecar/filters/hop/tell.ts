import type { Attempt } from '../attempt.ts';
import type { RequestStream } from '../stream.ts';
import { formatHop, HOP_FIELD } from './header.ts';

/** Tells the sidecar of the endpoint how much time is left and whether the request will be repeated; nobody else. */
export function tellHop({ context, clocks, attempts }: RequestStream, attempt: Attempt): void {
  const { headers } = context.head;
  const { hop } = context;
  const { retries } = attempts;
  // Of another attempt, which need not have been begun earlier.
  if (context.attempts > 1) headers.remove(HOP_FIELD);
  if (attempt.host.security.kind !== 'mesh') return;
  const retried = hop?.retried === true || retries.coversAnswers;
  const repeats = retries.repeats + (attempt.hedged ? 2 : 1);
  const attemptNumber = hop === undefined ? repeats : Math.max(hop.attempt, repeats);
  // A slow try that is kept has no end of its own.
  const leftMs = attempts.keepsSlowTries ? clocks.leftMs() : Math.min(clocks.leftMs(), attempt.leftMs());
  if (leftMs === Number.POSITIVE_INFINITY && !retried && attemptNumber === 1) return;
  headers.append(HOP_FIELD, formatHop(leftMs, attemptNumber, retried));
}
