import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { asObject, asObjects, asString, at, isObject, type Json, type JsonObject, parseJson } from './json.ts';
import { type EmbeddedApi, type EmbeddedApiOptions, startEmbeddedApi } from './server.ts';

/** A server in a directory of its own for tests, with the ways to talk to it: raw HTTPS and the real kubectl. */
export interface TestApi {
  readonly api: EmbeddedApi;
  readonly directory: string;
  readonly kubeconfig: string;
  kubectl(args: readonly string[], input?: string): Promise<KubectlResult>;
  /** JSON request as the administrator, or with the given headers and no certificate. */
  call(method: string, path: string, body?: Json, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  close(): Promise<void>;
}

export interface KubectlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Answer {
  readonly status: number;
  readonly body: JsonObject;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export const testOptions = (directory: string): EmbeddedApiOptions => ({
  dataDir: directory,
  listen: [{ host: '127.0.0.1', port: 0 }],
  serviceCidrs: ['10.231.128.0/17', 'fd77:ef7:f:1::/112'],
  podCidrs: ['10.231.0.0/17', 'fd77:ef7:f::/64'],
  advertise: [{ ip: '127.0.0.1' }],
  clusterDomain: 'cluster.local',
});

export async function startTestApi(overrides: Partial<EmbeddedApiOptions> = {}): Promise<TestApi> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-api-'));
  const api = await startEmbeddedApi({ ...testOptions(directory), ...overrides });
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(kubeconfig, api.adminKubeconfig);
  const admin = clientOf(api.adminKubeconfig);
  return {
    api,
    directory,
    kubeconfig,
    kubectl: (args, input) => runKubectl(kubeconfig, directory, args, input),
    call: (method, path, body, headers) => {
      const credentials =
        headers?.['authorization'] === undefined && headers?.['x-anonymous'] === undefined ? admin : { ca: api.caPem };
      return send({
        ...credentials,
        port: api.port,
        method,
        path,
        headers: headers ?? {},
        ...(body === undefined ? {} : { body }),
      });
    },
    close: async () => {
      await api.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface Credentials {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

export function clientOf(kubeconfig: string): Credentials {
  const parsed: Json = parse(kubeconfig);
  const decode = (value: Json | undefined): string => Buffer.from(asString(value), 'base64').toString('utf8');
  const cluster = asObject(asObjects(at(parsed, 'clusters'))[0]?.['cluster']);
  const user = asObject(asObjects(at(parsed, 'users'))[0]?.['user']);
  return {
    ca: decode(cluster?.['certificate-authority-data']),
    cert: decode(user?.['client-certificate-data']),
    key: decode(user?.['client-key-data']),
  };
}

export interface SendOptions extends Credentials {
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Json;
}

export function send(options: SendOptions): Promise<Answer> {
  const text = options.body === undefined ? '' : JSON.stringify(options.body);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: options.port,
        method: options.method,
        path: options.path,
        ca: options.ca,
        ...(options.cert === undefined ? {} : { cert: options.cert, key: options.key }),
        agent: false,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...options.headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const all = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, body: readBody(all), text: all, headers: response.headers });
        });
      },
    );
    sent.on('error', reject);
    sent.end(text);
  });
}

function readBody(text: string): JsonObject {
  try {
    const parsed = parseJson(text);
    return isObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

function runKubectl(kubeconfig: string, home: string, args: readonly string[], input = ''): Promise<KubectlResult> {
  return new Promise((resolve) => {
    const child = execFile(
      'kubectl',
      [...args],
      {
        env: { PATH: process.env['PATH'], HOME: home, KUBECONFIG: kubeconfig },
        timeout: 30_000,
        maxBuffer: 16 * 1024 * 1024,
      },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

/** Polls until `probe` answers, or fails with what it was waiting for. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`gave up waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
