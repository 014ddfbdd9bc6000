import { STATUS_CODES } from 'node:http';
import { type HeaderMutation, noMutation } from '@weft/policies/model/route';
import { Headers } from '../http/headers.ts';
import { applyMutation } from '../route/mutation.ts';
import type { RequestContext } from './context.ts';

/** gRPC's own mapping of HTTP statuses to its codes (grpc/doc/http-grpc-status-mapping). */
function grpcStatusOf(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

/** gRPC over HTTP/2, section Responses: the message is percent-encoded. */
function grpcMessage(text: string): string {
  return encodeURIComponent(text).replaceAll('%20', ' ');
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
  if (context.grpc && status >= 400) {
    context.status = 200;
    context.grpcStatus = grpcStatusOf(status);
    headers.append('content-type', 'application/grpc');
    headers.append('grpc-status', String(context.grpcStatus));
    headers.append('grpc-message', grpcMessage(body));
    exchange.respond({ status: 200, reason: 'OK', headers, contentLength: 0 }, true);
    return;
  }
  context.status = status;
  if (location !== undefined) headers.append('Location', location);
  const bytes = Buffer.from(body);
  if (bytes.length > 0) headers.append('Content-Type', 'text/plain');
  applyMutation(headers, mutation);
  const noBody = bytes.length === 0 || head.method === 'HEAD';
  exchange.respond({ status, reason: STATUS_CODES[status] ?? '', headers, contentLength: bytes.length }, noBody);
  if (!noBody) exchange.write(bytes, true);
}

/** Of a gRPC response: in its head when there is no body, else in its trailers. */
export function readGrpcStatus(context: RequestContext, headers: Headers): void {
  const text = headers.get('grpc-status');
  if (text === undefined) return;
  const code = Number(text);
  context.grpcStatus = Number.isInteger(code) && code >= 0 ? code : 2;
}
