/** What of a request decides about its endpoint, where a cluster picks by hash; as Envoy's RouteAction.HashPolicy. */
import type { HashKey } from '@weft/policies/model/balancer';
import { Hash64, xxHash64 } from '../cluster/picker/hash/xxhash64.ts';
import type { ResponseHead } from '../http/exchange.ts';
import { pseudoField, pseudoNameOf } from '../route/fields.ts';
import { pathLength } from '../route/path.ts';
import { rawQueryParameter } from '../route/query.ts';
import type { RequestContext } from './context.ts';

const value = new Hash64();

/** Sets the hash of the request, none if no key has a value; and the cookie that one of them asks for. */
export function hashRequest(keys: readonly HashKey[], context: RequestContext): void {
  let hash: Hash64 | undefined;
  for (const key of keys) {
    if (hashKey(key, context)) {
      if (hash === undefined) {
        hash = new Hash64();
        hash.set(value.hi, value.lo);
      } else {
        // Rotated by a bit, or two equal values would cancel each other out.
        const { hi, lo } = hash;
        hash.set(((hi << 1) | (lo >>> 31)) ^ value.hi, ((lo << 1) | (hi >>> 31)) ^ value.lo);
      }
    }
    if (key.terminal && hash !== undefined) break;
  }
  context.hash = hash;
}

/** False: the request has no such value. */
function hashKey(key: HashKey, context: RequestContext): boolean {
  const { head, connection } = context;
  switch (key.kind) {
    case 'header':
      return hashFields(key.name, context);
    case 'cookie': {
      const cookie = cookieOf(context, key.name) ?? madeCookie(key, context);
      if (cookie === undefined) return false;
      xxHash64(cookie, value);
      return true;
    }
    case 'query': {
      const parameter = rawQueryParameter(head.path, pathLength(head.path), key.name);
      if (parameter === undefined) return false;
      xxHash64(parameter, value);
      return true;
    }
    case 'source-ip':
      xxHash64(connection.remoteIp, value);
      return true;
  }
}

/** All lines of a field, in the order of their values, each hashed with the hash of the one before as the seed. */
function hashFields(name: string, { head }: RequestContext): boolean {
  const pseudo = pseudoNameOf(name);
  if (pseudo !== undefined) {
    const text = pseudoField(head, pseudo);
    if (text === undefined) return false;
    xxHash64(text, value);
    return true;
  }
  const first = head.headers.get(name);
  if (first === undefined) return false;
  const all = head.headers.getAll(name);
  if (all.length > 1) all.sort();
  value.set(0, 0);
  for (const text of all) xxHash64(text, value, value.hi, value.lo);
  return true;
}

/** Value of the first cookie of that name that has one (RFC 6265 section 5.4), without quotes around it. */
function cookieOf({ head }: RequestContext, name: string): string | undefined {
  if (head.headers.get('cookie') === undefined) return undefined;
  for (const line of head.headers.getAll('cookie')) {
    for (const pair of line.split(';')) {
      const equals = pair.indexOf('=');
      if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
      const text = pair.slice(equals + 1).trim();
      const bare = text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
      return bare === '' ? undefined : bare;
    }
  }
  return undefined;
}

/** The same for all requests of a connection, which may be under way before the client has got its cookie. */
function madeCookie(key: Extract<HashKey, { readonly kind: 'cookie' }>, context: RequestContext): string | undefined {
  if (key.ttlMs === undefined) return undefined;
  xxHash64(`${context.facts.remote}${context.facts.destination}`, value);
  const made = value.toString();
  const age = key.ttlMs === 0 ? '' : `; Max-Age=${Math.floor(key.ttlMs / 1_000)}`;
  const path = key.path === '' ? '' : `; Path=${key.path}`;
  context.hashCookie = `${key.name}="${made}"${age}${path}; HttpOnly`;
  return made;
}

/** So that the client's next requests go to the same endpoint. */
export function addHashCookie({ hashCookie }: RequestContext, head: ResponseHead): void {
  if (hashCookie !== '') head.headers.append('Set-Cookie', hashCookie);
}
