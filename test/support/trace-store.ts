/**
 * A real OpenTelemetry Collector as the trace store of tests. It is built once, from Go modules at the versions and
 * checksums of collector/go.sum, and writes what arrives by OTLP as JSON.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goProgram } from './go-program.ts';
import { readSpans, type StoredSpan } from './otlp-json.ts';
import { freePort } from './pair-process.ts';

export type { StoredSpan } from './otlp-json.ts';

export interface TraceStore {
  /** OTLP over HTTP, `http://host:port`. */
  readonly endpoint: string;
  /** OTLP over gRPC, `http://host:port`. */
  readonly grpcEndpoint: string;
  spans(): Promise<readonly StoredSpan[]>;
  stop(): Promise<void>;
}

export interface TraceStoreListen {
  readonly host: string;
  /** Of OTLP over HTTP; 0 takes a free one. */
  readonly port: number;
  /** Of OTLP over gRPC; a free one unless set. */
  readonly grpcPort?: number;
}

const startTimeoutMs = 20_000;
const stopTimeoutMs = 10_000;
const logCharsKept = 8_000;
const source = join(dirname(fileURLToPath(import.meta.url)), 'collector');

/** The collector's program, built when the cache has none of these sources. */
export const collector = (): Promise<string> => goProgram('collector', source);

function configuration(http: string, grpc: string, path: string): string {
  // JSON is YAML, and the collector takes a whole document after `yaml:`.
  return JSON.stringify({
    receivers: { otlp: { protocols: { http: { endpoint: http }, grpc: { endpoint: grpc } } } },
    exporters: { file: { path, format: 'json', flush_interval: '50ms' } },
    service: {
      pipelines: { traces: { receivers: ['otlp'], exporters: ['file'] } },
    },
  });
}

async function untilReady(child: ChildProcess): Promise<void> {
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(new Error(`the collector ${why}:\n${output}`));
    };
    const timer = setTimeout(() => fail(`was not ready within ${startTimeoutMs} ms`), startTimeoutMs);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-logCharsKept);
      if (output.includes('Everything is ready')) {
        clearTimeout(timer);
        resolve();
      }
    });
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code) => fail(`exited with ${code}`));
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const late = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  child.kill('SIGTERM');
  await exit;
  clearTimeout(late);
}

export async function startTraceStore(listen: TraceStoreListen): Promise<TraceStore> {
  const program = await collector();
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  // The collector cannot say which port it was given, so the choice is made before.
  const http = `${host}:${listen.port === 0 ? await freePort() : listen.port}`;
  const grpc = `${host}:${listen.grpcPort ?? (await freePort())}`;
  const folder = await mkdtemp(join(tmpdir(), 'weft-traces-'));
  const file = join(folder, 'traces.json');
  const child = spawn(program, [`--config=yaml:${configuration(http, grpc, file)}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stop = async (): Promise<void> => {
    await ended(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(child);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoint: `http://${http}`,
    grpcEndpoint: `http://${grpc}`,
    spans: async () => readSpans(existsSync(file) ? await readFile(file, 'utf8') : ''),
    stop,
  };
}
