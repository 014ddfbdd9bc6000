import type { ProxyError } from '../errors.ts';
import type { ResponseHead } from '../exchange.ts';
import { isGrpc } from '../grpc-content-type.ts';
import { codeOfError } from '../grpc-status.ts';
import { Headers } from '../headers.ts';

/** The answer to a request that no dispatcher sees. */
export interface Refusal {
  readonly head: ResponseHead;
  readonly content: Buffer;
  /** -1: it is no call of gRPC. */
  readonly grpcStatus: number;
}

/** `asked`: fields of the request as far as they could be read. A call of gRPC gets a status in trailers-only form. */
export function refusalOf(error: ProxyError, asked: Headers): Refusal {
  const { status, detail } = error;
  // The others are answers to a well-formed message; after this one the stream is reset.
  const complete = status !== 400;
  if (complete && isGrpc(asked.get('content-type'))) {
    const grpcStatus = codeOfError(error);
    const fields = ['content-type', 'application/grpc', 'grpc-status', `${grpcStatus}`, 'grpc-message', detail];
    const head = { status: 200, reason: '', headers: Headers.from(fields), contentLength: 0 };
    return { head, content: Buffer.alloc(0), grpcStatus };
  }
  const content = complete ? Buffer.from(`${detail}\n`, 'latin1') : Buffer.alloc(0);
  const headers = Headers.from(['content-type', 'text/plain']);
  const contentLength = complete ? content.length : -1;
  return { head: { status, reason: '', headers, contentLength }, content, grpcStatus: -1 };
}
