import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ForwardAction, PathReplacement, PathRewrite, WeightedCluster } from '../model/route.ts';
import {
  RouteAction_ClusterNotFoundResponseCode as ClusterNotFound,
  type RouteActionSchema,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
import { encodeHashKey } from './hash-policy.ts';
import { encodeHeaderMutations } from './header-mutation.ts';
import { encodeMirror } from './mirror.ts';
import { encodeHedge, encodeRetry } from './retry-encode.ts';
import { encodeDuration } from './values.ts';

/** A cluster that never exists: where Envoy insists on a name, a backend that is invalid has this one. */
export const INVALID_BACKEND = 'weft.dev/invalid-backend';
/** The whole path, which Envoy replaces only by a pattern. */
export const WHOLE_PATH = '^/.*$';

type ActionInit = MessageInitShape<typeof RouteActionSchema>;

/** Weights that are all zero, which Envoy refuses, go out as one invalid backend: both answer 500. */
export function encodeForward(action: ForwardAction): ActionInit {
  return {
    clusterSpecifier: encodeClusters(action.clusters),
    clusterNotFoundResponseCode: ClusterNotFound.INTERNAL_SERVER_ERROR,
    timeout: encodeDuration(action.timeoutMs),
    ...(action.idleTimeoutMs === 0 && action.idleTimeoutOff !== true
      ? {}
      : { idleTimeout: encodeDuration(action.idleTimeoutMs) }),
    ...(action.retry === undefined ? {} : { retryPolicy: encodeRetry(action.retry) }),
    ...encodeHedging(action),
    ...encodeHostRewrite(action),
    appendXForwardedHost: action.appendForwardedHost ?? false,
    ...encodeStreamDuration(action),
    ...(action.grpcTimeoutInsteadMs === undefined
      ? {}
      : { maxGrpcTimeout: encodeDuration(action.grpcTimeoutInsteadMs) }),
    requestMirrorPolicies: (action.mirrors ?? []).map(encodeMirror),
    ...encodePathRewrite(action.pathRewrite),
    ...(action.pathReplacement === undefined ? {} : { regexRewrite: encodeReplacement(action.pathReplacement) }),
    upgradeConfigs: (action.upgrades ?? []).map(({ protocol, allowed }) => ({
      upgradeType: protocol,
      enabled: allowed,
    })),
    ...(action.hashKeys === undefined ? {} : { hashPolicy: action.hashKeys.map(encodeHashKey) }),
  };
}

function encodeHostRewrite(action: ForwardAction): Pick<ActionInit, 'hostRewriteSpecifier'> {
  const { hostRewrite, hostRewriteHeader, hostRewriteAuto } = action;
  if (hostRewrite !== undefined) return { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: hostRewrite } };
  if (hostRewriteHeader !== undefined) {
    return { hostRewriteSpecifier: { case: 'hostRewriteHeader', value: hostRewriteHeader } };
  }
  return hostRewriteAuto === undefined
    ? {}
    : { hostRewriteSpecifier: { case: 'autoHostRewrite', value: { value: true } } };
}

function encodeStreamDuration({
  streamDurationMsMax: duration,
  grpcTimeoutMsMax: grpc,
  grpcTimeoutOffsetMs: offset,
}: ForwardAction): Pick<ActionInit, 'maxStreamDuration'> {
  if (duration === undefined && grpc === undefined) return {};
  return {
    maxStreamDuration: {
      ...(duration === undefined ? {} : { maxStreamDuration: encodeDuration(duration) }),
      ...(grpc === undefined ? {} : { grpcTimeoutHeaderMax: encodeDuration(grpc) }),
      ...(offset === undefined ? {} : { grpcTimeoutHeaderOffset: encodeDuration(offset) }),
    },
  };
}

function encodeClusters(clusters: readonly WeightedCluster[]): NonNullable<ActionInit['clusterSpecifier']> {
  const [only] = clusters;
  if (only === undefined || clusters.every(({ weight }) => weight === 0)) {
    return { case: 'cluster', value: INVALID_BACKEND };
  }
  const plain = [only.requestHeaders, only.responseHeaders].every(
    ({ set, add, remove, options }) => set.length + add.length + remove.length === 0 && options === undefined,
  );
  if (clusters.length === 1 && only.weight === 1 && plain) {
    return { case: 'cluster', value: only.name === '' ? INVALID_BACKEND : only.name };
  }
  return {
    case: 'weightedClusters',
    value: {
      clusters: clusters.map(({ name, weight, requestHeaders, responseHeaders }) => ({
        name: name === '' ? INVALID_BACKEND : name,
        weight,
        ...encodeHeaderMutations(requestHeaders, responseHeaders),
      })),
    },
  };
}

const encodeReplacement = ({ pattern, substitution }: PathReplacement) => ({
  pattern: { regex: pattern },
  substitution,
});

function encodePathRewrite(rewrite: PathRewrite | undefined): Pick<ActionInit, 'prefixRewrite' | 'regexRewrite'> {
  switch (rewrite?.kind) {
    case undefined:
      return {};
    case 'prefix':
      // Empty means "no rewrite" to Envoy; the path that is left without its prefix begins at the root.
      return { prefixRewrite: rewrite.value === '' ? '/' : rewrite.value };
    case 'full':
      // A backslash in a substitution begins a reference to a group.
      return { regexRewrite: { pattern: { regex: WHOLE_PATH }, substitution: rewrite.value.replaceAll('\\', '\\\\') } };
  }
}

function encodeHedging({ hedge }: ForwardAction): Pick<ActionInit, 'hedgePolicy'> {
  const hedgePolicy = hedge && encodeHedge(hedge);
  return hedgePolicy === undefined ? {} : { hedgePolicy };
}
