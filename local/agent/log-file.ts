import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';

/** A file of more bytes is moved to `<file>.1`, which replaces the one moved before: at most twice this is kept a container run. */
const FILE_BYTES_MAX = 10 << 20;
/** A longer line is written in parts tagged P, the last one F, as container runtimes do. */
const LINE_BYTES_MAX = 16 << 10;

/** Writes a container's output in the log format of the Kubernetes CRI: `<RFC3339Nano time> <stream> <F|P> <text>`. */
export class LogFile {
  readonly #path: string;
  #fd: number;
  #size = 0;
  #lastMs = 0;
  #sequence = 0;
  #lostBytes = 0;
  /** The last write ended in the middle of a record. */
  #torn = false;
  #open = true;
  readonly #streams: Promise<void>[] = [];

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    this.#fd = openSync(path, 'a', 0o644);
  }

  /** Copies a stream into the file line by line until it ends. */
  follow(stream: Readable, name: 'stdout' | 'stderr'): void {
    let rest: Buffer = Buffer.alloc(0);
    const ended = new Promise<void>((resolve) => {
      stream.on('data', (chunk: Buffer) => {
        let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        let records = '';
        for (;;) {
          const at = data.indexOf(0x0a);
          if (at >= 0 && at <= LINE_BYTES_MAX) {
            records += this.#record(name, 'F', data.subarray(0, at));
            data = data.subarray(at + 1);
          } else if (data.length > LINE_BYTES_MAX) {
            records += this.#record(name, 'P', data.subarray(0, LINE_BYTES_MAX));
            data = data.subarray(LINE_BYTES_MAX);
          } else break;
        }
        rest = data;
        if (records !== '') this.#write(records);
      });
      const finish = (): void => {
        if (rest.length > 0) this.#write(this.#record(name, 'F', rest));
        rest = Buffer.alloc(0);
        resolve();
      };
      stream.on('end', finish);
      stream.on('error', finish);
      stream.on('close', finish);
    });
    this.#streams.push(ended);
  }

  #record(stream: string, tag: 'F' | 'P', text: Buffer): string {
    const nowMs = Math.max(Date.now(), this.#lastMs);
    // Lines of one millisecond keep their order in the nanosecond digits.
    this.#sequence = nowMs === this.#lastMs ? Math.min(this.#sequence + 1, 999_999) : 0;
    this.#lastMs = nowMs;
    const time = new Date(nowMs).toISOString().slice(0, -1);
    return `${time}${String(this.#sequence).padStart(6, '0')}Z ${stream} ${tag} ${text.toString('utf8')}\n`;
  }

  /** A full disk must not take the container down: its output is lost until there is room again, and the log says so. */
  #write(records: string): void {
    if (!this.#open) return;
    const data = Buffer.from(this.#gap() + records);
    let written = 0;
    try {
      // A disk that is nearly full takes a part.
      while (written < data.length) written += writeSync(this.#fd, data, written);
      this.#lostBytes = 0;
      this.#torn = false;
    } catch {
      this.#lostBytes += Math.min(data.length - written, Buffer.byteLength(records));
      this.#torn ||= written > 0 && data[written - 1] !== 0x0a;
    }
    this.#size += written;
    if (this.#size >= FILE_BYTES_MAX) this.#rotate();
  }

  /** What stands between a failed write and the next one. */
  #gap(): string {
    if (this.#lostBytes === 0) return '';
    const notice = this.#record(
      'stderr',
      'F',
      Buffer.from(`weft: about ${this.#lostBytes} bytes of output are missing here: the disk was full`),
    );
    return this.#torn ? `\n${notice}` : notice;
  }

  #rotate(): void {
    const next = `${this.#path}.new`;
    try {
      // The new file first: when there is no room for it, the old one stays in use.
      const fd = openSync(next, 'a', 0o644);
      renameSync(this.#path, `${this.#path}.1`);
      renameSync(next, this.#path);
      closeSync(this.#fd);
      this.#fd = fd;
      this.#size = 0;
    } catch {
      // Tried again with the next record.
    }
  }

  /** Waits for the streams to end, at most `waitMsMax`, and closes the file. */
  async close(waitMsMax = 500): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      Promise.all(this.#streams),
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, waitMsMax);
      }),
    ]);
    clearTimeout(timer);
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }
}
