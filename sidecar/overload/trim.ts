import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { ListenerStats } from '../listener/manager.ts';
import { collector } from './readings.ts';

const AFTER_MS = 1_000;
const TRIES_MAX = 10;

/**
 * Gives back what loading and parsing have left behind, about 8 MB of which V8 would keep for later. It stops the thread
 * for some 30 ms, so that it waits for a moment without connections; one that is busy from the start needs the room anyway.
 */
export function trimWhenIdle(
  clock: Clock,
  listeners: () => readonly ListenerStats[] | Promise<readonly ListenerStats[]>,
): Cancel {
  let tries = 0;
  let cancel: Cancel;
  const look = async (): Promise<void> => {
    const stats = await listeners();
    if (stats.every(({ connections }) => connections === 0)) collector()();
    else if (++tries < TRIES_MAX) cancel = clock.after(AFTER_MS, () => void look());
  };
  cancel = clock.after(AFTER_MS, () => void look());
  return () => cancel();
}
