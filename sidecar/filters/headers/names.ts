import { FORWARDED_FIELDS, fieldSubject } from '@weft/policies/model/reserved-headers';

export const CLIENT_CERT = 'x-forwarded-client-cert';
const FORWARDED: ReadonlySet<string> = new Set(FORWARDED_FIELDS);
/** Proxies tell with such names what they like, `X-Forwarded-User` and `X-Forwarded-Ssl` among it. */
const FORWARDED_PREFIX = 'x-forwarded-';

/** What CGI-like applications take for the one of a certificate goes for it. */
export const isClientCert = (lower: string): boolean =>
  lower.length === CLIENT_CERT.length && fieldSubject(lower) === CLIENT_CERT;

/** Most fields of a request begin otherwise. */
const INITIALS: ReadonlySet<number> = new Set([FORWARDED_PREFIX, ...FORWARDED].map((name) => name.charCodeAt(0)));

/** Of a certificate, or of who forwarded the request. */
export const isForwarded = (lower: string): boolean => {
  if (!INITIALS.has(lower.charCodeAt(0))) return false;
  const about = fieldSubject(lower);
  return about.startsWith(FORWARDED_PREFIX) || FORWARDED.has(about);
};

/** Not kept of a client from outside: neither about a certificate nor about who forwarded the request. */
export const isClaim = (lower: string): boolean => isForwarded(lower) && !isClientCert(lower);
