/** gRPC over HTTP/2, Timeout: at most 8 digits and a unit. */
const FORM = /^(\d{1,8})([HMSmun])$/;
const VALUE_MAX = 99_999_999;

/** Milliseconds of each unit; units are case-sensitive. */
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout`; undefined if it has not the form of one. */
export function parseGrpcTimeout(text: string): number | undefined {
  const match = FORM.exec(text);
  return match === null ? undefined : Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0);
}

/** Finest first: what is left is passed on with the precision that 8 digits allow. */
const UNITS = [
  ['u', 1e-3],
  ['m', 1],
  ['S', 1_000],
  ['M', 60_000],
  ['H', 3_600_000],
] as const;

/** Rounded down, so that no hop believes that it has more time than the one before; at least a microsecond. */
export function formatGrpcTimeout(ms: number): string {
  for (const [unit, unitMs] of UNITS) {
    const value = Math.floor(ms / unitMs);
    if (value <= VALUE_MAX) return `${Math.max(1, value)}${unit}`;
  }
  return `${VALUE_MAX}H`;
}

/** 24 days, below what Node's timers take. */
const STEP_EXPONENT_MAX = 31;

/**
 * How long to wait towards a deadline before looking again: what is left, rounded down to three significant bits.
 * Clients choose deadlines freely, and timeouts are kept in queues by their length (`timeout/queue.ts`): so there are
 * about a hundred lengths. Most calls are over within the first wait, and a deadline takes at most ten of them.
 */
export function stepMs(leftMs: number): number {
  if (leftMs < 2) return 1;
  const exponent = Math.min(Math.floor(Math.log2(leftMs)), STEP_EXPONENT_MAX - 1);
  const unit = 2 ** Math.max(0, exponent - 2);
  return Math.min(Math.floor(leftMs / unit) * unit, 2 ** STEP_EXPONENT_MAX - unit);
}
