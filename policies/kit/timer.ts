/** What a timer takes: 2^31 - 1 ms, 24.8 days. */
export const TIMER_MS_MAX = 2_147_483_647;
