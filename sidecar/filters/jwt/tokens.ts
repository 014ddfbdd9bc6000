/** Where a request carries tokens, and how they are taken off it. */
import type { JwtLocation } from '@weft/policies/model/jwt';
import type { RequestHead } from '../../http/exchange.ts';
import { pathLength } from '../../route/path.ts';

/** More than any client sends; each has to be verified. */
export const TOKENS_MAX = 8;

export interface FoundToken {
  readonly text: string;
  /** Index of the place in the list that was searched. */
  readonly place: number;
}

/** Undefined: none, which is what most requests of services among themselves have. */
export function findTokens(head: RequestHead, places: readonly JwtLocation[]): FoundToken[] | undefined {
  let found: FoundToken[] | undefined;
  for (const [place, location] of places.entries()) {
    visit(head, location, (text) => {
      found ??= [];
      found.push({ text, place });
    });
  }
  return found;
}

/** All of them: an application may read another one than the first. */
function visit(head: RequestHead, location: JwtLocation, take: (text: string) => void): void {
  switch (location.kind) {
    case 'header': {
      const { headers } = head;
      for (let i = 0; i < headers.length; i++) {
        if (headers.lowerAt(i) !== location.name) continue;
        const value = headers.valueAt(i);
        // Names of schemes are the same in any case (RFC 9110 section 11.1).
        if (hasPrefix(value, location.prefix)) take(value.slice(location.prefix.length).trim());
      }
      return;
    }
    case 'query':
      for (const { name, value } of parameters(head.path)) if (name === location.name) take(value);
      return;
    case 'cookie':
      for (const line of head.headers.getAll('cookie')) {
        for (const pair of line.split(';')) {
          const { name, value } = cookieOf(pair);
          if (name === location.name) take(value);
        }
      }
  }
}

const hasPrefix = (value: string, prefix: string): boolean =>
  value.length >= prefix.length && value.slice(0, prefix.length).toLowerCase() === prefix.toLowerCase();

/** RFC 6265 section 5.4; quotes around the value are not part of it. */
function cookieOf(pair: string): { readonly name: string; readonly value: string } {
  const equals = pair.indexOf('=');
  if (equals < 0) return { name: '', value: '' };
  const value = pair.slice(equals + 1).trim();
  const quoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  return { name: pair.slice(0, equals).trim(), value: quoted ? value.slice(1, -1) : value };
}

function parameters(path: string): { readonly name: string; readonly value: string }[] {
  const start = pathLength(path);
  if (start >= path.length) return [];
  return path
    .slice(start + 1)
    .split('&')
    .map((part) => {
      const equals = part.indexOf('=');
      return equals < 0
        ? { name: decoded(part), value: '' }
        : { name: decoded(part.slice(0, equals)), value: decoded(part.slice(equals + 1)) };
    });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Every value of that place that may be a token; the rest stays. */
export function removeTokens(head: RequestHead, location: JwtLocation): void {
  switch (location.kind) {
    case 'header':
      removeHeader(head, location.name, location.prefix);
      return;
    case 'query':
      head.path = withoutParameter(head.path, location.name);
      return;
    case 'cookie':
      removeCookie(head, location.name);
  }
}

function removeHeader({ headers }: RequestHead, name: string, prefix: string): void {
  const kept = headers.getAll(name).filter((value) => !hasPrefix(value, prefix));
  headers.remove(name);
  for (const value of kept) headers.append(name, value);
}

export function withoutParameter(path: string, name: string): string {
  const start = pathLength(path);
  if (start >= path.length) return path;
  const parts = path.slice(start + 1).split('&');
  const kept = parts.filter((part) => decoded(part.split('=', 1)[0] ?? '') !== name);
  if (kept.length === parts.length) return path;
  return kept.length === 0 ? path.slice(0, start) : `${path.slice(0, start)}?${kept.join('&')}`;
}

function removeCookie({ headers }: RequestHead, name: string): void {
  const lines = headers.getAll('cookie');
  headers.remove('cookie');
  for (const line of lines) {
    const kept = line.split(';').filter((pair) => cookieOf(pair).name !== name);
    if (kept.length > 0) headers.append('cookie', kept.join(';').trim());
  }
}
