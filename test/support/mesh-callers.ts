/** What an application sends through its sidecar, and what comes back. */
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Echo } from './echo-pods.ts';
import type { Caller } from './route-world.ts';

const TIMEOUT_MS = 10_000;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Of an application; undefined where the sidecar itself answered. */
  readonly echo: Echo | undefined;
}

export interface Ask {
  readonly ip: string;
  readonly port: number;
  readonly host: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function echoOf(text: string): Echo | undefined {
  try {
    return JSON.parse(text) as Echo;
  } catch {
    return undefined;
  }
}

export async function http(caller: Caller, ask: Ask): Promise<Answer> {
  const socket = await caller.open(ask.ip, ask.port);
  return new Promise((resolve, reject) => {
    const { path = '/', method = 'GET', headers = {} } = ask;
    const options = { createConnection: () => socket, path, method, headers: { host: ask.host, ...headers } };
    const request = httpRequest({ ...options, timeout: TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => {
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, echo: echoOf(text) });
      });
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`no answer to ${path} within ${TIMEOUT_MS} ms`)));
    request.on('error', reject);
    request.end();
  });
}

/** One connection, many calls. */
export class GrpcChannel {
  private readonly session: ReturnType<typeof connectHttp2>;
  private readonly authority: string;

  private constructor(socket: Socket, authority: string) {
    this.authority = authority;
    this.session = connectHttp2(`http://${authority}`, { createConnection: () => socket });
    this.session.on('error', () => undefined);
  }

  static async open(caller: Caller, ip: string, port: number, authority: string): Promise<GrpcChannel> {
    return new GrpcChannel(await caller.open(ip, port), authority);
  }

  /** `status` is that of gRPC. */
  call(path: string, metadata: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const stream = this.session.request({
        ':method': 'POST',
        ':path': path,
        ':authority': this.authority,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...metadata,
      });
      const parts: Buffer[] = [];
      let head: Answer['headers'] = {};
      let status = -1;
      const statusIn = (headers: Answer['headers']): void => {
        if (headers['grpc-status'] !== undefined) status = Number(headers['grpc-status']);
      };
      stream.setTimeout(TIMEOUT_MS, () => reject(new Error(`no answer to ${path} within ${TIMEOUT_MS} ms`)));
      stream.on('response', (headers) => {
        head = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
        statusIn(head);
      });
      stream.on('trailers', (trailers) =>
        statusIn(Object.fromEntries(Object.entries(trailers).map(([name, value]) => [name, String(value)]))),
      );
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('error', reject);
      stream.on('close', () => {
        const body = Buffer.concat(parts).subarray(5).toString();
        resolve({ status, headers: head, echo: body === '' ? undefined : echoOf(body) });
      });
      stream.end(Buffer.alloc(5));
    });
  }

  close(): void {
    this.session.destroy();
  }
}

/** All that the server sends, or the code of the error that ended the connection. */
export async function bytes(caller: Caller, ip: string, port: number): Promise<string> {
  return collect(await caller.open(ip, port));
}

export async function tls(caller: Caller, ip: string, port: number, servername: string | undefined): Promise<string> {
  const socket = await caller.open(ip, port);
  const name = servername === undefined ? {} : { servername };
  return collect(connectTls({ socket, rejectUnauthorized: false, ...name }));
}

function collect(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    let fault = '';
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('TIMEOUT')));
    socket.on('data', (part: Buffer) => {
      text += part.toString();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      fault = error.code ?? error.message;
    });
    socket.on('close', () => resolve(text === '' ? fault || 'closed' : text.trim()));
  });
}
