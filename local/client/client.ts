import * as http from 'node:http';
import * as https from 'node:https';
import { isIP } from 'node:net';
import type { Connection } from './kubeconfig.ts';

/**
 * A thin client of a Kubernetes API: JSON in, JSON out, errors as values. It keeps objects exactly as they are on the wire.
 * The generated client of @kubernetes/client-node costs 0.6 s and 80 MB at start, and turns times and names into its own.
 */

interface ApiFailure {
  readonly ok: false;
  /** The HTTP status, or 0 when no answer came. */
  readonly status: number;
  readonly reason: string;
  readonly message: string;
}
export type ApiResult<T> = { readonly ok: true; readonly value: T } | ApiFailure;

type PatchKind = 'merge' | 'json' | 'strategic';

interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

export interface KubeClient {
  get<T>(path: string): Promise<ApiResult<T>>;
  create<T>(path: string, body: unknown): Promise<ApiResult<T>>;
  replace<T>(path: string, body: unknown): Promise<ApiResult<T>>;
  patch<T>(path: string, body: unknown, kind?: PatchKind): Promise<ApiResult<T>>;
  remove(path: string, options?: unknown): Promise<ApiResult<unknown>>;
  /** Resolves when the stream ends; every event is handed over as it comes. */
  watch(path: string, onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<ApiResult<undefined>>;
  close(): void;
}

const REQUEST_TIMEOUT_MS = 15_000;
const RESPONSE_BYTES_MAX = 64 << 20;
const WATCH_LINE_BYTES_MAX = 8 << 20;
const WATCH_IDLE_MS_MAX = 400_000;

const PATCH_TYPES: Readonly<Record<PatchKind, string>> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

function failureOf(status: number, body: string): ApiFailure {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null) {
      const reason = 'reason' in parsed && typeof parsed.reason === 'string' ? parsed.reason : '';
      const message = 'message' in parsed && typeof parsed.message === 'string' ? parsed.message : body;
      return { ok: false, status, reason, message };
    }
  } catch {
    // Not a Status object: the body itself is the best message there is.
  }
  return { ok: false, status, reason: '', message: body.slice(0, 500) || `HTTP ${status}` };
}

const unreachable = (message: string): ApiFailure => ({ ok: false, status: 0, reason: 'Unreachable', message });

export function isNotFound(result: ApiResult<unknown>): boolean {
  return !result.ok && result.status === 404;
}
export function isConflict(result: ApiResult<unknown>): boolean {
  return !result.ok && result.status === 409;
}

class HttpKubeClient implements KubeClient {
  readonly #connection: Connection;
  readonly #agent: http.Agent;
  readonly #watchAgent: http.Agent;
  readonly #userAgent: string;

  constructor(connection: Connection, userAgent: string) {
    this.#connection = connection;
    this.#userAgent = userAgent;
    const tls: https.AgentOptions = {
      keepAlive: true,
      rejectUnauthorized: !connection.insecureSkipVerify,
      ...(connection.caPem === undefined ? {} : { ca: connection.caPem }),
      ...(connection.certPem === undefined ? {} : { cert: connection.certPem }),
      ...(connection.keyPem === undefined ? {} : { key: connection.keyPem }),
      // A server named by IP address has no server name to send (RFC 6066 section 3).
      servername: connection.servername ?? (isIP(hostOf(connection.server)) ? '' : hostOf(connection.server)),
    };
    const plain = connection.server.protocol === 'http:';
    this.#agent = plain
      ? new http.Agent({ keepAlive: true, maxSockets: 32 })
      : new https.Agent({ ...tls, maxSockets: 32 });
    this.#watchAgent = plain ? new http.Agent() : new https.Agent({ ...tls, keepAlive: false });
  }

  get<T>(path: string): Promise<ApiResult<T>> {
    return this.#call('GET', path, undefined, undefined);
  }
  create<T>(path: string, body: unknown): Promise<ApiResult<T>> {
    return this.#call('POST', path, body, 'application/json');
  }
  replace<T>(path: string, body: unknown): Promise<ApiResult<T>> {
    return this.#call('PUT', path, body, 'application/json');
  }
  patch<T>(path: string, body: unknown, kind: PatchKind = 'merge'): Promise<ApiResult<T>> {
    return this.#call('PATCH', path, body, PATCH_TYPES[kind]);
  }
  remove(path: string, options?: unknown): Promise<ApiResult<unknown>> {
    return this.#call('DELETE', path, options, 'application/json');
  }

  #open(method: string, path: string, headers: http.OutgoingHttpHeaders, agent: http.Agent): http.ClientRequest {
    const { server, token } = this.#connection;
    const options: https.RequestOptions = {
      host: hostOf(server),
      port: server.port === '' ? (server.protocol === 'http:' ? 80 : 443) : Number(server.port),
      method,
      path: `${server.pathname.replace(/\/$/, '')}${path}`,
      agent,
      headers: {
        accept: 'application/json',
        'user-agent': this.#userAgent,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
    };
    return server.protocol === 'http:' ? http.request(options) : https.request(options);
  }

  async #call<T>(method: string, path: string, body: unknown, type: string | undefined): Promise<ApiResult<T>> {
    const result = await this.#once<T>(method, path, body, type);
    // A kept-alive connection may have been closed by the server just now; a GET is safe to repeat once.
    return !result.ok && result.status === 0 && method === 'GET' ? this.#once<T>(method, path, body, type) : result;
  }

  #once<T>(method: string, path: string, body: unknown, type: string | undefined): Promise<ApiResult<T>> {
    return new Promise((resolve) => {
      const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const headers: http.OutgoingHttpHeaders =
        payload === undefined ? {} : { 'content-type': type, 'content-length': payload.length };
      const request = this.#open(method, path, headers, this.#agent);
      const timer = setTimeout(
        () => request.destroy(new Error(`no answer in ${REQUEST_TIMEOUT_MS} ms`)),
        REQUEST_TIMEOUT_MS,
      );
      const finish = (result: ApiResult<T>): void => {
        clearTimeout(timer);
        resolve(result);
      };
      request.on('error', (error) => finish(unreachable(`${method} ${path}: ${error.message}`)));
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > RESPONSE_BYTES_MAX) request.destroy(new Error(`answer larger than ${RESPONSE_BYTES_MAX} bytes`));
          else chunks.push(chunk);
        });
        response.on('error', (error) => finish(unreachable(`${method} ${path}: ${error.message}`)));
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString('utf8');
          const status = response.statusCode ?? 0;
          if (status < 200 || status > 299) return finish(failureOf(status, answer));
          try {
            const value: T = JSON.parse(answer);
            finish({ ok: true, value });
          } catch {
            finish(unreachable(`${method} ${path}: the answer is not JSON`));
          }
        });
      });
      request.end(payload);
    });
  }

  watch(path: string, onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<ApiResult<undefined>> {
    return new Promise((resolve) => {
      const done: ApiResult<undefined> = { ok: true, value: undefined };
      if (signal.aborted) return resolve(done);
      const request = this.#open('GET', path, {}, this.#watchAgent);
      const abort = (): void => {
        request.destroy();
      };
      signal.addEventListener('abort', abort, { once: true });
      const finish = (result: ApiResult<undefined>): void => {
        signal.removeEventListener('abort', abort);
        request.destroy();
        resolve(signal.aborted ? done : result);
      };
      request.setTimeout(WATCH_IDLE_MS_MAX, () => request.destroy(new Error('watch went silent')));
      request.on('error', (error) => finish(unreachable(`watch ${path}: ${error.message}`)));
      request.on('response', (response) => {
        const status = response.statusCode ?? 0;
        const lines = new LineReader();
        let refused = '';
        response.on('data', (chunk: Buffer) => {
          if (status !== 200) {
            refused = (refused + chunk.toString('utf8')).slice(0, 4096);
            return;
          }
          for (const line of lines.push(chunk)) onEvent(line);
          if (lines.broken !== undefined) finish(unreachable(`watch ${path}: ${lines.broken}`));
        });
        response.on('end', () => finish(status === 200 ? done : failureOf(status, refused)));
        response.on('error', (error) => finish(unreachable(`watch ${path}: ${error.message}`)));
        response.on('close', () => finish(done));
      });
      request.end();
    });
  }

  close(): void {
    this.#agent.destroy();
    this.#watchAgent.destroy();
  }
}

/** Splits a watch stream into its JSON lines; a line is bounded. */
class LineReader {
  #parts: Buffer[] = [];
  #size = 0;
  broken: string | undefined;

  *push(chunk: Buffer): Generator<WatchEvent> {
    let from = 0;
    for (;;) {
      const at = chunk.indexOf(0x0a, from);
      if (at < 0) break;
      this.#parts.push(chunk.subarray(from, at));
      const line = Buffer.concat(this.#parts).toString('utf8').trim();
      this.#parts = [];
      this.#size = 0;
      from = at + 1;
      if (line === '') continue;
      try {
        const event: WatchEvent = JSON.parse(line);
        yield event;
      } catch {
        this.broken = 'a line is not JSON';
        return;
      }
    }
    this.#parts.push(chunk.subarray(from));
    this.#size += chunk.length - from;
    if (this.#size > WATCH_LINE_BYTES_MAX) this.broken = `a line is longer than ${WATCH_LINE_BYTES_MAX} bytes`;
  }
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

export function createKubeClient(connection: Connection, userAgent = 'weft-local'): KubeClient {
  return new HttpKubeClient(connection, userAgent);
}
