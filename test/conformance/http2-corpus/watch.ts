/** What a process costs, as the kernel counts it, and how another client of it fares meanwhile. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';

const CLOCK_TICK_MS = 10;

export interface Cost {
  readonly rssMb: number;
  readonly cpuMs: number;
  readonly descriptors: number;
}

export function costOf(pid: number): Cost {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return {
    rssMb: Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024,
    cpuMs: (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** A well-behaved client that asks again and again, one request at a time, until it is stopped. */
export class Neighbour {
  readonly latenciesMs: number[] = [];
  failed = '';
  private readonly stream: Duplex;
  private stopped = false;
  private askedMs = 0;
  private text = '';
  private timer: NodeJS.Timeout | undefined = undefined;

  private readonly target: string;

  /** Unless it asks for something of an application, the proxy answers itself. */
  constructor(stream: Duplex, target = '/neighbour') {
    this.stream = stream;
    this.target = target;
    stream.on('data', (bytes: Buffer) => this.onData(bytes));
    stream.on('error', (error) => this.fail(error.message));
    stream.on('close', () => this.fail('the connection was closed'));
    this.ask();
  }

  /** Stops, and says how long the slowest of its requests took. */
  stop(): number {
    this.stopped = true;
    clearTimeout(this.timer);
    // One that is under way counts as long as it has waited.
    if (this.askedMs > 0) this.latenciesMs.push(performance.now() - this.askedMs);
    this.stream.destroy();
    return Math.max(0, ...this.latenciesMs);
  }

  private ask(): void {
    this.askedMs = performance.now();
    this.stream.write(`GET ${this.target} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
  }

  private onData(bytes: Buffer): void {
    this.text += bytes.toString('latin1');
    // Chunked where it has no length.
    if (!this.text.endsWith('\r\n\r\nok') && !this.text.endsWith('\r\n0\r\n\r\n')) return;
    if (!this.text.startsWith('HTTP/1.1 200 ')) this.fail(this.text.slice(0, 100));
    this.text = '';
    this.latenciesMs.push(performance.now() - this.askedMs);
    this.askedMs = 0;
    if (!this.stopped) this.timer = setTimeout(() => this.ask(), 5);
  }

  private fail(why: string): void {
    if (!this.stopped && this.failed === '') this.failed = why;
  }
}
