import { STATUS_CODES } from 'node:http';
import {
  type DirectResponseAction,
  type HeaderMutation,
  noMutation,
  type RedirectAction,
  type RouteMatch,
} from '@weft/policies/model/route';
import type { ProxyError, ResponseFlag } from '../http/errors.ts';
import { codeOfError, codeOfReply } from '../http/grpc-status.ts';
import { Headers } from '../http/headers.ts';
import { redirectLocation } from '../route/rewrite.ts';
import type { RequestContext } from './context.ts';
import type { LocalReply as FilterReply } from './filter.ts';
import { changeResponse } from './forward.ts';
import { encodeGrpcMessage, statusDetails } from './grpc/details.ts';
import type { HeaderFormats } from './header-formats.ts';
import type { LocalReplies, LocalReply } from './local-replies.ts';

const noBytes = Buffer.alloc(0);

/** RFC 9110 sections 15.3.5 and 15.4.5. */
const mayHaveBody = (status: number): boolean => status !== 204 && status !== 304;

/** Status, message and details of an error of our own, for a head or for trailers. */
function addGrpcStatus(headers: Headers, code: number, detail: string, flag: ResponseFlag | ''): void {
  headers.append('grpc-status', String(code));
  if (detail === '') return;
  headers.append('grpc-message', encodeGrpcMessage(detail));
  headers.append('grpc-status-details-bin', statusDetails(code, detail, flag));
}

/** What the record says of a failure; `refused`: the bound that kept a retry from being made. */
export function explain(context: RequestContext, error: ProxyError, refused: string): void {
  context.flag = refused === '' ? error.flag : 'URX';
  context.detail = refused === '' ? error.detail : `${refused}; last: ${error.detail}`;
}

interface OwnAnswer {
  readonly status: number;
  readonly body: string;
  /** Undefined: it has none. */
  readonly location: string | undefined;
}

/** What a route answers itself. */
export function ownAnswer(
  action: DirectResponseAction | RedirectAction,
  match: RouteMatch['path'],
  { head, connection }: RequestContext,
): OwnAnswer {
  const { status } = action;
  return action.kind === 'direct'
    ? { status, body: action.body, location: undefined }
    : { status, body: '', location: redirectLocation(action, match, head, connection.destinationPort) };
}

/** A gRPC client that can read all that it got so far is told why there is no more; anybody else by a reset. */
export function breakOff(context: RequestContext, error: ProxyError): void {
  const { exchange, call } = context;
  if (call?.takesStatus !== true) {
    exchange.reset(error);
    return;
  }
  context.grpcStatus = codeOfError(error);
  const trailers = new Headers();
  addGrpcStatus(trailers, context.grpcStatus, error.detail, context.flag);
  exchange.trailers(trailers);
}

/** How a connection manager wants responses of our own. */
interface ReplyRules {
  readonly headerFormats: HeaderFormats;
  /** Undefined: they are sent as they are. */
  readonly localReplies: LocalReplies | undefined;
}

function changeHeaders(
  formats: HeaderFormats,
  context: RequestContext,
  status: number,
  headers: Headers,
  mutation: HeaderMutation,
): void {
  const { matched, matchedCluster } = context;
  context.status = status;
  if (matched !== undefined) changeResponse(formats, context, headers, matched, matchedCluster);
  formats.apply(context, headers, mutation);
}

/**
 * A response of our own, with the header changes of the route that asked for it, and those of the connection manager. A
 * gRPC client gets its status in trailers-only form, since it reads no other.
 */
export function reply(
  rules: ReplyRules,
  context: RequestContext,
  status: number,
  body: string,
  location?: string,
  mutation: HeaderMutation = noMutation,
): void {
  context.localReply = true;
  const { localReplies: replies, headerFormats: formats } = rules;
  if (replies !== undefined) {
    const text = context.grpc ? body.trimEnd() : body;
    const answer = { status, body: text, contentType: 'text/plain' };
    replyRewritten(formats, context, replies, answer, location, mutation);
    return;
  }
  const headers = new Headers();
  context.responseHeaders = headers;
  if (context.grpc && status >= 400) {
    addGrpcFailure(context, status, context.flag, body.trimEnd(), headers);
    changeHeaders(formats, context, status, headers, mutation);
    send(formats, context, 200, headers, noBytes);
    return;
  }
  if (location !== undefined) headers.append('Location', location);
  const bytes = Buffer.from(body);
  if (bytes.length > 0) headers.append('Content-Type', 'text/plain');
  changeHeaders(formats, context, status, headers, mutation);
  send(formats, context, status, headers, bytes);
}

export function replyOfFilter(rules: ReplyRules, context: RequestContext, answer: FilterReply): void {
  const { status, body, headers: mutation } = answer;
  if (answer.complete !== true) {
    reply(rules, context, status, body, undefined, mutation);
    return;
  }
  context.localReply = true;
  const headers = new Headers();
  context.responseHeaders = headers;
  context.status = status;
  rules.headerFormats.apply(context, headers, mutation);
  send(rules.headerFormats, context, status, headers, Buffer.from(body));
}

function addGrpcFailure(
  context: RequestContext,
  status: number,
  flag: ResponseFlag | '',
  body: string,
  headers: Headers,
): void {
  context.grpcStatus = codeOfReply(status, flag);
  headers.append('content-type', 'application/grpc');
  addGrpcStatus(headers, context.grpcStatus, body, context.flag);
}

function send(formats: HeaderFormats, context: RequestContext, status: number, headers: Headers, bytes: Buffer): void {
  const { exchange, head } = context;
  context.status = status;
  formats.applyFilters(context, headers);
  const noBody = bytes.length === 0 || head.method === 'HEAD';
  const answer = { status, reason: STATUS_CODES[status] ?? '', headers, contentLength: bytes.length };
  context.ownReplies?.onResponse(context, answer);
  exchange.respond(answer, noBody);
  if (noBody) return;
  context.responseBodyBytes = bytes.length;
  exchange.write(bytes, true);
}

/** In Envoy's order: the route's fields are there when a mapper looks, and a type that it adds is that of the body. */
function replyRewritten(
  formats: HeaderFormats,
  context: RequestContext,
  replies: LocalReplies,
  answer: LocalReply,
  location: string | undefined,
  mutation: HeaderMutation,
): void {
  const headers = new Headers();
  context.responseHeaders = headers;
  if (location !== undefined) headers.append('Location', location);
  const { status } = answer;
  changeHeaders(formats, context, status, headers, mutation);
  replies.rewrite(formats, context, answer, headers);
  if (context.grpc && status >= 400) {
    headers.remove('content-type');
    // The code tells of the failure; where another status was chosen it tells of that.
    const flag = answer.status === status ? context.flag : '';
    addGrpcFailure(context, answer.status, flag, answer.body, headers);
    send(formats, context, 200, headers, noBytes);
    return;
  }
  const bytes = mayHaveBody(answer.status) ? Buffer.from(answer.body) : noBytes;
  if (bytes.length > 0 && !headers.has('content-type')) headers.append('Content-Type', answer.contentType);
  send(formats, context, answer.status, headers, bytes);
}
