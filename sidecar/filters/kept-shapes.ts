import type { Direction } from '@weft/policies/model/listener';
import type { Attempt } from './attempt.ts';

/** One request in so many; a prime, so that of requests that come in turns it is not always the same one's turn. */
const EVERY = 61;

/**
 * A late request of each direction, with all that hangs on it. V8 throws compiled code away with the last object of the
 * shape that it was made for, when it collects to give memory back, and between two requests there is none:
 * docs/decisions/025-code-outlives-a-pause.md. Not the first one, whose shapes are not the final ones.
 */
export const kept: Record<Direction, Attempt | undefined> = { inbound: undefined, outbound: undefined };

let attempts = 0;

export function keepShapes(attempt: Attempt, direction: Direction): void {
  if (++attempts < EVERY) return;
  attempts = 0;
  kept[direction] = attempt;
}
