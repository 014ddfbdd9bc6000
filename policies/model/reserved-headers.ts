import { isOfTheCodec } from '../kit/field-names.ts';

/** Fields that an authorizer sets for the application: whoever else sends them is not believed. */
export interface ReservedHeaders {
  /** Lower case, with hyphens: `x_user` is meant by `x-user` too. */
  readonly names: readonly string[];
  /** Beginnings of names. */
  readonly prefixes: readonly string[];
}

/** CGI, WSGI and their like take `X_User` for `X-User` (RFC 3875 section 4.1.18). */
export const fieldSubject = (lower: string): string => (lower.includes('_') ? lower.replaceAll('_', '-') : lower);

/** What proxies say of those who forwarded the request. */
export const FORWARDED_FIELDS = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-real-ip',
] as const;

/**
 * What clients, and proxies that are believed, say of themselves: credentials that the application checks, content, and
 * what the sidecar has settled by then. A prefix such as `x-forwarded-` must not take these.
 */
const OF_CLIENTS: ReadonlySet<string> = new Set([
  ...FORWARDED_FIELDS,
  'authorization',
  'b3',
  'cookie',
  'date',
  'expect',
  'from',
  'grpc-timeout',
  'max-forwards',
  'origin',
  'pragma',
  'proxy-authorization',
  'range',
  'referer',
  'traceparent',
  'tracestate',
  'user-agent',
  'via',
  'weft-deadline',
  'x-forwarded-client-cert',
  'x-request-id',
]);
const FAMILIES_OF_CLIENTS = /^(?:accept|access-control-request-|cache-|content-|if-|sec-|x-b3-)/;

/** `subject`: lower case, with hyphens. */
export const isOfClients = (subject: string): boolean =>
  OF_CLIENTS.has(subject) || isOfTheCodec(subject) || FAMILIES_OF_CLIENTS.test(subject);
