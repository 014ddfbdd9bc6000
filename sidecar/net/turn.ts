import { type Clock, systemClock } from '@weft/policies/kit/clock';

const settled = Promise.resolve();

/** What runs when the read that is being worked off is done; its sockets write then. */
const waiting: (() => void)[] = [];
let reading = false;
let ending = false;
/** Which read this is: of two callbacks with the same number nothing came between. */
let reads = 0;
/** When the present read began, by both clocks; 0 until somebody asks. */
let readMs = 0;
let readUnixMs = 0;

/**
 * Runs when the event loop's present callback is done: with a read, at its end. Elsewhere by a reaction, which costs less
 * than a tick of Node, which makes an object and has all its hooks run.
 */
export function atEndOfTurn(run: () => void): void {
  if (reading) waiting.push(run);
  // What it throws ends the process, as it would from a tick.
  else void settled.then(run);
}

export const readNumber = (): number => reads;

export function beginRead(): void {
  reading = true;
  reads++;
  readMs = 0;
  readUnixMs = 0;
}

export function endRead(): void {
  // Of a read that came while another was being ended: what it led to has joined what waits.
  if (ending) return;
  ending = true;
  // What runs may ask for more.
  for (let i = 0; i < waiting.length; i++) waiting[i]?.();
  while (waiting.length > 0) waiting.pop();
  ending = false;
  reading = false;
}

/** The system's clocks, which are asked once a read: what is done with what has come takes well below a millisecond. */
export const turnClock: Clock = {
  ...systemClock,
  nowMs(): number {
    if (!reading) return systemClock.nowMs();
    if (readMs === 0) readMs = systemClock.nowMs();
    return readMs;
  },
  unixMs(): number {
    if (!reading) return systemClock.unixMs();
    if (readUnixMs === 0) readUnixMs = systemClock.unixMs();
    return readUnixMs;
  },
};
