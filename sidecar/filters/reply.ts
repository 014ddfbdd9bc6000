import { STATUS_CODES } from 'node:http';
import { type HeaderMutation, noMutation } from '@weft/policies/model/route';
import type { ProxyError, ResponseFlag } from '../http/errors.ts';
import { codeOfError, codeOfReply } from '../http/grpc-status.ts';
import { Headers } from '../http/headers.ts';
import { applyMutation } from '../route/mutation.ts';
import type { RequestContext } from './context.ts';
import { encodeGrpcMessage, statusDetails } from './grpc/details.ts';

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

/** What a route adds to responses belongs to those that are made for want of one too, as in Envoy. */
function applyRoute(headers: Headers, { matched, matchedCluster }: RequestContext): void {
  if (matchedCluster !== undefined) applyMutation(headers, matchedCluster.responseHeaders);
  if (matched !== undefined) applyMutation(headers, matched.responseHeaders);
}

/**
 * A response of our own, with the header changes of the route that asked for it. A gRPC client gets its status in
 * trailers-only form, since it reads no other.
 */
export function reply(
  context: RequestContext,
  status: number,
  body: string,
  location?: string,
  mutation: HeaderMutation = noMutation,
): void {
  const { exchange, head } = context;
  const headers = new Headers();
  context.localReply = true;
  context.responseHeaders = headers;
  if (context.grpc && status >= 400) {
    context.status = 200;
    context.grpcStatus = codeOfReply(status, context.flag);
    headers.append('content-type', 'application/grpc');
    addGrpcStatus(headers, context.grpcStatus, body.trimEnd(), context.flag);
    applyMutation(headers, mutation);
    applyRoute(headers, context);
    const answer = { status: 200, reason: 'OK', headers, contentLength: 0 };
    context.ownReplies?.onResponse(context, answer);
    exchange.respond(answer, true);
    return;
  }
  context.status = status;
  if (location !== undefined) headers.append('Location', location);
  const bytes = Buffer.from(body);
  if (bytes.length > 0) headers.append('Content-Type', 'text/plain');
  applyMutation(headers, mutation);
  applyRoute(headers, context);
  const noBody = bytes.length === 0 || head.method === 'HEAD';
  const answer = { status, reason: STATUS_CODES[status] ?? '', headers, contentLength: bytes.length };
  context.ownReplies?.onResponse(context, answer);
  exchange.respond(answer, noBody);
  if (noBody) return;
  context.responseBodyBytes = bytes.length;
  exchange.write(bytes, true);
}
