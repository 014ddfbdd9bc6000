import { acceptedDurationMs } from '@weft/policies/crds/duration';
import { DURATION_MS_MAX } from '@weft/policies/wire/values';

/** Of a timer. The standard's durations reach to decades, which no timer does: beyond 24.8 days it is these. */
export const timerMs = (text: string): number => Math.min(acceptedDurationMs(text), DURATION_MS_MAX);
