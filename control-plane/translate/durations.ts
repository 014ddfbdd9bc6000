import { acceptedDurationMs } from '@weft/policies/crds/duration';
import { TIMER_MS_MAX } from '@weft/policies/kit/timer';

/** Of a timer. The standard's durations reach to decades, which no timer does: beyond 24.8 days it is these. */
export const timerMs = (text: string): number => Math.min(acceptedDurationMs(text), TIMER_MS_MAX);
