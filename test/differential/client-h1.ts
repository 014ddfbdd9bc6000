import { connect, type Socket } from 'node:net';
import { CASE_FIELD, type ClientRequest, emptyResponse, type Field, fieldOf, type Response } from './case.ts';
import { type BodyEnd, H1Reader } from './h1-reader.ts';
import { spoil } from './malformed.ts';

const RESPONSE_MS_MAX = 4_000;
/** A proxy that closes does so with its answer: what comes later was not its decision about this request. */
const LINGER_MS = 8;
const EXPECT_MS = 300;

const lines = (fields: readonly Field[]): string => fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');

/** The head as it goes out. */
export function headText(request: ClientRequest, id: string): string {
  const { body } = request;
  const length = body.chunks.join('').length;
  const framing: Field[] =
    body.framing === 'length'
      ? [['Content-Length', String(length)]]
      : body.framing === 'chunked'
        ? [['Transfer-Encoding', 'chunked']]
        : [];
  const ending: Field[] = request.ending === 'close' ? [['Connection', 'close']] : [];
  const fields: Field[] = [['Host', request.authority], [CASE_FIELD, id], ...request.fields, ...framing, ...ending];
  const text = `${request.method} ${request.target} HTTP/${request.version}\r\n${lines(fields)}\r\n`;
  return request.defect === '' ? text : spoil(request.defect, text);
}

export function bodyText({ body }: ClientRequest): string {
  if (body.framing === 'none') return '';
  if (body.framing === 'length') return body.chunks.join('');
  const chunks = body.chunks
    .filter((chunk) => chunk !== '')
    .map((chunk) => `${chunk.length.toString(16)}${body.extension}\r\n${chunk}\r\n`);
  return `${chunks.join('')}0${body.extension}\r\n${lines(body.trailers)}\r\n`;
}

/** A connection that requests are sent on, and their responses in order. */
class Connection {
  readonly socket: Socket;
  used = false;
  ended = false;
  failed = false;
  private readonly reader: H1Reader;
  private methods: string[] = [];
  private responses: Response[] = [];
  private now = emptyResponse();
  private wanted = 0;
  private wake: (() => void) | undefined = undefined;
  private onHead: (() => void) | undefined = undefined;

  constructor(ip: string, port: number) {
    this.socket = connect({ host: ip, port, allowHalfOpen: true, noDelay: true });
    this.reader = new H1Reader({
      head: (startLine, fields) => this.head(startLine, fields),
      body: (text) => {
        this.now.body += text;
      },
      end: (trailers) => this.end(trailers),
      broken: () => {
        this.failed = true;
        this.check();
      },
    });
    this.socket.on('data', (chunk: Buffer) => this.reader.push(chunk));
    this.socket.once('end', () => {
      this.ended = true;
      this.reader.finish();
      this.check();
    });
    this.socket.on('error', () => {
      this.failed = true;
      this.check();
    });
    this.socket.once('close', () => {
      this.ended = true;
      this.check();
    });
  }

  get reusable(): boolean {
    return !this.ended && !this.failed && !this.socket.destroyed && this.reader.idle;
  }

  /** Resolves when all have been answered or nothing more can come. */
  async receive(
    methods: readonly string[],
    send: (awaitHead: () => Promise<void>) => Promise<void>,
  ): Promise<Response[]> {
    this.methods = [...methods];
    this.responses = [];
    this.now = emptyResponse();
    this.wanted = methods.length;
    this.used = true;
    const answered = new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    const timer = setTimeout(() => {
      this.now.after = 'timeout';
      this.wanted = 0;
      this.check();
    }, RESPONSE_MS_MAX);
    await send(() => this.firstHead());
    this.check();
    await answered;
    clearTimeout(timer);
    while (this.responses.length < methods.length) {
      if (this.now.after !== 'timeout') this.now.after = this.failed ? 'reset' : 'closed';
      this.responses.push(this.now);
      this.now = emptyResponse();
    }
    return this.responses;
  }

  /** Whether the proxy closes after what it has answered. */
  closes(waitMs: number): Promise<boolean> {
    if (this.ended || this.failed) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), waitMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve(this.ended || this.failed);
      };
    });
  }

  /** Until something of an answer is there: who expects 100-continue sends its body then. */
  private firstHead(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, EXPECT_MS);
      this.onHead = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private head(startLine: string, fields: readonly Field[]): BodyEnd {
    const status = Number(startLine.split(' ')[1]);
    this.onHead?.();
    if (status >= 100 && status < 200 && status !== 101) {
      this.now.interim.push(status);
      return 0;
    }
    this.now.status = status;
    this.now.fields = fields;
    const method = this.methods[this.responses.length] ?? '';
    if (method === 'HEAD' || status === 204 || status === 304) return 0;
    if (fieldOf(fields, 'transfer-encoding') !== undefined) return 'chunked';
    const length = fieldOf(fields, 'content-length');
    return length === undefined ? 'close' : Number(length);
  }

  private end(trailers: readonly Field[]): void {
    // Of an interim response.
    if (this.now.status === 0) return;
    this.now.trailers = trailers;
    this.now.complete = true;
    this.responses.push(this.now);
    this.now = emptyResponse();
    this.check();
  }

  private check(): void {
    if (this.responses.length >= this.wanted || this.ended || this.failed) this.wake?.();
  }
}

export const announcesEnd = ({ fields }: Response): boolean => /\bclose\b/i.test(fieldOf(fields, 'connection') ?? '');

/** Requests of one listener of one proxy, on connections that are kept as long as the proxy keeps them. */
export class H1Client {
  private readonly ip: string;
  private readonly port: number;
  private connection: Connection | undefined = undefined;
  /** Connections that ended although nothing had announced it, before anything of an answer came. */
  stale = 0;

  constructor(ip: string, port: number) {
    this.ip = ip;
    this.port = port;
  }

  close(): void {
    this.connection?.socket.destroy();
    this.connection = undefined;
  }

  /** All at once on one connection; answers in order. */
  async exchange(requests: readonly ClientRequest[], ids: readonly string[]): Promise<readonly Response[]> {
    const before = this.connection;
    // What is half closed is not used again: whether it had ended before could not be told.
    if (before?.reusable !== true || requests.at(-1)?.ending === 'half-close') {
      before?.socket.destroy();
      this.connection = undefined;
    }
    const connection = this.connection ?? new Connection(this.ip, this.port);
    this.connection = connection;
    const reused = connection.used;
    const responses = await connection.receive(
      requests.map(({ method }) => method),
      (awaitHead) => send(connection.socket, requests, ids, awaitHead),
    );
    if (
      reused &&
      responses.every(({ status, interim, after }) => status === 0 && interim.length === 0 && after !== 'timeout')
    ) {
      this.stale++;
      this.close();
      return this.exchange(requests, ids);
    }
    await this.settle(connection, requests, responses);
    return responses;
  }

  private async settle(
    connection: Connection,
    requests: readonly ClientRequest[],
    responses: readonly Response[],
  ): Promise<void> {
    const last = responses.at(-1);
    if (last === undefined) return;
    const lastRequest = requests.at(-1);
    const mayClose =
      !last.complete || announcesEnd(last) || lastRequest?.ending !== 'keep' || lastRequest.version === '1.0';
    // What the proxy has answered itself may end the connection without a word.
    const suspect = fieldOf(last.fields, CASE_FIELD) === undefined || lastRequest?.body.framing !== 'none';
    if (last.after === 'kept' && (mayClose || suspect)) {
      if (await connection.closes(announcesEnd(last) ? RESPONSE_MS_MAX : LINGER_MS)) last.after = 'closed';
    }
    if (last.after !== 'kept' || lastRequest?.ending !== 'keep') this.close();
  }
}

async function send(
  socket: Socket,
  requests: readonly ClientRequest[],
  ids: readonly string[],
  awaitHead: () => Promise<void>,
): Promise<void> {
  let pending = '';
  for (const [i, request] of requests.entries()) {
    const head = headText(request, ids[i] ?? '');
    if (request.writes > 1) {
      const size = Math.ceil(head.length / request.writes);
      for (let at = 0; at < head.length; at += size) {
        socket.write(pending + head.slice(at, at + size), 'latin1');
        pending = '';
        await new Promise((resolve) => setImmediate(resolve));
      }
    } else pending += head;
    if (requests.length === 1 && /100-continue/i.test(fieldOf(request.fields, 'expect') ?? '')) {
      socket.write(pending, 'latin1');
      pending = '';
      // A client of HTTP/1.0 gets no interim response (RFC 9110 section 10.1.1).
      if (request.body.framing !== 'none' && request.version === '1.1') await awaitHead();
    }
    pending += bodyText(request);
  }
  if (socket.destroyed) return;
  socket.write(pending, 'latin1');
  if (requests.at(-1)?.ending === 'half-close') socket.end();
}
