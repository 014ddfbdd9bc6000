import type { LogTimePoint } from '@weft/policies/model/log-format';
import type { LogEntry } from './entry.ts';

export const whole = (ms: number): number => Math.max(0, Math.floor(ms));

/** Until the upstream's response began; undefined: it never did. */
export const responseMs = ({ record, http }: LogEntry): number | undefined =>
  http === undefined || http.localReply || record.upstreamMs === 0 ? undefined : record.upstreamMs;

/** Milliseconds since the request began; undefined: it never came so far. */
export function pointMs(entry: LogEntry, point: LogTimePoint): number | undefined {
  const { record, http } = entry;
  if (http === undefined) return undefined;
  const requestEndMs = http.requestEndMs === 0 ? undefined : http.requestEndMs - http.startMs;
  const sentMs = (http.upstreamStartMs ?? 0) === 0 ? undefined : (http.upstreamStartMs ?? 0) - http.startMs;
  switch (point) {
    case 'DS_RX_BEG':
      return 0;
    case 'DS_RX_END':
      return requestEndMs;
    case 'US_TX_BEG':
      return sentMs;
    case 'US_TX_END':
      // What the client sends is handed on as it comes.
      return sentMs === undefined || requestEndMs === undefined ? undefined : Math.max(sentMs, requestEndMs);
    case 'US_RX_BEG':
      return responseMs(entry);
    case 'DS_TX_BEG':
      return record.status === 0 ? undefined : (responseMs(entry) ?? record.durationMs);
    case 'DS_TX_END':
      return record.status === 0 ? undefined : record.durationMs;
  }
}

const perMs = { ms: 1, us: 1_000, ns: 1_000_000 } as const;

export function durationBetween(
  entry: LogEntry,
  start: LogTimePoint,
  end: LogTimePoint,
  unit: keyof typeof perMs,
): number | undefined {
  const from = pointMs(entry, start);
  const to = pointMs(entry, end);
  return from === undefined || to === undefined ? undefined : Math.trunc((to - from) * perMs[unit]);
}
