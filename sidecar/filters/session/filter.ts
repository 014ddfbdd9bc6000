import type { Clock } from '@weft/policies/kit/clock';
import type { Route } from '@weft/policies/model/route';
import type { SessionPersistence } from '@weft/policies/model/session';
import type { ResponseHead } from '../../http/exchange.ts';
import { lowerName } from '../../http/field-names.ts';
import type { CompiledRoute } from '../../route/table.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';
import { routeSetting } from '../route-setting.ts';
import { cookieCovers, cookieIn, setCookie } from './cookie.ts';
import { decodeToken, encodeAddress, encodeToken } from './token.ts';

/**
 * Requests of a session go to the endpoint that the client was told before, as long as that may be used; else to another,
 * which the client is told then. The endpoint comes from the client: it is taken only where it is one of the cluster's.
 */
export class SessionFilter implements RequestFilter {
  private readonly name: string;
  private readonly own: SessionPersistence | undefined;
  private readonly clock: Clock;
  private readonly recorder: Recorder;

  constructor(name: string, own: SessionPersistence | undefined, clock: Clock, recorder: Recorder) {
    this.name = name;
    this.own = own;
    this.clock = clock;
    this.recorder = recorder;
  }

  onRoute(context: RequestContext, { route }: CompiledRoute): undefined {
    const session = this.sessionOf(route);
    if (session === undefined || route.action.kind !== 'forward') return undefined;
    if (session.kind === 'cookie' && !cookieCovers(session, context.head.path)) return undefined;
    context.session = { policy: session, wanted: this.wanted(context, session) };
    return undefined;
  }

  onResponse({ session, host }: RequestContext, { headers }: ResponseHead): void {
    if (session === undefined || host === undefined || host.label === session.wanted) return;
    if (session.wanted !== '') this.recorder.count('session.moved');
    const { policy } = session;
    const value = this.tokenFor(policy, host.label);
    if (policy.kind === 'header') headers.set(policy.name, value);
    else headers.append('set-cookie', setCookie(policy, value));
  }

  private sessionOf(route: Route): SessionPersistence | undefined {
    const setting = routeSetting(route, 'session', this.name);
    return setting === undefined ? this.own : setting.session;
  }

  /** Empty: any endpoint. */
  private wanted({ head }: RequestContext, session: SessionPersistence): string {
    const { headers } = head;
    const text = session.kind === 'header' ? headers.get(lowerName(session.name)) : cookieIn(headers, session.name);
    const token = text === undefined ? undefined : decodeToken(text);
    if (token === undefined) return '';
    return token.expires > 0 && token.expires * 1000 <= this.clock.unixMs() ? '' : token.address;
  }

  private tokenFor(policy: SessionPersistence, address: string): string {
    const ttlMs = policy.kind === 'cookie' ? policy.ttlMs : 0;
    const { timeoutMs } = policy;
    const lifeMs = ttlMs === 0 || timeoutMs === 0 ? ttlMs + timeoutMs : Math.min(ttlMs, timeoutMs);
    if (policy.kind === 'header' && lifeMs === 0) return encodeAddress(address);
    const expires = lifeMs === 0 ? 0 : Math.ceil((this.clock.unixMs() + lifeMs) / 1000);
    return encodeToken({ address, expires });
  }
}
