import { constants, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { type Field, fieldOf, type Received } from './case.ts';
import { ownFields, type Play, type Script, sideOf } from './origin.ts';

export const fieldPairs = (raw: readonly string[]): Field[] => {
  const fields: Field[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) fields.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return fields;
};

/** Names that Node sends more than once; of any other the first counts. */
export const isList = (lower: string): boolean =>
  /^(?:x[-_]|accept$|via$|forwarded$|cookie$|set-cookie$|vary$|alt-svc$|www-authenticate$|cache-control$|trailer$)/.test(
    lower,
  );

/** For Node, which takes repeated fields as lists. */
export function fieldLists(fields: readonly Field[]): Record<string, string | string[]> {
  const lists: Record<string, string | string[]> = {};
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    const before = lists[lower];
    if (before !== undefined && !isList(lower)) continue;
    lists[lower] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return lists;
}

const pseudo = (fields: readonly Field[], name: string): string => fields.find(([n]) => n === name)?.[1] ?? '';

function play(stream: ServerHttp2Stream, what: Play, application: string, method: string): void {
  const { fault, answer, status, id } = what;
  if (stream.destroyed) return;
  if (fault?.where === 'before-head' || fault?.where === 'mid-head') {
    fail(stream, fault);
    return;
  }
  for (const code of answer.interim) stream.additionalHeaders({ ':status': code, 'x-interim': String(code) });
  const body = answer.chunks.join('');
  const empty = method === 'HEAD' || status === 204 || status === 304;
  const length = answer.framing === 'length' && status !== 204 ? { 'content-length': String(body.length) } : {};
  const withTrailers = answer.framing === 'chunked' && answer.trailers.length > 0 && !empty && fault === undefined;
  const endStream = fault === undefined && (empty || (body === '' && !withTrailers));
  stream.respond(
    { ':status': status, ...fieldLists([...ownFields(id, application), ...answer.fields]), ...length },
    { endStream, waitForTrailers: withTrailers },
  );
  if (endStream) return;
  if (withTrailers) stream.once('wantTrailers', () => stream.sendTrailers(fieldLists(answer.trailers)));
  if (fault === undefined) stream.end(body, 'latin1');
  else if (fault.where === 'after-head') setTimeout(() => fail(stream, fault), 15);
  else {
    stream.write(body.slice(0, body.length / 2), 'latin1');
    setTimeout(() => fail(stream, fault), 15);
  }
}

function fail(stream: ServerHttp2Stream, { how, code }: NonNullable<Play['fault']>): void {
  if (stream.destroyed || stream.session === undefined) return;
  // The last stream that counts is the one before this (RFC 9113 section 6.8).
  if (how === 'goaway') stream.session.goaway(constants.NGHTTP2_NO_ERROR, Math.max(0, (stream.id ?? 1) - 2));
  if (how === 'reset') stream.close(code);
  else stream.session.destroy();
}

export function originH2(application: string, script: Script, sockets: Set<Socket>): Http2Server {
  const server = createServer({ settings: { maxConcurrentStreams: 100 } });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('sessionError', () => undefined);
  server.on('stream', (stream: ServerHttp2Stream, _headers, flags, raw: string[]) => {
    stream.on('error', () => undefined);
    const all = fieldPairs(raw);
    const received: Received = {
      application,
      method: pseudo(all, ':method'),
      target: pseudo(all, ':path'),
      authority: pseudo(all, ':authority'),
      fields: all.filter(([name]) => !name.startsWith(':')),
      body: '',
      trailers: [],
      complete: false,
    };
    const what = script.take(sideOf(stream.session?.socket.localAddress), received);
    const later = (): void => {
      if (what.answer.delayMs === 0) play(stream, what, application, received.method);
      else setTimeout(() => play(stream, what, application, received.method), what.answer.delayMs);
    };
    if (what.answer.early) later();
    // RFC 9110 section 10.1.1: who waits for the body says so.
    else if (fieldOf(received.fields, 'expect') !== undefined) stream.additionalHeaders({ ':status': 100 });
    stream.on('data', (chunk: Buffer) => {
      received.body += chunk.toString('latin1');
    });
    stream.on('trailers', (_trailers, _flags, rawTrailers: readonly string[]) => {
      received.trailers = fieldPairs(rawTrailers);
    });
    stream.once('end', () => {
      received.complete = true;
      if (!what.answer.early) later();
    });
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) stream.resume();
  });
  return server;
}
