/** AuthorizationPolicies of action CUSTOM: who is asked about the requests of a workload, and about which. */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { AuthorizationPolicy, Mesh } from '@weft/policies/crds/kinds';
import type { Rbac, RbacPolicy } from '@weft/policies/model/authorization';
import type { ExtAuthz } from '@weft/policies/model/ext-authz';
import type { HttpFilter } from '@weft/policies/model/listener';
import type { StringMatch } from '@weft/policies/model/match';
import { fieldSubject, isOfClients, type ReservedHeaders } from '@weft/policies/model/reserved-headers';
import { keyOf, objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { externalName } from './external/names.ts';
import { outboundName } from './names.ts';
import type { ConditionVerdict } from './verdict.ts';

type Authorizer = Mesh['spec']['authorizers'][number];
type Target = NonNullable<Authorizer['grpc']>['target'];

/** Of a policy that asks nobody there are none. */
export function authorizerConditions(state: ClusterState, policy: AuthorizationPolicy): readonly ConditionVerdict[] {
  if (policy.spec.action !== 'CUSTOM') return [];
  const fault = authorizerFault(state, policy);
  const type = 'ResolvedRefs';
  if (fault !== undefined) {
    const message = `${fault}; requests that the policy matches are refused until there is`;
    return [{ type, status: 'False', reason: 'AuthorizerNotFound', message }];
  }
  const { names, prefixes } = reservedOf(state, [policy]);
  const kept = [...names, ...prefixes.map((prefix) => `${prefix}*`)];
  const said = [`authorizer ${policy.spec.provider} is asked about requests`, 'opaque TCP that matches is refused'];
  if (kept.length > 0) said.push(`clients cannot send ${kept.join(', ')}`);
  if (prefixes.length > 0)
    said.push('a proxy that is no sidecar of Weft takes whole names off, and not what * stands for');
  const message = said.join('; ');
  return [{ type, status: 'True', reason: 'ResolvedRefs', message }];
}

/** What is wrong with the authorizer that a policy names; undefined: nothing. */
function authorizerFault(state: ClusterState, policy: AuthorizationPolicy): string | undefined {
  const { provider } = policy.spec;
  const authorizer = authorizerNamed(state, provider);
  if (authorizer === undefined) return `the Mesh has no authorizer ${provider}; add it to its authorizers`;
  const target = targetOf(authorizer);
  if (target === undefined || exists(state, target)) return undefined;
  const { kind, namespace, name, port } = target;
  return `authorizer ${provider}: there is no ${kind} ${namespace}/${name} with port ${port}`;
}

const NAMED_MAX = 4;

/** Policies whose requests nobody would be asked about any more, were a Mesh stored; undefined: none. */
export function missedAuthorizers(state: ClusterState, mesh: Mesh): string | undefined {
  const next = new Set(mesh.spec.authorizers.map(({ name }) => name));
  const missing = [...state.authorizationPolicies.values()]
    .filter(({ spec }) => spec.provider !== undefined && !next.has(spec.provider))
    .filter(({ spec }) => authorizerNamed(state, spec.provider) !== undefined)
    .map(({ metadata, spec }) => `${objectKey(metadata)} (${spec.provider})`)
    .sort();
  if (missing.length === 0) return undefined;
  const more = missing.length > NAMED_MAX ? `, and ${missing.length - NAMED_MAX} more` : '';
  return `authorizers are gone that policies ask; requests are refused that match ${missing.slice(0, NAMED_MAX).join(', ')}${more}`;
}

const authorizerNamed = (state: ClusterState, name: string | undefined): Authorizer | undefined =>
  state.mesh?.spec.authorizers.find((one) => one.name === name);

const targetOf = ({ grpc, http }: Authorizer): Target | undefined => grpc?.target ?? http?.target;

function exists(state: ClusterState, { kind, namespace, name, port }: Target): boolean {
  const key = keyOf(namespace, name);
  if (kind === 'Service') return state.services.get(key)?.ports.some((one) => one.port === port) === true;
  return state.externalServices.get(key)?.spec.ports.some(({ number }) => number === port) === true;
}

/** Also of what does not exist: requests fail for it as they do where nobody answers. */
const clusterOf = ({ kind, namespace, name, port }: Target): string =>
  kind === 'Service'
    ? outboundName({ namespace, service: name, port })
    : externalName({ namespace, name, port, host: undefined });

/**
 * Of each authorizer two filters, as Envoy has it: rules in the shadow that say who is asked about, and the question.
 * What nobody can be asked about is refused.
 */
export function authorizerFilters(
  state: ClusterState,
  policies: readonly AuthorizationPolicy[],
  rulesOf: (policy: AuthorizationPolicy) => readonly RbacPolicy[],
): readonly HttpFilter[] {
  const byProvider = new Map<string, AuthorizationPolicy[]>();
  for (const policy of policies) {
    const provider = policy.spec.provider ?? '';
    byProvider.set(provider, [...(byProvider.get(provider) ?? []), policy]);
  }
  return [...byProvider].sort(byName).flatMap(([provider, all]): HttpFilter[] => {
    const rules = all.flatMap(rulesOf).sort((a, b) => (a.name < b.name ? -1 : 1));
    const rbac: Rbac = { action: 'deny', policies: rules };
    const authorizer = authorizerNamed(state, provider);
    const target = authorizer && targetOf(authorizer);
    if (authorizer === undefined || target === undefined) {
      return [{ kind: 'rbac', name: `weft.authorizer.${provider}.absent`, rbac }];
    }
    const prefix = `weft_authorizer_${provider}_`;
    return [
      { kind: 'rbacShadow', name: `weft.authorizer.${provider}.rules`, prefix, rbac },
      { kind: 'extAuthz', name: `weft.authorizer.${provider}`, authz: extAuthz(authorizer, clusterOf(target), prefix) },
    ];
  });
}

/** `x-auth-*` means all that begin so. */
const isPrefix = (pattern: string): boolean => pattern.endsWith('*');

/**
 * What authorizers set for the application nobody else does, also in requests that they are not asked about. Envoy can
 * be told so of whole names; what it cannot say is in a filter of ours, which comes first and counts.
 */
export function reservedHeaders(state: ClusterState, policies: readonly AuthorizationPolicy[]): readonly HttpFilter[] {
  const reserved = reservedOf(state, policies);
  const { names, prefixes } = reserved;
  if (names.length === 0 && prefixes.length === 0) return [];
  const filters: HttpFilter[] = [{ kind: 'reservedHeaders', name: 'weft.dev/reserved-headers', reserved }];
  const headers = [...new Set(names.flatMap((name) => [name, name.replaceAll('-', '_')]))];
  if (headers.length > 0) filters.push({ kind: 'headerRemoval', name: 'weft.dev/reserved-names', headers });
  return filters;
}

function reservedOf(state: ClusterState, policies: readonly AuthorizationPolicy[]): ReservedHeaders {
  const patterns = new Set<string>();
  for (const { spec } of policies) {
    const authorizer = authorizerNamed(state, spec.provider);
    const headers = authorizer?.http?.headersToUpstream ?? authorizer?.grpc?.headersToUpstream ?? [];
    for (const header of headers) patterns.add(fieldSubject(header.toLowerCase()));
  }
  const all = [...patterns].sort();
  const names = all.filter((pattern) => !isPrefix(pattern) && !isOfClients(pattern));
  const prefixes = all.filter((pattern) => isPrefix(pattern) && pattern !== '*').map((pattern) => pattern.slice(0, -1));
  return { names, prefixes };
}

const byName = (a: readonly [string, unknown], b: readonly [string, unknown]): number => (a[0] < b[0] ? -1 : 1);

function extAuthz(authorizer: Authorizer, cluster: string, prefix: string): ExtAuthz {
  const { body, http, requestHeaders, failure } = authorizer;
  return {
    service:
      http === undefined
        ? { kind: 'grpc', cluster, authority: '', metadata: [] }
        : {
            kind: 'http',
            cluster,
            uri: `http://${http.target.name}.${http.target.namespace}:${http.target.port}`,
            pathPrefix: http.pathPrefix ?? '',
            headersToAdd: [],
            upstreamHeaders: namesOf(http.headersToUpstream),
            upstreamHeadersToAppend: [],
            clientHeaders: http.headersToClient && namesOf(http.headersToClient),
            clientHeadersOnSuccess: namesOf(http.headersToClientOnSuccess),
          },
    timeoutMs: acceptedDurationMs(authorizer.timeout),
    failureAllowed: failure === 'Allow',
    tellsFailure: failure === 'Allow',
    errorStatus: authorizer.failureStatus,
    body: body && { bytesMax: body.maxBytes, partial: body.allowPartial, raw: true },
    allowedHeaders: requestHeaders && namesOf(requestHeaders),
    disallowedHeaders: [],
    validatesMutations: true,
    enabledBy: { prefix, value: { kind: 'present' } },
    statPrefix: authorizer.name,
  };
}

const namesOf = (patterns: readonly string[] | undefined): readonly StringMatch[] =>
  (patterns ?? []).map((pattern) => {
    const lower = pattern.toLowerCase();
    if (!lower.endsWith('*')) return { kind: 'exact', value: lower, ignoreCase: false };
    return { kind: 'prefix', value: lower.slice(0, -1), ignoreCase: false };
  });
