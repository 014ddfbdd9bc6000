import { isMessage, type MessageInitShape } from '@bufbuild/protobuf';
import type { SessionPersistence } from '../model/session.ts';
import type { At } from './decoding.ts';
import type {
  StatefulSession as StatefulSessionMessage,
  StatefulSessionPerRoute,
  StatefulSessionPerRouteSchema,
  StatefulSessionSchema,
} from './gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.ts';
import { CookieBasedSessionStateSchema } from './gen/envoy/extensions/http/stateful_session/cookie/v3/cookie_pb.ts';
import { HeaderBasedSessionStateSchema } from './gen/envoy/extensions/http/stateful_session/header/v3/header_pb.ts';
import { decodeFieldName } from './header-mutation.ts';
import { packed } from './packed.ts';
import { AGE_MS_MAX, decodeDuration, encodeDuration } from './values.ts';

const COOKIE = 'envoy.http.stateful_session.cookie';
const HEADER = 'envoy.http.stateful_session.header';

/** The timeout that is not the cookie's own goes beside it, in the settings of the route. */
export function encodeSession(session: SessionPersistence | undefined): MessageInitShape<typeof StatefulSessionSchema> {
  if (session === undefined) return {};
  if (session.kind === 'header') {
    const typedConfig = packed(HeaderBasedSessionStateSchema, { name: session.name });
    return { sessionState: { name: HEADER, typedConfig }, strict: session.strict };
  }
  const { name, path, ttlMs } = session;
  const cookie = { name, path, ...(ttlMs === 0 ? {} : { ttl: encodeDuration(ttlMs) }) };
  const typedConfig = packed(CookieBasedSessionStateSchema, { cookie });
  return { sessionState: { name: COOKIE, typedConfig }, strict: session.strict };
}

export const encodeRouteSession = (
  session: SessionPersistence | undefined,
): MessageInitShape<typeof StatefulSessionPerRouteSchema> => ({
  override:
    session === undefined
      ? { case: 'disabled', value: true }
      : { case: 'statefulSession', value: encodeSession(session) },
});

export function decodeRouteSession(
  { override }: StatefulSessionPerRoute,
  timeoutMs: number,
  at: At,
): SessionPersistence | undefined {
  switch (override.case) {
    case 'disabled':
      return override.value ? undefined : at.field('disabled').fail('has to be true', undefined);
    case 'statefulSession':
      return decodeSession(override.value, timeoutMs, at.field('stateful_session'));
    case undefined:
      return at.fail('disabled or stateful_session is required', undefined);
  }
}

/** Without a state there are no sessions. */
export function decodeSession(
  { sessionState, strict }: StatefulSessionMessage,
  timeoutMs: number,
  at: At,
): SessionPersistence | undefined {
  if (sessionState === undefined) return undefined;
  const here = at.field('session_state').field('typed_config');
  if (sessionState.typedConfig === undefined) return here.fail('is required', undefined);
  const state = at.decoding.unpack(sessionState.typedConfig);
  if (isMessage(state, HeaderBasedSessionStateSchema)) {
    return { kind: 'header', name: decodeFieldName(state.name, here.field('name')), timeoutMs, strict };
  }
  if (!isMessage(state, CookieBasedSessionStateSchema)) {
    return state === undefined ? undefined : here.fail(`${state.$typeName} is not a session state`, undefined);
  }
  const { cookie } = state;
  if (cookie === undefined) return here.field('cookie').fail('is required', undefined);
  const place = here.field('cookie');
  const ttlMs = decodeDuration(cookie.ttl, 0, place.field('ttl'), AGE_MS_MAX);
  if (ttlMs % 1000 !== 0) place.field('ttl').fail('has to be whole seconds', undefined);
  if (!TOKEN.test(cookie.name)) place.field('name').fail('is not the name of a cookie', undefined);
  if (!PATH.test(cookie.path)) place.field('path').fail('is not the path of a cookie', undefined);
  return { kind: 'cookie', name: cookie.name, path: cookie.path, ttlMs, timeoutMs, strict };
}

/** RFC 6265 section 4.1.1. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const PATH = /^[\x20-\x3a\x3c-\x7e]*$/;
