/** Streams that were reset, of which frames may still be on their way: all that can be open, a few times over. */
const RESETS_KEPT_MAX = 4_096;
const RESETS_KEPT_MIN = 32;
/** Streams that ended as they should; only a broken peer names them again, and is told so for the last few. */
const ENDED_KEPT = 32;

type ClosedBy = 'ended' | 'reset-here' | 'reset-there' | 'unknown';

/** The last streams that were closed, and how: what RFC 9113 section 5.1 makes of a late frame depends on it. */
export class ClosedStreams {
  /** A ring; it grows with the resets that there are, so that a connection without any holds next to nothing. */
  private resets = new Int32Array(RESETS_KEPT_MIN);
  private readonly ended = new Int32Array(ENDED_KEPT);
  private resetAt = 0;
  private endedAt = 0;

  addEnded(id: number): void {
    this.ended[this.endedAt] = id;
    this.endedAt = (this.endedAt + 1) % ENDED_KEPT;
  }

  /** `byPeer` ones are kept as negative numbers. */
  addReset(id: number, byPeer: boolean): void {
    const { length } = this.resets;
    this.resets[this.resetAt] = byPeer ? -id : id;
    this.resetAt++;
    if (this.resetAt < length) return;
    if (length === RESETS_KEPT_MAX) {
      this.resetAt = 0;
      return;
    }
    const grown = new Int32Array(2 * length);
    grown.set(this.resets);
    this.resets = grown;
  }

  find(id: number): ClosedBy {
    if (this.resets.includes(id)) return 'reset-here';
    if (this.resets.includes(-id)) return 'reset-there';
    return this.ended.includes(id) ? 'ended' : 'unknown';
  }
}
