import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { CASE_FIELD, type ClientRequest, emptyResponse, type Response } from './case.ts';
import { fieldLists, fieldPairs, isList } from './origin-h2.ts';

const RESPONSE_MS_MAX = 4_000;

/** In turn names and values, as they are to leave. */
function headersOf(request: ClientRequest, id: string): string[] {
  const { body } = request;
  const raw = [':method', request.method, ':path', request.target, ':scheme', 'http', ':authority', request.authority];
  raw.push(CASE_FIELD, id);
  const seen = new Set<string>();
  for (const [name, value] of request.fields) {
    const lower = name.toLowerCase();
    if (seen.has(lower) && !isList(lower)) continue;
    seen.add(lower);
    raw.push(lower, value);
  }
  if (body.framing === 'length') raw.push('content-length', String(body.chunks.join('').length));
  return raw;
}

/** Requests of one listener of one proxy as streams of one connection. */
export class H2Client {
  private readonly url: string;
  private session: ClientHttp2Session | undefined = undefined;
  stale = 0;

  constructor(ip: string, port: number) {
    this.url = `http://${ip}:${port}`;
  }

  close(): void {
    this.session?.destroy();
    this.session = undefined;
  }

  private open(): ClientHttp2Session {
    const { session } = this;
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    const fresh = connect(this.url);
    fresh.on('error', () => undefined);
    fresh.on('goaway', () => fresh.close());
    this.session = fresh;
    return fresh;
  }

  exchange(requests: readonly ClientRequest[], ids: readonly string[]): Promise<readonly Response[]> {
    const session = this.open();
    return Promise.all(requests.map((request, i) => this.one(session, request, ids[i] ?? '')));
  }

  private one(session: ClientHttp2Session, request: ClientRequest, id: string): Promise<Response> {
    const { body } = request;
    const text = body.framing === 'none' ? '' : body.chunks.join('');
    const withTrailers = body.framing === 'chunked' && body.trailers.length > 0;
    const endStream = body.framing === 'none';
    return new Promise((resolve) => {
      const response = emptyResponse();
      const stream: ClientHttp2Stream = session.request(headersOf(request, id), {
        endStream,
        waitForTrailers: withTrailers,
      });
      const timer = setTimeout(() => {
        response.after = 'timeout';
        stream.close();
        resolve(response);
      }, RESPONSE_MS_MAX);
      stream.on('headers', (headers) => response.interim.push(Number(headers[':status'])));
      stream.on('response', (headers, _flags, raw: readonly string[]) => {
        response.status = Number(headers[':status']);
        response.fields = fieldPairs(raw).filter(([name]) => !name.startsWith(':'));
      });
      stream.on('data', (chunk: Buffer) => {
        response.body += chunk.toString('latin1');
      });
      stream.on('trailers', (_headers, _flags, raw: readonly string[]) => {
        response.trailers = fieldPairs(raw);
      });
      stream.once('end', () => {
        response.complete = true;
      });
      stream.on('error', () => undefined);
      stream.once('close', () => {
        clearTimeout(timer);
        if (response.after === 'timeout') return;
        if (stream.rstCode !== 0) {
          // After a complete answer, NO_ERROR and CANCEL only stop the rest of the request (RFC 9113 section 8.1).
          response.complete = false;
          response.after = 'reset';
        }
        resolve(response);
      });
      if (withTrailers) stream.once('wantTrailers', () => stream.sendTrailers(fieldLists(body.trailers)));
      if (!endStream) stream.end(text, 'latin1');
      stream.resume();
    });
  }
}
