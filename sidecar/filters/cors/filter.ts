import type { Prng } from '@weft/policies/kit/prng';
import type { CorsPolicy } from '@weft/policies/model/cors';
import { isAmong } from '@weft/policies/model/fraction';
import { type HeaderValue, noMutation } from '@weft/policies/model/route';
import type { RequestHead, ResponseHead } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import { StringMatcher } from '../../route/pattern.ts';
import type { CompiledRoute } from '../../route/table.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext, ResponseDecorator } from '../context.ts';
import type { LocalReply, RequestFilter } from '../filter.ts';
import { routeSetting } from '../route-setting.ts';

const ALL = '*';
/** Fetch section 3.2.5, and what a `Cache-Control` of a preflight is worth: the origin decides the answer. */
const ALLOW_ORIGIN = 'access-control-allow-origin';
const ALLOW_CREDENTIALS = 'access-control-allow-credentials';

/** What an origin may do with the answer to its request. */
export class CorsGrant implements ResponseDecorator {
  private readonly origin: string;
  private readonly policy: CorsPolicy;
  /** Decorates responses of our own too. */
  private readonly next: ResponseDecorator | undefined;

  constructor(origin: string, policy: CorsPolicy, next: ResponseDecorator | undefined) {
    this.origin = origin;
    this.policy = policy;
    this.next = next;
  }

  apply(headers: Headers): void {
    headers.set(ALLOW_ORIGIN, this.origin);
    if (this.policy.allowCredentials) headers.set(ALLOW_CREDENTIALS, 'true');
    if (this.policy.exposeHeaders !== '') headers.set('access-control-expose-headers', this.policy.exposeHeaders);
  }

  onResponse(context: RequestContext, head: ResponseHead): void {
    this.apply(head.headers);
    this.next?.onResponse(context, head);
  }
}

/**
 * Cross-origin requests (Fetch section 3.2): answers preflights, and tells browsers what pages of other origins may read.
 * The origin is echoed and not answered with `*`, which would not do for requests with credentials; for the same reason
 * `*` of methods and of headers is answered with what was asked for.
 */
export class CorsFilter implements RequestFilter {
  private readonly name: string;
  private readonly prng: Prng;
  private readonly recorder: Recorder;
  private readonly origins = new WeakMap<CorsPolicy, readonly StringMatcher[]>();

  constructor(name: string, prng: Prng, recorder: Recorder) {
    this.name = name;
    this.prng = prng;
    this.recorder = recorder;
  }

  onRoute(context: RequestContext, { route }: CompiledRoute): LocalReply | undefined {
    const policy = routeSetting(route, 'cors', this.name)?.cors;
    if (policy === undefined || route.action.kind !== 'forward') return undefined;
    const { head } = context;
    const origin = head.headers.get('origin');
    if (origin === undefined || origin === '' || !isAmong(policy.enabled, this.prng)) return undefined;
    const allowed = this.allows(policy, origin);
    this.recorder.count(allowed ? 'cors.origin_valid' : 'cors.origin_invalid');
    const method = head.method === 'OPTIONS' ? head.headers.get('access-control-request-method') : undefined;
    if (method !== undefined && method !== '' && (allowed || !policy.forwardsUnmatched)) {
      return preflight(allowed ? permissions(policy, origin, method, head) : []);
    }
    if (!allowed) return undefined;
    const grant = new CorsGrant(origin, policy, context.ownReplies);
    context.cors = grant;
    context.ownReplies = grant;
    return undefined;
  }

  onResponse(context: RequestContext, { headers }: ResponseHead): void {
    context.cors?.apply(headers);
  }

  private allows(policy: CorsPolicy, origin: string): boolean {
    let matchers = this.origins.get(policy);
    if (matchers === undefined) {
      matchers = policy.allowOrigins.map((match) => new StringMatcher(match));
      this.origins.set(policy, matchers);
    }
    // As Envoy: what matches an asterisk stands for all.
    for (const matcher of matchers) if (matcher.test(origin) || matcher.test(ALL)) return true;
    return false;
  }
}

function permissions(policy: CorsPolicy, origin: string, method: string, { headers }: RequestHead): HeaderValue[] {
  const given: HeaderValue[] = [{ name: ALLOW_ORIGIN, value: origin }];
  const add = (name: string, value: string): void => {
    if (value !== '') given.push({ name, value });
  };
  if (policy.allowCredentials) add(ALLOW_CREDENTIALS, 'true');
  add('access-control-allow-methods', policy.allowMethods === ALL ? method : policy.allowMethods);
  const asked = headers.combined('access-control-request-headers') ?? '';
  add('access-control-allow-headers', policy.allowHeaders === ALL ? asked : policy.allowHeaders);
  add('access-control-max-age', policy.maxAge);
  // Says nothing to a browser here; Envoy sends it all the same.
  add('access-control-expose-headers', policy.exposeHeaders);
  return given;
}

/** Fetch section 4.8: any status of success will do. As for Envoy it is not one of the local replies that a route adds to. */
const preflight = (set: readonly HeaderValue[]): LocalReply => ({
  kind: 'reply',
  status: 200,
  body: '',
  headers: { ...noMutation, set },
  flag: '',
  detail: 'cors_response',
  complete: true,
});
