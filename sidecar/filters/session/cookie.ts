import type { SessionPersistence } from '@weft/policies/model/session';
import type { Headers } from '../../http/headers.ts';

type CookieSession = Extract<SessionPersistence, { readonly kind: 'cookie' }>;

/** RFC 6265 section 5.4; quotes around the value are not part of it. */
export function cookieIn(headers: Headers, name: string): string | undefined {
  for (let i = 0; i < headers.length; i++) {
    if (headers.lowerAt(i) !== 'cookie') continue;
    for (const pair of headers.valueAt(i).split(';')) {
      const equals = pair.indexOf('=');
      if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
      const value = pair.slice(equals + 1).trim();
      return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
  }
  return undefined;
}

/** RFC 6265 section 5.1.4, as Envoy. */
export function cookieCovers({ path }: CookieSession, target: string): boolean {
  if (path === '' || path === '/') return true;
  if (!target.startsWith(path)) return false;
  if (path.endsWith('/') || target.length === path.length) return true;
  const next = target.charAt(path.length);
  return next === '/' || next === '?' || next === '#';
}

export function setCookie({ name, path, ttlMs }: CookieSession, value: string): string {
  const age = ttlMs > 0 ? `; Max-Age=${Math.floor(ttlMs / 1000)}` : '';
  return `${name}="${value}"${age}${path === '' ? '' : `; Path=${path}`}; HttpOnly`;
}
