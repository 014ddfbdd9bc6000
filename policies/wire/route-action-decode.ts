import { compileReplacement } from '../kit/linear-replace.ts';
import { type ForwardAction, noMutation, type WeightedCluster } from '../model/route.ts';
import type { At } from './decoding.ts';
import {
  RouteAction_ClusterNotFoundResponseCode as ClusterNotFound,
  type RouteAction as RouteActionMessage,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
import type { RegexMatchAndSubstitute } from './gen/envoy/type/matcher/v3/regex_pb.ts';
import { decodeHashKeys } from './hash-policy.ts';
import { decodeHeaderMutations } from './header-mutation.ts';
import { decodeMirror } from './mirror.ts';
import { decodeHedge, decodeRetry, type RetrySettings } from './retry-decode.ts';
import { INVALID_BACKEND, WHOLE_PATH } from './route-action-encode.ts';
import { decodeDuration, decodeUriText } from './values.ts';

/** Envoy's default for a route that says nothing. */
const TIMEOUT_DEFAULT_MS = 15_000;

export function decodeForward(action: RouteActionMessage, settings: RetrySettings, at: At): ForwardAction {
  if (action.clusterNotFoundResponseCode === ClusterNotFound.NOT_FOUND) {
    at.field('cluster_not_found_response_code').fail('Weft answers 500 or 503', undefined);
  }
  const idle = at.field('idle_timeout');
  const idleTimeoutMs = decodeDuration(action.idleTimeout, 0, idle);
  const host = action.hostRewriteSpecifier;
  const rewriteHeader = host.case === 'hostRewriteHeader' ? host.value.toLowerCase() : undefined;
  return {
    kind: 'forward',
    clusters: decodeClusters(action, at),
    timeoutMs: decodeDuration(action.timeout, TIMEOUT_DEFAULT_MS, at.field('timeout')),
    idleTimeoutMs,
    ...(action.idleTimeout !== undefined && idleTimeoutMs === 0 ? { idleTimeoutOff: true } : {}),
    retry: action.retryPolicy && decodeRetry(action.retryPolicy, settings, at.field('retry_policy')),
    ...decodeHedge(action, settings),
    hostRewrite:
      host.case === 'hostRewriteLiteral' ? decodeUriText(host.value, at.field('host_rewrite_literal')) : undefined,
    ...(host.case === 'autoHostRewrite' && host.value.value ? { hostRewriteAuto: true } : {}),
    ...(rewriteHeader === undefined ? {} : { hostRewriteHeader: rewriteHeader }),
    ...(action.appendXForwardedHost ? { appendForwardedHost: true } : {}),
    ...decodePathRewrite(action, at),
    ...decodeStreamDuration(action, at.field('max_stream_duration')),
    ...decodeGrpcTimeout(action, at),
    ...(action.requestMirrorPolicies.length === 0
      ? {}
      : {
          mirrors: action.requestMirrorPolicies.map((one, i) =>
            decodeMirror(one, at.field('request_mirror_policies').index(i)),
          ),
        }),
    ...decodeUpgrades(action, at.field('upgrade_configs')),
    ...(action.hashPolicy.length === 0 ? {} : { hashKeys: decodeHashKeys(action.hashPolicy, at.field('hash_policy')) }),
  };
}

function decodeStreamDuration(
  { maxStreamDuration: message }: RouteActionMessage,
  at: At,
): Pick<ForwardAction, 'streamDurationMsMax' | 'grpcTimeoutMsMax' | 'grpcTimeoutOffsetMs'> {
  if (message === undefined) return {};
  const { maxStreamDuration: duration, grpcTimeoutHeaderMax: grpc, grpcTimeoutHeaderOffset: offset } = message;
  const offsetAt = at.field('grpc_timeout_header_offset');
  if (offset !== undefined && grpc === undefined) {
    offsetAt.fail('is without effect without grpc_timeout_header_max', undefined);
  }
  return {
    ...(duration === undefined
      ? {}
      : { streamDurationMsMax: decodeDuration(duration, 0, at.field('max_stream_duration')) }),
    ...(grpc === undefined ? {} : { grpcTimeoutMsMax: decodeDuration(grpc, 0, at.field('grpc_timeout_header_max')) }),
    ...(offset === undefined ? {} : { grpcTimeoutOffsetMs: decodeDuration(offset, 0, offsetAt) }),
  };
}

function decodeUpgrades({ upgradeConfigs }: RouteActionMessage, at: At): Pick<ForwardAction, 'upgrades'> {
  if (upgradeConfigs.length === 0) return {};
  // A connection manager looks at its own routes for them, and not at those that come later.
  if (!at.decoding.strict) at.fail('is for the routes of a bootstrap', undefined);
  const upgrades = upgradeConfigs.map(({ upgradeType, enabled }, i) => {
    const here = at.index(i).field('upgrade_type');
    if (upgradeType === '') here.fail('is required', undefined);
    if (upgradeType.toLowerCase() === 'connect') here.fail('is said by the connection manager', undefined);
    return { protocol: upgradeType.toLowerCase(), allowed: enabled ?? true };
  });
  return { upgrades };
}

/** What Envoy had before `grpc_timeout_header_max`, which leaves the time of the route as it is. */
function decodeGrpcTimeout(action: RouteActionMessage, at: At): Pick<ForwardAction, 'grpcTimeoutInsteadMs'> {
  const { maxGrpcTimeout, maxStreamDuration } = action;
  const here = at.field('max_grpc_timeout');
  if (maxGrpcTimeout === undefined) return {};
  if (maxStreamDuration?.grpcTimeoutHeaderMax !== undefined) {
    here.fail('max_stream_duration.grpc_timeout_header_max is set as well', undefined);
  }
  return { grpcTimeoutInsteadMs: decodeDuration(maxGrpcTimeout, 0, here) };
}

const clusterName = (name: string): string => (name === INVALID_BACKEND ? '' : name);

function decodeClusters({ clusterSpecifier }: RouteActionMessage, at: At): readonly WeightedCluster[] {
  switch (clusterSpecifier.case) {
    case 'cluster': {
      if (clusterSpecifier.value === '') at.field('cluster').fail('name is required', undefined);
      const name = clusterName(clusterSpecifier.value);
      return [{ name, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }];
    }
    case 'weightedClusters': {
      const here = at.field('weighted_clusters').field('clusters');
      const { clusters } = clusterSpecifier.value;
      if (clusters.length === 0) here.fail('at least one is required', undefined);
      return clusters.map((cluster, i): WeightedCluster => {
        if (cluster.name === '') here.index(i).field('name').fail('name is required', undefined);
        const name = clusterName(cluster.name);
        return { name, weight: cluster.weight ?? 0, ...decodeHeaderMutations(cluster, here.index(i)) };
      });
    }
    case undefined:
      return at.fail('cluster or weighted_clusters is required', []);
    default:
      return [];
  }
}

type PathRewrites = Pick<ForwardAction, 'pathRewrite' | 'pathReplacement'>;

function decodePathRewrite(action: RouteActionMessage, at: At): PathRewrites {
  const { prefixRewrite, regexRewrite } = action;
  if (prefixRewrite !== '' && regexRewrite !== undefined) {
    at.field('regex_rewrite').fail('prefix_rewrite is set as well', undefined);
  }
  if (prefixRewrite !== '') {
    return { pathRewrite: { kind: 'prefix', value: decodeUriText(prefixRewrite, at.field('prefix_rewrite')) } };
  }
  if (regexRewrite === undefined) return { pathRewrite: undefined };
  return decodeRegexRewrite(regexRewrite, at.field('regex_rewrite'));
}

/** A path is no longer than its head; what is put in place of every character of one is not to be a multiple of that. */
const SUBSTITUTION_CHARACTERS_MAX = 256;

function decodeRegexRewrite({ pattern, substitution }: RegexMatchAndSubstitute, at: At): PathRewrites {
  const here = at.field('substitution');
  const regex = pattern?.regex ?? '';
  const whole = substitution.replaceAll('\\\\', '');
  if (regex === WHOLE_PATH && !whole.includes('\\')) {
    const value = substitution.replaceAll('\\\\', '\\');
    return { pathRewrite: { kind: 'full', value: decodeUriText(value, here) } };
  }
  if (substitution.length > SUBSTITUTION_CHARACTERS_MAX) {
    here.fail(`is longer than ${SUBSTITUTION_CHARACTERS_MAX} characters`, undefined);
  }
  if (regex === '') at.field('pattern').field('regex').fail('is required', undefined);
  const replacer = compileReplacement(regex, substitution);
  if (!replacer.ok) at.fail(replacer.error, undefined);
  decodeUriText(substitution.replaceAll(/\\[\\0-9]/g, ''), here);
  return { pathRewrite: undefined, pathReplacement: { pattern: regex, substitution } };
}
