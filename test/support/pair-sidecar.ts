/** Real `weft sidecar -c` processes. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { get, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Program } from './pair-process.ts';
import { waitFor } from './wait.ts';

const main = fileURLToPath(new URL('../../sidecar/main.ts', import.meta.url));

/** A folder for the files of one test file; the test removes it. */
export const testFolder = (what: string): string => mkdtempSync(join(tmpdir(), `weft-${what}-`));

const arguments_ = (...args: readonly string[]): readonly string[] => [
  '--experimental-ffi',
  '--disable-warning=ExperimentalWarning',
  main,
  ...args,
];

let files = 0;

function writeBootstrap(folder: string, text: string): string {
  files++;
  const file = join(folder, `bootstrap-${files}.yaml`);
  writeFileSync(file, text);
  return file;
}

/** Runs the program without waiting for anything. */
export const runSidecar = (folder: string, text: string, ...more: readonly string[]): Program =>
  new Program(process.execPath, arguments_('-c', writeBootstrap(folder, text), ...more));

/** A sidecar that serves. */
export async function startSidecar(folder: string, text: string): Promise<Program> {
  const program = runSidecar(folder, text);
  try {
    await program.until('serving', () => program.stderr.includes(' serving '));
  } catch (error) {
    await program.stop();
    throw error;
  }
  return program;
}

export interface AccessLogLine {
  readonly direction: string;
  readonly protocol: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly flags: string;
  readonly details: string;
  readonly rule: string;
  readonly route: string;
  readonly cluster: string;
  readonly upstream: string;
  readonly attempts: number;
  readonly source: string;
  readonly mtls: boolean;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/** Whole lines that the sidecar has logged. */
export const accessLog = (program: Program): readonly AccessLogLine[] =>
  program.stdout
    .split('\n')
    .slice(0, -1)
    .map((line): AccessLogLine => JSON.parse(line));

/** A page of the admin interface. */
export function adminPage(port: number, path: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false, timeout: 5_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    }).once('error', reject);
  });
}

/** Asks the admin interface to change something; the status. */
export function adminPost(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, method: 'POST', agent: false, timeout: 5_000 }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    })
      .on('error', reject)
      .end();
  });
}

/** Until nobody is connected to a listener any more: connections that ended a moment ago may still count. */
export async function clientsGone(adminPort: number, port: number): Promise<void> {
  const stat = `listener.127.0.0.1_${port}.downstream_cx_active`;
  await waitFor('the connections of clients to end', async () => {
    const { text } = await adminPage(adminPort, `/stats?filter=^${stat}$`);
    return text === `${stat}: 0\n` || undefined;
  });
}
