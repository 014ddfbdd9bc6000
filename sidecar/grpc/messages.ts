/** Compressed-flag and length in front of each message (gRPC over HTTP/2, Length-Prefixed-Message). */
const PREFIX_BYTES = 5;

export function frameMessage(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  message.copy(framed, PREFIX_BYTES);
  return framed;
}

/** Puts the messages of a stream together, wherever its chunks are cut. */
export class MessageReader {
  private readonly bytesMax: number;
  private readonly onMessage: (message: Buffer) => void;
  private chunks: Buffer[] = [];
  private heldBytes = 0;
  /** Of the message under way; -1: its prefix is not whole. */
  private wantedBytes = -1;

  constructor(bytesMax: number, onMessage: (message: Buffer) => void) {
    this.bytesMax = bytesMax;
    this.onMessage = onMessage;
  }

  /** Nothing of a message is missing. */
  get atBoundary(): boolean {
    return this.heldBytes === 0 && this.wantedBytes < 0;
  }

  /** What is wrong with the stream; undefined: nothing so far. */
  push(chunk: Buffer): string | undefined {
    this.chunks.push(chunk);
    this.heldBytes += chunk.length;
    for (;;) {
      if (this.wantedBytes < 0) {
        if (this.heldBytes < PREFIX_BYTES) return undefined;
        const prefix = this.take(PREFIX_BYTES);
        // None was offered (grpc-accept-encoding), so that none may be used.
        if (prefix[0] !== 0) return 'a compressed message, though no compression was offered';
        this.wantedBytes = prefix.readUInt32BE(1);
        if (this.wantedBytes > this.bytesMax) {
          return `a message of ${this.wantedBytes} bytes; at most ${this.bytesMax} are read`;
        }
      }
      if (this.heldBytes < this.wantedBytes) return undefined;
      const message = this.take(this.wantedBytes);
      this.wantedBytes = -1;
      this.onMessage(message);
    }
  }

  private take(bytes: number): Buffer {
    this.heldBytes -= bytes;
    const [first = Buffer.alloc(0)] = this.chunks;
    if (first.length >= bytes) {
      if (first.length === bytes) this.chunks.shift();
      else this.chunks[0] = first.subarray(bytes);
      return first.subarray(0, bytes);
    }
    const all = Buffer.concat(this.chunks);
    this.chunks = all.length === bytes ? [] : [all.subarray(bytes)];
    return all.subarray(0, bytes);
  }
}
