import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How much of something one of many may have at a time. */
export class Shares<Of> {
  private readonly max: number;
  private readonly taken = new Map<Of, number>();

  constructor(max: number) {
    this.max = max;
  }

  /** False: there is no more. What was taken is given back when the holder closes. */
  take(of: Of, holder: Socket | ServerResponse): boolean {
    const before = this.taken.get(of) ?? 0;
    if (before >= this.max) return false;
    this.taken.set(of, before + 1);
    holder.once('close', () => {
      const left = (this.taken.get(of) ?? 1) - 1;
      if (left > 0) this.taken.set(of, left);
      else this.taken.delete(of);
    });
    return true;
  }
}
