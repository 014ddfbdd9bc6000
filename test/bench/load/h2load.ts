/** Closed-loop HTTP/2 load by h2load, with prior knowledge (RFC 9113 section 3.3). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { loadCore, onCore } from '../cores.ts';
import { traceparent } from './headers.ts';
import type { ClosedLoad } from './wrk.ts';

const run = promisify(execFile);
const graceMs = 30_000;

export interface Http2LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly seconds: number;
  readonly connections: number;
  readonly streams: number;
  /** File with one gRPC message: sent with each request as a unary call. */
  readonly grpcMessage?: string;
  /** Bytes of DATA that each good response has. */
  readonly responseBytes: number;
}

const number = (pattern: RegExp, text: string): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);

/** A request that failed makes the run worthless; so does a gRPC error, which has status 200 and no message. */
export async function h2load(options: Http2LoadOptions): Promise<ClosedLoad> {
  const { port, path, seconds, connections, streams, grpcMessage, responseBytes } = options;
  const grpc =
    grpcMessage === undefined ? [] : ['-d', grpcMessage, '-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const shape = ['-t1', `-c${connections}`, `-m${streams}`, `-D${seconds}`];
  const headers = ['-H', `traceparent: ${traceparent}`, ...grpc];
  const args = [...shape, ...headers, `http://127.0.0.1:${port}${path}`];
  const { stdout } = await run('taskset', onCore(loadCore, 'h2load', args), { timeout: seconds * 1_000 + graceMs });
  const requests = number(/(\d+) succeeded/, stdout);
  const failed = number(/(\d+) failed/, stdout) + number(/(\d+) errored/, stdout) + number(/(\d+) timeout/, stdout);
  const good = number(/status codes: (\d+) 2xx/, stdout);
  const bytes = number(/traffic: .*\((\d+)\) data/, stdout);
  if (!(requests > 0) || failed !== 0 || good < requests || !(bytes >= requests * responseBytes)) {
    const lines = stdout.split('\n').filter((line) => /^(requests|status codes|traffic):/.test(line));
    throw new Error(['h2load: not every request was answered well', ...lines].join('\n'));
  }
  return { requests, durationS: number(/finished in ([\d.]+)s/, stdout) };
}
