/** Compressed-flag and length in front of each message (gRPC over HTTP/2, Length-Prefixed-Message). */
const PREFIX_BYTES = 5;

/** Counts the messages of one direction of a call, wherever the chunks of its body are cut. Keeps no bytes. */
export class MessageCounter {
  /** Whole messages. */
  messages = 0;
  /** What came is no sequence of messages; nothing more is counted. */
  malformed = false;
  private prefixBytes = 0;
  private lengthBytes = 0;
  /** Of the message under way, still to come. */
  private leftBytes = 0;

  /** True between messages: nothing of one is missing. */
  get atBoundary(): boolean {
    return this.prefixBytes === 0 && this.leftBytes === 0;
  }

  push(chunk: Buffer): void {
    const end = chunk.length;
    let at = 0;
    while (at < end && !this.malformed) {
      if (this.leftBytes > 0) {
        const taken = Math.min(this.leftBytes, end - at);
        at += taken;
        this.leftBytes -= taken;
        if (this.leftBytes === 0) this.messages++;
      } else if (this.prefixBytes === 0 && end - at >= PREFIX_BYTES) {
        this.begin(chunk[at] ?? 0, chunk.readUInt32BE(at + 1));
        at += PREFIX_BYTES;
      } else {
        this.prefixByte(chunk[at] ?? 0);
        at++;
      }
    }
  }

  private prefixByte(byte: number): void {
    if (this.prefixBytes === 0) {
      this.malformed = byte > 1;
      this.lengthBytes = 0;
    } else {
      this.lengthBytes = this.lengthBytes * 256 + byte;
    }
    this.prefixBytes++;
    if (this.prefixBytes < PREFIX_BYTES) return;
    this.prefixBytes = 0;
    this.begin(0, this.lengthBytes);
  }

  private begin(flag: number, lengthBytes: number): void {
    this.malformed = this.malformed || flag > 1;
    if (this.malformed) return;
    this.leftBytes = lengthBytes;
    if (lengthBytes === 0) this.messages++;
  }
}
