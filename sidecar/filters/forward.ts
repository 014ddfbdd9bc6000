import { type ForwardAction, type HeaderMutation, noMutation, type WeightedCluster } from '@weft/policies/model/route';
import type { Host } from '../cluster/host.ts';
import type { RequestHead, ResponseHead } from '../http/exchange.ts';
import { isAuthority } from '../http/h1/chars.ts';
import type { Headers } from '../http/headers.ts';
import { replaceInTarget, rewriteTarget } from '../route/rewrite.ts';
import type { CompiledRoute } from '../route/table.ts';
import type { RequestContext } from './context.ts';
import type { HeaderFormats } from './header-formats.ts';

/** Makes the head what the route wants to be sent. */
export function rewriteRequest(
  formats: HeaderFormats,
  context: RequestContext,
  found: CompiledRoute,
  action: ForwardAction,
  cluster: WeightedCluster,
): void {
  const { route } = found;
  const { head } = context;
  changeRequest(formats, context, found, cluster);
  if (action.pathRewrite !== undefined) head.path = rewriteTarget(head.path, action.pathRewrite, route.match.path);
  else if (found.replacePath !== undefined) head.path = replaceInTarget(head.path, found.replacePath);
  const host = action.hostRewrite ?? hostFrom(head, action.hostRewriteHeader);
  if (host === undefined) return;
  if (action.appendForwardedHost === true) appendForwardedHost(head);
  head.authority = host;
}

/**
 * As in Envoy, the header changes of the cluster come before those of the route, and these before those of all that it is
 * in (envoy.config.route.v3.Route, request_headers_to_add); Gateway API leaves the order open.
 */
function changeRequest(
  formats: HeaderFormats,
  context: RequestContext,
  found: CompiledRoute,
  cluster: WeightedCluster,
): void {
  const { headers } = context.head;
  if (!found.clusterHeadersLast) formats.apply(context, headers, cluster.requestHeaders);
  for (const mutation of found.requestHeaders) formats.apply(context, headers, mutation);
  if (found.clusterHeadersLast) formats.apply(context, headers, cluster.requestHeaders);
}

/** What a route adds to responses belongs to those that are made for want of one too, as in Envoy. */
export function changeResponse(
  formats: HeaderFormats,
  context: RequestContext,
  headers: Headers,
  found: CompiledRoute,
  cluster: WeightedCluster | undefined,
): void {
  if (cluster !== undefined && !found.clusterHeadersLast) formats.apply(context, headers, cluster.responseHeaders);
  for (const mutation of found.responseHeaders) formats.apply(context, headers, mutation);
  if (cluster !== undefined && found.clusterHeadersLast) formats.apply(context, headers, cluster.responseHeaders);
}

/** The value of a field, where it is a host. */
function hostFrom(head: RequestHead, field: string | undefined): string | undefined {
  const host = field === undefined ? undefined : head.headers.get(field);
  return host !== undefined && host !== '' && isAuthority(host) ? host : undefined;
}

function appendForwardedHost({ headers, authority }: RequestHead): void {
  const before = headers.combined('x-forwarded-host');
  if (before === undefined) headers.set('X-Forwarded-Host', authority);
  else if (before.slice(before.lastIndexOf(',') + 1).trim() !== authority) {
    headers.set('X-Forwarded-Host', `${before},${authority}`);
  }
}

/** An endpoint without a name leaves the host as it is. */
export function nameEndpoint(head: RequestHead, { hostRewriteAuto, route }: CompiledRoute, { endpoint }: Host): void {
  if (!hostRewriteAuto || endpoint.hostname === undefined) return;
  if (route.action.kind === 'forward' && route.action.appendForwardedHost === true) appendForwardedHost(head);
  head.authority = endpoint.hostname;
}

const ATTEMPT_COUNT = 'X-Envoy-Attempt-Count';

/** How often the request has been sent, this time included. */
export function countAttempt(head: RequestHead, found: CompiledRoute | undefined, attempts: number): void {
  if (found?.attemptCount?.inRequest === true) head.headers.set(ATTEMPT_COUNT, String(attempts));
}

export function attemptsInResponse(head: ResponseHead, found: CompiledRoute, attempts: number): void {
  if (found.attemptCount?.inResponse === true) head.headers.set(ATTEMPT_COUNT, String(attempts));
}

/** For a response of our own, in place of that of an attempt. */
export function attemptsInReply(found: CompiledRoute | undefined, attempts: number): HeaderMutation {
  if (found?.attemptCount?.inResponse !== true) return noMutation;
  return { ...noMutation, set: [{ name: ATTEMPT_COUNT, value: String(attempts) }] };
}

/** Whether the response makes a tunnel of an exchange that asked for one (RFC 9110 sections 9.3.6 and 15.2.2). */
export function isTunnelAccepted(method: string, status: number): boolean {
  return status === 101 || (method === 'CONNECT' && status >= 200 && status < 300);
}

/** Whether a route is against the Upgrade that is asked for; what it does not speak of is for the connection manager to say. */
export function refusesUpgrade({ head, upgradeRefused }: RequestContext, { action }: CompiledRoute['route']): boolean {
  const { protocol } = head;
  if (protocol === undefined || protocol === '') return false;
  const lower = protocol.toLowerCase();
  const own = action.kind === 'forward' ? action.upgrades?.find((one) => one.protocol === lower) : undefined;
  return own === undefined ? upgradeRefused : !own.allowed;
}
