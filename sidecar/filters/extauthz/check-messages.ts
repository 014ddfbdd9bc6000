/** `envoy.service.auth.v3`: what is asked, and what is answered. */
import { isUtf8 } from 'node:buffer';
import type { HeaderValue } from '@weft/policies/model/route';
import { fieldsOf, MessageWriter } from '../../grpc/protobuf.ts';
import type { RequestContext } from '../context.ts';
import { isField, isNotItsOwn, type Judgement, type Permission, type ResponseChange } from './judgement.ts';

export interface CheckedBody {
  readonly bytes: Buffer;
  readonly partial: boolean;
  readonly raw: boolean;
}

/** Fields as the authorizer is shown them: those of one name together, as Envoy does. */
export type ShownHeaders = ReadonlyMap<string, string>;

const protocols = { 10: 'HTTP/1.0', 11: 'HTTP/1.1', 20: 'HTTP/2' } as const;

/** `identity`: of the workload that is called; empty: unknown. */
export function encodeCheckRequest(
  context: RequestContext,
  headers: ShownHeaders,
  body: CheckedBody | undefined,
  identity: string,
): Buffer {
  const { connection, head } = context;
  const source = peer(connection.remoteIp, connection.remotePort, connection.peer?.spiffeId ?? '');
  const destination = peer(connection.destinationIp, connection.destinationPort, identity);
  const http = new MessageWriter().text(1, context.requestId).text(2, head.method);
  for (const [name, value] of headers) http.message(3, headerEntry(name, value));
  http
    .bytes(4, octets(head.path))
    .bytes(5, octets(head.authority))
    .text(6, head.scheme)
    .text(10, protocols[head.version]);
  if (head.contentLength > 0) http.number(9, head.contentLength);
  if (body !== undefined) {
    if (body.raw) http.bytes(12, body.bytes);
    else http.bytes(11, asText(body.bytes));
  }
  const seconds = Math.floor(context.startUnixMs / 1_000);
  const time = new MessageWriter().number(1, seconds).number(2, Math.round((context.startUnixMs % 1_000) * 1_000_000));
  const attributes = new MessageWriter()
    .message(1, source)
    .message(2, destination)
    .message(4, new MessageWriter().message(1, time).message(2, http));
  return new MessageWriter().message(1, attributes).finish();
}

function peer(ip: string, port: number, principal: string): MessageWriter {
  const socket = new MessageWriter().text(2, ip).number(3, port);
  return new MessageWriter().message(1, new MessageWriter().message(1, socket)).text(4, principal);
}

const headerEntry = (name: string, value: string): MessageWriter =>
  new MessageWriter().text(1, name).bytes(2, octets(value));

/** Text of a message is UTF-8, fields of HTTP are octets: what is none becomes `!`, as in Envoy. */
const octets = (text: string): Buffer => asText(Buffer.from(text, 'latin1'));

function asText(bytes: Buffer): Buffer {
  if (isUtf8(bytes)) return bytes;
  return Buffer.from(bytes.map((byte) => (byte < 0x80 ? byte : 0x21)));
}

/** Envoy's HeaderValueOption; `append` is undefined where it is not said. */
interface Option extends HeaderValue {
  readonly append: boolean | undefined;
  readonly action: number;
}

const ADD_IF_ABSENT = 1;
const OVERWRITE_IF_EXISTS_OR_ADD = 2;
const OVERWRITE_IF_EXISTS = 3;
const FORBIDDEN = 403;

export function decodeCheckResponse(bytes: Buffer): Judgement {
  try {
    return judge(bytes);
  } catch (error) {
    return { kind: 'failed', detail: `an answer that cannot be read: ${(error as Error).message}` };
  }
}

function judge(bytes: Buffer): Judgement {
  let code = 0;
  let ok: Buffer | undefined;
  let denied: Buffer | undefined;
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === 'number') continue;
    if (number === 1) code = numberIn(value, 1);
    else if (number === 2) denied = value;
    else if (number === 3) ok = value;
  }
  return code === 0 ? allowed(ok) : refused(denied);
}

function allowed(bytes: Buffer | undefined): Judgement {
  const lists = { set: [], append: [], addIfAbsent: [], querySet: [], response: [] } as {
    readonly [K in 'set' | 'append' | 'addIfAbsent' | 'querySet']: HeaderValue[];
  } & { readonly response: ResponseChange[] };
  const remove: string[] = [];
  const queryRemove: string[] = [];
  let ignored = 0;
  for (const { number, value } of bytes === undefined ? [] : fieldsOf(bytes)) {
    if (typeof value === 'number') continue;
    if (number === 2 || number === 6) {
      const option = optionOf(value);
      if (isNotItsOwn(option.name)) ignored++;
      else if (!isField(option)) return badField(option.name);
      else if (number === 6) lists.response.push(responseChange(option));
      else lists[requestChange(option)].push(option);
    } else if (number === 5) {
      const name = value.toString('latin1');
      if (isNotItsOwn(name)) ignored++;
      else remove.push(name);
    } else if (number === 7) lists.querySet.push(pairOf(value, 'utf8'));
    else if (number === 8) queryRemove.push(value.toString());
  }
  const permission: Permission = { kind: 'allowed', ...lists, remove, queryRemove, ignored };
  return permission;
}

const badField = (name: string): Judgement => ({
  kind: 'malformed',
  detail: `the authorizer's field ${JSON.stringify(name.slice(0, 64))} is none of HTTP (RFC 9110 section 5)`,
});

function requestChange({ append, action }: Option): 'set' | 'append' | 'addIfAbsent' {
  if (append === true) return 'append';
  return append === undefined && action === ADD_IF_ABSENT ? 'addIfAbsent' : 'set';
}

function responseChange({ name, value, append, action }: Option): ResponseChange {
  if (append !== undefined) return { name, value, action: append ? 'add' : 'set' };
  switch (action) {
    case ADD_IF_ABSENT:
      return { name, value, action: 'addIfAbsent' };
    case OVERWRITE_IF_EXISTS_OR_ADD:
      return { name, value, action: 'set' };
    case OVERWRITE_IF_EXISTS:
      return { name, value, action: 'overwriteIfExists' };
    default:
      return { name, value, action: 'add' };
  }
}

function refused(bytes: Buffer | undefined): Judgement {
  let status = FORBIDDEN;
  let body = '';
  const set: HeaderValue[] = [];
  const add: HeaderValue[] = [];
  for (const { number, value } of bytes === undefined ? [] : fieldsOf(bytes)) {
    if (typeof value === 'number') continue;
    if (number === 1) status = numberIn(value, 1) || FORBIDDEN;
    else if (number === 3) body = value.toString();
    else if (number === 2) {
      const option = optionOf(value);
      if (isNotItsOwn(option.name)) continue;
      if (!isField(option)) return badField(option.name);
      (option.append === true ? add : set).push(option);
    }
  }
  // What is no final status would not end the exchange.
  if (status < 200 || status > 599) return { kind: 'failed', detail: `status ${status} ends no request` };
  return { kind: 'denied', status, set, add, body };
}

function numberIn(bytes: Buffer, field: number): number {
  let found = 0;
  for (const { number, value } of fieldsOf(bytes)) if (number === field && typeof value === 'number') found = value;
  return found;
}

function pairOf(bytes: Buffer, encoding: 'latin1' | 'utf8'): HeaderValue {
  let name = '';
  let text = '';
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === 'number') continue;
    if (number === 1) name = value.toString(encoding);
    // `raw_value` stands for what is no text.
    else if (number === 2 || number === 3) text = value.toString(encoding);
  }
  return { name, value: text };
}

function optionOf(bytes: Buffer): Option {
  let pair: HeaderValue = { name: '', value: '' };
  let append: boolean | undefined;
  let action = 0;
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value === 'number') {
      if (number === 3) action = value;
    } else if (number === 1) pair = pairOf(value, 'latin1');
    else if (number === 2) append = numberIn(value, 1) === 1;
  }
  return { ...pair, append, action };
}
