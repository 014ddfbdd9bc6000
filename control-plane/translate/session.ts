/** Session persistence of rules (GEP-1619). */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import { isOfTheCodec } from '@weft/policies/kit/field-names';
import { type RouteFilter as FilterSetting, SESSION_FILTER } from '@weft/policies/model/route-filter';
import type { SessionPersistence } from '@weft/policies/model/session';
import type { HttpRule } from './rules.ts';

type Persistence = NonNullable<HttpRule['sessionPersistence']>;

/** `rule`: `<namespace>/<route>/<rule>`, which a cookie without a name of its own is named after. */
export function sessionSetting(persistence: Persistence | undefined, rule: string): FilterSetting[] {
  if (persistence === undefined) return [];
  return [{ kind: 'session', name: SESSION_FILTER, session: sessionOf(persistence, rule) }];
}

function sessionOf({ absoluteTimeout, cookie, header }: Persistence, rule: string): SessionPersistence {
  const timeoutMs = absoluteTimeout === undefined ? 0 : acceptedDurationMs(absoluteTimeout);
  if (header !== undefined) return { kind: 'header', name: header.name, timeoutMs, strict: false };
  const permanent = cookie?.lifetimeType === 'Permanent';
  return {
    kind: 'cookie',
    name: cookie?.name ?? `weft-session-${hashOf(rule)}`,
    path: cookie?.path ?? '/',
    // Cookies count seconds (RFC 6265 section 5.2.2).
    ttlMs: permanent ? Math.ceil(timeoutMs / 1000) * 1000 : 0,
    timeoutMs: permanent ? 0 : timeoutMs,
    strict: false,
  };
}

/** FNV-1a: the same for every control plane, and no secret. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}

/** RFC 6265 section 4.1.1, path-value. */
const COOKIE_PATH = /^[\x20-\x3a\x3c-\x7e]*$/;

/** What no sidecar would take, by field. */
export function unusableSession(persistence: Persistence | undefined): string | undefined {
  const name = persistence?.header?.name;
  if (name !== undefined && isOfTheCodec(name)) return `sessionPersistence.header.name: ${name} is set by the proxy`;
  const path = persistence?.cookie?.path;
  if (path !== undefined && !COOKIE_PATH.test(path))
    return 'sessionPersistence.cookie.path is not the path of a cookie';
  return undefined;
}
