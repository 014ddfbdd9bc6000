/**
 * The field by which sidecars tell each other how much time is left for a request and who repeats it. Times are what is
 * left, and not points in time: clocks of two nodes differ.
 */
export const HOP_FIELD = 'weft-deadline';

/** What a request may still take, of what its caller was allowed. */
export interface HopLimits {
  /** On the clock of this sidecar; Infinity: none. */
  readonly deadlineMs: number;
  /** 1, or more where a caller further up has repeated the request already. */
  readonly attempt: number;
  /** A caller further up repeats it if it fails. */
  readonly retried: boolean;
}

const FORM = /^left=(\d{1,10}|none), attempt=([1-9]\d{0,2})(, retried)?$/;
const LEFT_MS_MAX = 9_999_999_999;
const ATTEMPT_MAX = 999;

/** Undefined: it has not the form, and is as good as none. */
export function parseHop(text: string, nowMs: number): HopLimits | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, left = '', attempt, retried] = match;
  return {
    deadlineMs: left === 'none' ? Number.POSITIVE_INFINITY : nowMs + Number(left),
    attempt: Number(attempt),
    retried: retried !== undefined,
  };
}

/** Rounded down, so that no hop believes that it has more time than the one before; at least a millisecond. */
export function formatHop(leftMs: number, attempt: number, retried: boolean): string {
  const left = leftMs > LEFT_MS_MAX ? 'none' : String(Math.max(1, Math.floor(leftMs)));
  return `left=${left}, attempt=${Math.min(attempt, ATTEMPT_MAX)}${retried ? ', retried' : ''}`;
}

/** Somebody else repeats the request where that helps, or has done so: one layer is enough. */
export const isRetriedAbove = (hop: HopLimits | undefined): boolean =>
  hop !== undefined && (hop.retried || hop.attempt > 1);
