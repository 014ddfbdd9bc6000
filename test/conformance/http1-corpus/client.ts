import type { Duplex } from 'node:stream';

const CASE_TIMEOUT_MS = 5_000;

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A client that knows nothing of HTTP but what a final status looks like. */
export class Client {
  text = '';
  ended = false;
  private readonly stream: Duplex;
  private wake: () => void = () => undefined;

  constructor(stream: Duplex) {
    this.stream = stream;
    const end = (): void => {
      this.ended = true;
      this.wake();
    };
    stream.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1');
      this.wake();
    });
    stream.on('end', end);
    stream.on('close', end);
    stream.on('error', end);
  }

  /** Final statuses, in order. */
  get statuses(): readonly number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map(([, status]) => Number(status));
  }

  async send(writes: readonly string[]): Promise<void> {
    for (const octets of writes) {
      if (this.ended) return;
      this.stream.write(Buffer.from(octets, 'latin1'));
      if (writes.length > 1) await turn();
    }
  }

  end(): void {
    this.stream.end();
  }

  close(): void {
    this.stream.destroy();
  }

  /** Until it is so, or it can no longer become so. */
  until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, CASE_TIMEOUT_MS);
      this.wake = () => {
        if (!done()) return;
        clearTimeout(timer);
        resolve();
      };
      this.wake();
    });
  }
}
