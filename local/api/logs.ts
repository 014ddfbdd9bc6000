import { createReadStream, existsSync, readdirSync, statSync, watch } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough, type Readable } from 'node:stream';

/** Container logs. The node agent writes CRI lines (`<RFC3339Nano> stdout|stderr F <text>`) where this reads them. */
interface LogRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly podUid: string;
  readonly container: string;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines: number | undefined;
  readonly sinceSeconds: number | undefined;
  readonly sinceTime: string | undefined;
  readonly limitBytes: number | undefined;
  /** Ends a followed log: the container is gone. */
  readonly isOver: () => boolean;
}

type LogAnswer = { readonly ok: true; readonly stream: Readable } | { readonly ok: false; readonly message: string };

export interface LogsBackend {
  open(request: LogRequest): LogAnswer;
}

export const containerLogDirectory = (
  dataDir: string,
  namespace: string,
  pod: string,
  uid: string,
  container: string,
): string => join(dataDir, 'logs', `${namespace}_${pod}_${uid}`, container);

/** Files are `<restartCount>.log`: the newest is current, the one before it `--previous`. */
function logFile(directory: string, previous: boolean): string | undefined {
  if (!existsSync(directory)) return undefined;
  const counts = readdirSync(directory)
    .map((name) => /^(\d+)\.log$/.exec(name)?.[1])
    .filter((count) => count !== undefined)
    .map(Number)
    .sort((a, b) => b - a);
  const count = counts[previous ? 1 : 0];
  return count === undefined ? undefined : join(directory, `${count}.log`);
}

interface Line {
  readonly time: string;
  readonly text: string;
  /** Part of a line that was too long for one record. */
  readonly partial: boolean;
}

function parseLine(line: string): Line {
  const match = /^(\S+) (?:stdout|stderr) ([FP]) ?(.*)$/s.exec(line);
  return match === null
    ? { time: '', text: line, partial: false }
    : { time: match[1] ?? '', text: match[3] ?? '', partial: match[2] === 'P' };
}

const pollMs = 250;

export function fileLogs(dataDir: string): LogsBackend {
  return {
    open: (request) => {
      const directory = containerLogDirectory(
        dataDir,
        request.namespace,
        request.pod,
        request.podUid,
        request.container,
      );
      const file = logFile(directory, request.previous);
      if (file === undefined) {
        const which = request.previous ? 'previous terminated container' : 'container';
        return { ok: false, message: `${which} "${request.container}" in pod "${request.pod}" has no log` };
      }
      const out = new PassThrough();
      new Sender(file, request, out).run().catch((error: Error) => out.destroy(error));
      return { ok: true, stream: out };
    },
  };
}

function cutoffMs(request: LogRequest): number {
  if (request.sinceTime !== undefined) return Date.parse(request.sinceTime);
  return request.sinceSeconds === undefined ? Number.NEGATIVE_INFINITY : Date.now() - request.sinceSeconds * 1000;
}

class Sender {
  readonly #file: string;
  readonly #request: LogRequest;
  readonly #out: PassThrough;
  readonly #cutoffMs: number;
  #bytesLeft: number;
  #midLine = false;

  constructor(file: string, request: LogRequest, out: PassThrough) {
    this.#file = file;
    this.#request = request;
    this.#out = out;
    this.#cutoffMs = cutoffMs(request);
    this.#bytesLeft = request.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  async run(): Promise<void> {
    const { size, ino } = statSync(this.#file);
    // The agent keeps one full file aside: it comes first.
    const aside = `${this.#file}.1`;
    const parts = [
      ...(existsSync(aside) ? [{ path: aside, size: statSync(aside).size }] : []),
      { path: this.#file, size },
    ];
    await this.#sendExisting(parts);
    if (this.#request.follow && !this.#isDone) await this.#follow(size, ino);
    this.#out.end();
  }

  get #isDone(): boolean {
    return this.#out.destroyed || this.#bytesLeft <= 0;
  }

  async #write(raw: string): Promise<void> {
    const line = parseLine(raw);
    if (line.time !== '' && Date.parse(line.time) < this.#cutoffMs) return;
    const stamp = this.#request.timestamps && line.time !== '' && !this.#midLine ? `${line.time} ` : '';
    this.#midLine = line.partial;
    const text = `${stamp}${line.text}${line.partial ? '' : '\n'}`.slice(0, this.#bytesLeft);
    this.#bytesLeft -= text.length;
    const out = this.#out;
    if (!out.write(text)) await new Promise<void>((resolve) => out.once('drain', resolve).once('close', resolve));
  }

  /** Only a tail is held in memory; everything else streams. */
  async #sendExisting(parts: readonly { path: string; size: number }[]): Promise<void> {
    const { tailLines } = this.#request;
    const tail: string[] = [];
    let lines = 0;
    for (const { path, size } of parts) {
      if (size === 0) continue;
      const input = createReadStream(path, { end: size - 1 });
      for await (const record of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (this.#isDone) return;
        if (tailLines === undefined) {
          await this.#write(record);
          continue;
        }
        tail.push(record);
        if (!parseLine(record).partial) lines++;
        while (lines > tailLines) if (!parseLine(tail.shift() ?? '').partial) lines--;
      }
    }
    for (const record of tail) await this.#write(record);
  }

  async #follow(from: number, inode: number): Promise<void> {
    let position = from;
    let current = inode;
    let handle = await open(this.#file);
    const buffer = Buffer.alloc(64 * 1024);
    let rest = Buffer.alloc(0);
    try {
      while (!this.#isDone) {
        const over = this.#request.isOver();
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
        position += bytesRead;
        let data = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
          await this.#write(data.subarray(0, end).toString('utf8'));
          data = data.subarray(end + 1);
        }
        rest = data;
        if (bytesRead > 0) continue;
        const now = existsSync(this.#file) ? statSync(this.#file).ino : current;
        if (now !== current) {
          await handle.close();
          handle = await open(this.#file);
          current = now;
          position = 0;
        } else if (over) return;
        else await changed(this.#file, this.#out);
      }
    } finally {
      await handle.close();
    }
  }
}

/** Until the file changes, at most one poll: inotify alone misses nothing here but the end of the container. */
function changed(file: string, out: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, pollMs);
    out.once('close', done);
    const watcher = existsSync(file) ? watch(file, done) : undefined;
    watcher?.on('error', done);
    function done(): void {
      clearTimeout(timer);
      out.off('close', done);
      watcher?.close();
      resolve();
    }
  });
}
