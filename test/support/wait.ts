import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks again until `probe` gives something else than undefined, at most `timeoutMs`; what it threw last is part of the
 * failure. A test waits for a state with this, never for a time.
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 20_000,
  everyMs = 50,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  let last = '';
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
      last = '';
    } catch (error) {
      last = `: ${(error as Error).message}`;
    }
    if (performance.now() > deadlineMs) throw new Error(`${what} did not happen within ${timeoutMs} ms${last}`);
    await sleep(everyMs);
  }
}
