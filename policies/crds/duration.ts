/** Gateway API durations (GEP-2257): `10s`, `1h30m`, `250ms`; at most four parts of at most five digits. */

export const durationPattern = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Milliseconds, or undefined when the text is no duration. */
export function durationMs(text: string): number | undefined {
  if (!durationPattern.test(text)) return undefined;
  let total = 0;
  // `ms` comes first in the alternation so that `5ms` is not read as `5m` and a stray `s`.
  for (const [, digits, unit] of text.matchAll(/([0-9]{1,5})(ms|h|m|s)/g)) {
    total += Number(digits) * (unitMs[unit ?? ''] ?? Number.NaN);
  }
  return total;
}

/** Milliseconds of a text that a schema has already accepted. */
export function acceptedDurationMs(text: string): number {
  const value = durationMs(text);
  if (value === undefined) throw new Error(`not a duration, although it was accepted: ${JSON.stringify(text)}`);
  return value;
}

/** The shortest way to write a number of milliseconds; the inverse of `durationMs` for whole milliseconds. */
export function formatDuration(milliseconds: number): string {
  let rest = Math.round(milliseconds);
  const parts: string[] = [];
  for (const unit of ['h', 'm', 's', 'ms']) {
    const size = unitMs[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * size;
  }
  return parts.length === 0 ? '0s' : parts.join('');
}
