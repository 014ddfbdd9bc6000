import type { SpanRecord } from './span-ring.ts';

/** OpenTelemetry's semantic conventions for HTTP and RPC spans, as far as the path knows them. */
interface DescribedSpan {
  readonly name: string;
  readonly error: boolean;
  readonly attributes: Readonly<Record<string, string | number>>;
}

// RFC 9110 section 9 and RFC 5789; the conventions write any other method as _OTHER, since clients invent them.
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

/** Names of gRPC's status codes, by number. */
const GRPC_STATUS = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** The codes that are the server's fault (conventions for gRPC, span status); any but OK is an error to a client. */
const GRPC_SERVER_ERRORS = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

const grpcStatusName = (code: number): string => GRPC_STATUS[code] ?? String(code);

/** `host:port`, `[v6]:port` or a host alone. */
function hostAndPort(text: string): { readonly host: string; readonly port: number | undefined } {
  const match = /^(.*):(\d{1,5})$/.exec(text);
  const bracketless = (host: string): string => (host.startsWith('[') ? host.slice(1, -1) : host);
  if (match === null || (text.includes('::') && !text.startsWith('['))) {
    return { host: bracketless(text), port: undefined };
  }
  return { host: bracketless(match[1] ?? ''), port: Number(match[2]) };
}

/** A server's 4xx is not its error, a client's is (conventions for HTTP, span status). */
function isError(span: SpanRecord): boolean {
  const inbound = span.direction === 'inbound';
  if (span.status === 0) return span.flag !== '';
  if (span.status >= 500 || (span.status >= 400 && !inbound)) return true;
  if (span.protocol !== 'grpc' || span.grpcStatus <= 0) return false;
  return !inbound || GRPC_SERVER_ERRORS.has(grpcStatusName(span.grpcStatus));
}

function addAddress(attributes: Record<string, string | number>, prefix: string, text: string): void {
  if (text === '') return;
  const { host, port } = hostAndPort(text);
  attributes[`${prefix}.address`] = host;
  if (port !== undefined) attributes[`${prefix}.port`] = port;
}

function addHttp(attributes: Record<string, string | number>, span: SpanRecord, path: string): void {
  const query = span.path.length > path.length ? span.path.slice(path.length + 1) : '';
  attributes['http.request.method'] = METHODS.has(span.method) ? span.method : '_OTHER';
  if (!METHODS.has(span.method)) attributes['http.request.method_original'] = span.method;
  attributes['url.path'] = path;
  if (query !== '') attributes['url.query'] = query;
  if (span.status !== 0) attributes['http.response.status_code'] = span.status;
  if (span.attempts > 1) attributes['http.request.resend_count'] = span.attempts - 1;
}

function errorType(span: SpanRecord): string {
  if (span.protocol === 'grpc' && span.grpcStatus > 0) return grpcStatusName(span.grpcStatus);
  return span.status === 0 ? span.flag : String(span.status);
}

export function describeSpan(span: SpanRecord): DescribedSpan {
  const queryAt = span.path.indexOf('?');
  const path = queryAt < 0 ? span.path : span.path.slice(0, queryAt);
  const attributes: Record<string, string | number> = {};
  let name = 'tcp';
  if (span.protocol !== 'tcp') {
    addHttp(attributes, span, path);
    name = METHODS.has(span.method) ? span.method : 'HTTP';
  }
  if (span.protocol === 'grpc') {
    name = path.slice(1);
    attributes['rpc.system.name'] = 'grpc';
    attributes['rpc.method'] = name;
    if (span.grpcStatus >= 0) attributes['rpc.response.status_code'] = grpcStatusName(span.grpcStatus);
  }
  addAddress(attributes, 'server', span.authority);
  addAddress(attributes, 'network.peer', span.direction === 'inbound' ? span.remote : span.upstream);
  if (span.destinationService !== '') attributes['weft.destination_service'] = span.destinationService;
  if (span.requestId !== '') attributes['weft.request_id'] = span.requestId;
  if (span.route !== '') attributes['weft.route'] = span.route;
  if (span.flag !== '') attributes['weft.response_flags'] = span.flag;
  if (span.source !== '') attributes['weft.source_principal'] = span.source;
  const error = isError(span);
  if (error) attributes['error.type'] = errorType(span);
  return { name, error, attributes };
}
