import { createReadStream, existsSync, readdirSync, statSync, watch } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough, type Readable } from 'node:stream';

/** Container logs. The node agent writes CRI lines (`<RFC3339Nano> stdout|stderr F <text>`) where this reads them. */
export interface LogRequest {
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

export type LogAnswer =
  | { readonly ok: true; readonly stream: Readable }
  | { readonly ok: false; readonly message: string };

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
}

function parseLine(line: string): Line {
  const match = /^(\S+) (?:stdout|stderr) [FP] ?(.*)$/s.exec(line);
  return match === null ? { time: '', text: line } : { time: match[1] ?? '', text: match[2] ?? '' };
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
      send(file, request, out).catch((error: Error) => out.destroy(error));
      return { ok: true, stream: out };
    },
  };
}

function cutoffMs(request: LogRequest): number {
  if (request.sinceTime !== undefined) return Date.parse(request.sinceTime);
  return request.sinceSeconds === undefined ? Number.NEGATIVE_INFINITY : Date.now() - request.sinceSeconds * 1000;
}

async function send(file: string, request: LogRequest, out: PassThrough): Promise<void> {
  const cutoff = cutoffMs(request);
  let bytesLeft = request.limitBytes ?? Number.POSITIVE_INFINITY;
  const write = async (raw: string): Promise<void> => {
    const line = parseLine(raw);
    if (line.time !== '' && Date.parse(line.time) < cutoff) return;
    const text = `${request.timestamps && line.time !== '' ? `${line.time} ` : ''}${line.text}\n`.slice(0, bytesLeft);
    bytesLeft -= text.length;
    if (!out.write(text)) await new Promise<void>((resolve) => out.once('drain', resolve).once('close', resolve));
  };
  const size = statSync(file).size;
  if (size > 0) {
    // Only a tail is held in memory; everything else streams.
    const tail: string[] = [];
    const lines = createInterface({
      input: createReadStream(file, { end: size - 1 }),
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    for await (const line of lines) {
      if (out.destroyed || bytesLeft <= 0) break;
      if (request.tailLines === undefined) await write(line);
      else {
        tail.push(line);
        if (tail.length > request.tailLines) tail.shift();
      }
    }
    for (const line of tail) await write(line);
  }
  if (request.follow) await follow(file, size, request, out, write);
  out.end();
}

async function follow(
  file: string,
  from: number,
  request: LogRequest,
  out: PassThrough,
  write: (line: string) => Promise<void>,
): Promise<void> {
  const handle = await open(file);
  const buffer = Buffer.alloc(64 * 1024);
  let position = from;
  let rest = Buffer.alloc(0);
  try {
    while (!out.destroyed) {
      const over = request.isOver();
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
      if (bytesRead > 0) {
        position += bytesRead;
        let data = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
          await write(data.subarray(0, end).toString('utf8'));
          data = data.subarray(end + 1);
        }
        rest = data;
      } else if (over) return;
      else await changed(file, out);
    }
  } finally {
    await handle.close();
  }
}

/** Until the file changes, at most one poll: inotify alone misses nothing here but the end of the container. */
function changed(file: string, out: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(file, done);
    const timer = setTimeout(done, pollMs);
    out.once('close', done);
    watcher.on('error', done);
    function done(): void {
      clearTimeout(timer);
      out.off('close', done);
      watcher.close();
      resolve();
    }
  });
}
