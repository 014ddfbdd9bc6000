/** Bodies of reviews that have not come whole: how much all senders, and each address, may have here at a time. */
export class HeldBytes {
  private readonly max: { readonly all: number; readonly ofAddress: number };
  private readonly held = new Map<string, number>();
  private total = 0;

  constructor(max: { readonly all: number; readonly ofAddress: number }) {
    this.max = max;
  }

  /** False: there is no room, and nothing was taken. */
  take(address: string, bytes: number): boolean {
    const before = this.held.get(address) ?? 0;
    if (before + bytes > this.max.ofAddress || this.total + bytes > this.max.all) return false;
    this.held.set(address, before + bytes);
    this.total += bytes;
    return true;
  }

  giveBack(address: string, bytes: number): void {
    const left = (this.held.get(address) ?? 0) - bytes;
    if (left > 0) this.held.set(address, left);
    else this.held.delete(address);
    this.total -= bytes;
  }
}
