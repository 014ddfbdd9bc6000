/** Strings of a known form that several kinds use. Patterns must mean the same in RE2, where the API server runs them. */
import type { z } from 'zod';
import { isIP } from '../kit/ip.ts';
import { acceptedDurationMs, durationPattern } from './duration.ts';
import { integer, text, withRules } from './schema.ts';

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;

/** RFC 1123 label: namespaces and Services. */
export const dnsLabel = (): z.ZodString =>
  text(new RegExp(`^${label}$`), 'a lowercase RFC 1123 label such as `shop`', { min: 1, max: 63 });

/** RFC 1123 subdomain: most object names. */
export const dnsSubdomain = (): z.ZodString =>
  text(new RegExp(`^${subdomain}$`), 'a lowercase RFC 1123 subdomain such as `cart.v2`', { min: 1, max: 253 });

/** An API group; empty for the core group. */
export const apiGroup = (): z.ZodString =>
  text(new RegExp(`^$|^${subdomain}$`), 'an API group such as `weft.dev`, or empty for the core group', { max: 253 });

export const kindName = (): z.ZodString =>
  text(/^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/, 'a kind such as `Service`', { min: 1, max: 63 });

/** RFC 3986 host without a port, no wildcard. */
export const preciseHostname = (): z.ZodString =>
  text(new RegExp(`^${subdomain}$`), 'a lowercase hostname such as `shop.example.com`', { min: 1, max: 253 });

export const hostname = (): z.ZodString =>
  text(new RegExp(`^(\\*\\.)?${subdomain}$`), 'a lowercase hostname, `*.` may stand in front', { min: 1, max: 253 });

/** RFC 9110 section 5.6.2, `token`. */
export const headerName = (): z.ZodString =>
  text(/^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$/, 'an HTTP header name', { min: 1, max: 256 });

/** What a codec takes out of a request for itself, so that nothing that looks at its fields sees them (RFC 9110 section 7.6.1). */
const taken = [
  'connection',
  'content-length',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
];

/** The name of a field that a request is told by. */
export const requestHeaderName = (): z.ZodString =>
  withRules(headerName(), [
    {
      cel: `!(self.lowerAscii() in [${taken.map((name) => `'${name}'`).join(', ')}])`,
      message:
        'such a header is of one connection and gone before requests are matched, so that it would never match; choose one that the caller sends for the application',
      check: (value) => !taken.includes(value.toLowerCase()),
    },
  ]);

/** The part after the slash is a prefix length of the family of the part before it (RFC 4632, RFC 4291). */
function isIpBlock(value: string): boolean {
  const slash = value.indexOf('/');
  const address = slash < 0 ? value : value.slice(0, slash);
  const family = isIP(address);
  if (family === 0) return false;
  if (slash < 0) return true;
  const length = value.slice(slash + 1);
  return /^(0|[1-9][0-9]{0,2})$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
}

// CEL can parse addresses from Kubernetes 1.31 on; the pattern is what older API servers can check.
export const ipBlock = (): z.ZodString =>
  withRules(text(/^[0-9a-fA-F:.]+(\/[0-9]{1,3})?$/, 'an address or a CIDR block', { min: 2, max: 49 }), [
    { message: 'must be an address or a CIDR block such as `10.0.0.0/8` or `fd00::/8`', check: isIpBlock },
  ]);

export const port = (): z.ZodInt => integer(1, 65_535);

export const duration = (): z.ZodString =>
  text(durationPattern, 'a duration such as `250ms`, `10s` or `1h30m`', { min: 2, max: 32 });

/** A duration within limits, both included. */
export function durationBetween(min: string, max: string): z.ZodString {
  const [minMs, maxMs] = [acceptedDurationMs(min), acceptedDurationMs(max)];
  return withRules(duration(), [
    {
      cel: `duration(self) >= duration('${min}') && duration(self) <= duration('${max}')`,
      message: `must be between ${min} and ${max}`,
      check: (value) => acceptedDurationMs(value) >= minMs && acceptedDurationMs(value) <= maxMs,
    },
  ]);
}

/** RFC 9110 section 9 methods that routing can name. */
export const httpMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const;
