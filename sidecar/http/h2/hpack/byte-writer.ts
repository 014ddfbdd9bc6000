import { FirstOctets } from '../../../net/first-octets.ts';

const BYTES_MIN = 1_024;

/** Bytes being written, in a buffer that grows: `buffer` up to `at`. */
export class ByteWriter {
  buffer: Buffer;
  at = 0;
  /** Of `buffer`, from when it is first asked for. */
  private first: FirstOctets | undefined = undefined;

  constructor(bytes: number = BYTES_MIN) {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
  }

  /** Room for that many more; `buffer` may be another afterwards. */
  reserve(bytes: number): void {
    if (this.at + bytes > this.buffer.length) this.grow(bytes);
  }

  octet(octet: number): void {
    if (this.at === this.buffer.length) this.grow(1);
    this.buffer[this.at++] = octet;
  }

  /** What was written, without a copy: valid until the next write. */
  written(): Buffer {
    this.first ??= new FirstOctets(this.buffer);
    return this.first.of(this.at);
  }

  clear(): void {
    this.at = 0;
  }

  private grow(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(grown, 0, 0, this.at);
    this.buffer = grown;
    this.first = undefined;
  }
}
