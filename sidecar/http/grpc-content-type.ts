const GRPC = 'application/grpc';

/**
 * Whether a message is gRPC over HTTP/2 (gRPC over HTTP/2, Content-Type): `application/grpc`, alone or with a message
 * format (`+proto`) or parameters. gRPC-Web (`application/grpc-web`) has its trailers in the body and is plain HTTP here.
 */
export function isGrpc(contentType: string | undefined): boolean {
  if (contentType === undefined || contentType.length < GRPC.length) return false;
  if (!contentType.startsWith(GRPC) && contentType.slice(0, GRPC.length).toLowerCase() !== GRPC) return false;
  if (contentType.length === GRPC.length) return true;
  const next = contentType[GRPC.length];
  return next === '+' || next === ';' || next === ' ' || next === '\t';
}
