import { type ForwardAction, noMutation, type PathRewrite, type WeightedCluster } from '../model/route.ts';
import type { At } from './decoding.ts';
import {
  RouteAction_ClusterNotFoundResponseCode as ClusterNotFound,
  type RouteAction as RouteActionMessage,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
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
  if (action.idleTimeout !== undefined && idleTimeoutMs === 0) {
    idle.fail('a route cannot switch off the idle timeout of its listener', undefined);
  }
  const host = action.hostRewriteSpecifier;
  const rewriteHeader = host.case === 'hostRewriteHeader' ? host.value.toLowerCase() : undefined;
  return {
    kind: 'forward',
    clusters: decodeClusters(action, at),
    timeoutMs: decodeDuration(action.timeout, TIMEOUT_DEFAULT_MS, at.field('timeout')),
    idleTimeoutMs,
    retry: action.retryPolicy && decodeRetry(action.retryPolicy, settings, at.field('retry_policy')),
    ...decodeHedge(action, settings),
    hostRewrite:
      host.case === 'hostRewriteLiteral' ? decodeUriText(host.value, at.field('host_rewrite_literal')) : undefined,
    ...(host.case === 'autoHostRewrite' && host.value.value ? { hostRewriteAuto: true } : {}),
    ...(rewriteHeader === undefined ? {} : { hostRewriteHeader: rewriteHeader }),
    ...(action.appendXForwardedHost ? { appendForwardedHost: true } : {}),
    pathRewrite: decodePathRewrite(action, at),
    ...decodeStreamDuration(action, at.field('max_stream_duration')),
    ...decodeGrpcTimeout(action, at),
    ...(action.requestMirrorPolicies.length === 0
      ? {}
      : {
          mirrors: action.requestMirrorPolicies.map((one, i) =>
            decodeMirror(one, at.field('request_mirror_policies').index(i)),
          ),
        }),
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

function decodePathRewrite(action: RouteActionMessage, at: At): PathRewrite | undefined {
  const { prefixRewrite, regexRewrite } = action;
  if (prefixRewrite !== '' && regexRewrite !== undefined) {
    at.field('regex_rewrite').fail('prefix_rewrite is set as well', undefined);
  }
  if (prefixRewrite !== '') {
    return { kind: 'prefix', value: decodeUriText(prefixRewrite, at.field('prefix_rewrite')) };
  }
  if (regexRewrite === undefined) return undefined;
  const value = regexRewrite.substitution.replaceAll('\\\\', '');
  if (regexRewrite.pattern?.regex !== WHOLE_PATH || value.includes('\\')) {
    const what = `only the pattern "${WHOLE_PATH}" with a substitution without groups is supported by Weft`;
    return at.field('regex_rewrite').fail(what, undefined);
  }
  const full = regexRewrite.substitution.replaceAll('\\\\', '\\');
  return { kind: 'full', value: decodeUriText(full, at.field('regex_rewrite').field('substitution')) };
}
