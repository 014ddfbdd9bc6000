/** What the specification of the Gateway API wants said about routes and policies, judged from the state alone. */

import type { AuthorizationPolicy, HTTPRoute, TrafficPolicy } from '@weft/policies/crds/kinds';
import type { AppProtocol } from '@weft/policies/model/address';
import type { Service } from '../index/core.ts';
import { keyOf, objectKey } from '../index/objects.ts';
import { serviceParents } from '../index/routes.ts';
import type { ClusterState } from '../index/state.ts';
import {
  isServiceParent,
  type ParentRef,
  parentService,
  resolveBackend,
  selectsPort,
  unsupportedIn,
} from './attachment.ts';
import { policiesFor } from './authorization.ts';
import type { TranslateContext } from './context.ts';
import { keepsToPods, nameForClients } from './headless.ts';
import { overloadPolicyStatus } from './overload-status.ts';
import { policyConflicts } from './policy.ts';
import { servicePortProtocol } from './ports.ts';
import { carriesHttp } from './protocol.ts';
import { isProducer, reachOf, type TargetPort } from './reach.ts';

export interface ConditionVerdict {
  readonly type: 'Accepted' | 'ResolvedRefs' | 'Conflicted';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Resources that carry an object to the sidecars, to tell how far it has come. */
export interface Carriers {
  readonly kind: 'route' | 'cluster' | 'listener';
  readonly names: readonly string[];
}

export interface RouteParentVerdict {
  readonly parentRef: ParentRef;
  readonly conditions: readonly ConditionVerdict[];
  readonly carriers: Carriers;
  /** Of the carriers, those for ports that speak HTTP/2: not every sidecar reads it. */
  readonly http2: readonly string[];
}

export interface RouteVerdict {
  readonly route: string;
  readonly generation: number;
  readonly parents: readonly RouteParentVerdict[];
}

export interface PolicyAncestorVerdict {
  readonly ancestorRef: {
    readonly group: string;
    readonly kind: string;
    readonly namespace?: string;
    readonly name: string;
    readonly sectionName?: string;
  };
  readonly conditions: readonly ConditionVerdict[];
  readonly carriers: readonly Carriers[];
  /** The clients that it is for; undefined: all. */
  readonly clientNamespace: string | undefined;
}

export interface PolicyVerdict {
  readonly kind: 'TrafficPolicy' | 'AuthorizationPolicy' | 'OverloadPolicy';
  readonly policy: string;
  readonly generation: number;
  readonly ancestors: readonly PolicyAncestorVerdict[];
}

const accepted = (message: string): ConditionVerdict => ({
  type: 'Accepted',
  status: 'True',
  reason: 'Accepted',
  message,
});
const refused = (reason: string, message: string): ConditionVerdict => ({
  type: 'Accepted',
  status: 'False',
  reason,
  message,
});

export function routeStatuses(context: TranslateContext): RouteVerdict[] {
  return [...context.state.routes.HTTPRoute.keys()].sort().flatMap((key) => {
    const route = context.state.routes.HTTPRoute.get(key);
    return route === undefined ? [] : [routeStatus(context, route)];
  });
}

export function routeStatus(context: TranslateContext, route: HTTPRoute): RouteVerdict {
  const resolved = resolvedRefs(context.state, route);
  const parents = (route.spec.parentRefs ?? []).filter(isServiceParent).map((parentRef): RouteParentVerdict => {
    const acceptance = acceptedBy(context.state, route, parentRef);
    return {
      parentRef,
      conditions: [acceptance.condition, resolved],
      carriers: { kind: 'route', names: acceptance.carriers },
      http2: acceptance.http2,
    };
  });
  return { route: objectKey(route.metadata), generation: route.metadata.generation, parents };
}

function acceptedBy(
  state: ClusterState,
  route: HTTPRoute,
  ref: ParentRef,
): {
  readonly condition: ConditionVerdict;
  readonly carriers: readonly string[];
  readonly http2: readonly string[];
} {
  const service = parentService(state, route, ref);
  const name = keyOf(ref.namespace ?? route.metadata.namespace, ref.name);
  const no = (reason: string, message: string) => ({
    condition: refused(reason, message),
    carriers: [],
    http2: [],
  });
  if (service === undefined) return no('NoMatchingParent', `there is no Service ${name}`);
  const ports = service.ports.filter((port) => selectsPort(ref, port));
  if (ports.length === 0) {
    const asked = ref.port ?? ref.sectionName ?? 'any';
    const has = service.ports.map((port) => (port.name === '' ? port.port : `${port.port} (${port.name})`)).join(', ');
    return no('NoMatchingParent', `Service ${name} has no port ${asked}; it has ${has || 'none'}`);
  }
  const http = ports.filter((port) => carriesHttp(servicePortProtocol(state, service, port)));
  if (http.length === 0) {
    return no(
      'NoMatchingParent',
      `port ${ports.map((port) => port.port).join(', ')} of Service ${name} does not carry HTTP; set its appProtocol`,
    );
  }
  const unsupported = unsupportedIn(route);
  if (unsupported !== undefined) return no('UnsupportedValue', unsupported);
  if (service.addressing === 'external-name') {
    const what = 'is an ExternalName: its clients call what it names, where no route applies';
    return no('UnsupportedValue', `Service ${name} ${what}; give it a cluster IP`);
  }
  const { namespace } = service.metadata;
  const clients = namespace === route.metadata.namespace ? '' : ` for clients in namespace ${route.metadata.namespace}`;
  const nameOf = (port: Service['ports'][number]): string => nameForClients(service, port.port);
  // GEP-1426: in a mesh the Service decides, whatever host a request names.
  const hosts = (route.spec.hostnames ?? []).length === 0 ? '' : '; spec.hostnames has no effect on Services';
  return {
    condition: accepted(`the route is attached to Service ${name}${clients}${keepsToPods(service)}${hosts}`),
    carriers: http.map(nameOf),
    http2: http.filter((port) => speaksHttp2(servicePortProtocol(state, service, port))).map(nameOf),
  };
}

const speaksHttp2 = (protocol: AppProtocol): boolean => protocol === 'http2' || protocol === 'grpc';

function resolvedRefs(state: ClusterState, route: HTTPRoute): ConditionVerdict {
  const faults = route.spec.rules.flatMap((rule, index) =>
    (rule.backendRefs ?? []).flatMap((ref, position) => {
      const backend = resolveBackend(state, route, ref);
      if (backend.state === 'resolved') return [];
      return [{ reason: backend.reason, message: `spec.rules[${index}].backendRefs[${position}]: ${backend.message}` }];
    }),
  );
  const [first] = faults;
  if (first === undefined) {
    return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: 'all references are resolved' };
  }
  return {
    type: 'ResolvedRefs',
    status: 'False',
    reason: first.reason,
    message: faults.map((fault) => fault.message).join('; '),
  };
}

export function policyStatuses(context: TranslateContext): PolicyVerdict[] {
  const { trafficPolicies, authorizationPolicies, overloadPolicies } = context.state;
  return [
    ...[...trafficPolicies.keys()].sort().flatMap((key) => {
      const policy = trafficPolicies.get(key);
      return policy === undefined ? [] : [trafficPolicyStatus(context, policy)];
    }),
    ...[...authorizationPolicies.keys()].sort().flatMap((key) => {
      const policy = authorizationPolicies.get(key);
      return policy === undefined ? [] : [authorizationPolicyStatus(context, policy)];
    }),
    ...[...overloadPolicies.values()]
      .sort((a, b) => (objectKey(a.metadata) < objectKey(b.metadata) ? -1 : 1))
      .map((policy) => overloadPolicyStatus(context, policy)),
  ];
}

type TargetRef = TrafficPolicy['spec']['targetRefs'][number];

export function trafficPolicyStatus(context: TranslateContext, policy: TrafficPolicy): PolicyVerdict {
  const ancestors = policy.spec.targetRefs.map((ref): PolicyAncestorVerdict => {
    const { namespace } = policy.metadata;
    const found = targetServices(context.state, policy, ref);
    return {
      ancestorRef: {
        group: ref.group,
        kind: ref.kind,
        name: ref.name,
        ...(ref.kind === 'Service' || ref.kind === 'HTTPRoute' ? { namespace: ref.namespace ?? namespace } : {}),
        ...(ref.sectionName === undefined ? {} : { sectionName: ref.sectionName }),
      },
      conditions: [
        found.missing === undefined
          ? accepted(reachOf(context.state, policy, ref, found.targets))
          : refused('TargetNotFound', found.missing),
        ...(found.missing === undefined ? conflictOf(context.state, policy, ref, found.targets) : []),
      ],
      carriers: [
        { kind: 'route', names: found.names },
        { kind: 'cluster', names: found.names },
      ],
      clientNamespace: isProducer(context.state, policy, ref) ? undefined : namespace,
    };
  });
  return {
    kind: 'TrafficPolicy',
    policy: objectKey(policy.metadata),
    generation: policy.metadata.generation,
    ancestors,
  };
}

function targetServices(
  state: ClusterState,
  policy: TrafficPolicy,
  ref: TargetRef,
): {
  readonly missing: string | undefined;
  readonly names: readonly string[];
  readonly targets: readonly TargetPort[];
} {
  const key = keyOf(ref.namespace ?? policy.metadata.namespace, ref.name);
  const absent = (missing: string) => ({ missing, names: [], targets: [] });
  let services: readonly string[];
  switch (ref.kind) {
    case 'Service':
      if (state.services.get(key) === undefined) return absent(`there is no Service ${key}`);
      services = [key];
      break;
    case 'HTTPRoute': {
      const route = state.routes.HTTPRoute.get(key);
      if (route === undefined) return absent(`there is no HTTPRoute ${key}`);
      if (ref.sectionName !== undefined && !route.spec.rules.some((rule) => rule.name === ref.sectionName)) {
        return absent(`HTTPRoute ${key} has no rule named ${ref.sectionName}`);
      }
      services = serviceParents(route);
      break;
    }
    case 'Namespace':
      services = [...state.services.keysBy('namespace', ref.name)].sort();
      break;
    case 'Mesh':
      services = [...state.services.keys()].sort();
      break;
  }
  const section = ref.kind === 'Service' ? ref.sectionName : undefined;
  const targets = services.flatMap((one) =>
    (state.services.get(one)?.ports ?? [])
      .filter((port) => section === undefined || section === port.name || section === String(port.port))
      .map((port) => ({ service: one, port: port.port })),
  );
  if (section !== undefined && targets.length === 0) return absent(`Service ${key} has no port ${section}`);
  const names = targets.flatMap(({ service, port }) => {
    const found = state.services.get(service);
    return [...new Set([`outbound/${service}/${port}`, ...(found === undefined ? [] : [nameForClients(found, port)])])];
  });
  return { missing: undefined, names, targets };
}

/** Only conflicts about the target itself: a wider policy that a narrower one overrides is as intended. */
function conflictOf(
  state: ClusterState,
  policy: TrafficPolicy,
  ref: TargetRef,
  targets: readonly TargetPort[],
): ConditionVerdict[] {
  const name = objectKey(policy.metadata);
  const lost = new Map<string, string>();
  for (const target of targets) {
    const service = state.services.get(target.service);
    const port = service?.ports.find((one) => one.port === target.port);
    if (service === undefined || port === undefined) continue;
    const route =
      ref.kind === 'HTTPRoute'
        ? state.routes.HTTPRoute.get(keyOf(ref.namespace ?? policy.metadata.namespace, ref.name))
        : undefined;
    const conflicts = policyConflicts(state, policy.metadata.namespace, {
      service,
      port,
      route,
      ruleName: ref.sectionName,
    });
    for (const conflict of conflicts) if (conflict.loser === name) lost.set(conflict.field, conflict.winner);
  }
  if (lost.size === 0) return [];
  const message = [...lost].map(([field, winner]) => `${field} is set by the older TrafficPolicy ${winner}`).join('; ');
  return [{ type: 'Conflicted', status: 'True', reason: 'Conflicted', message }];
}

export function authorizationPolicyStatus(context: TranslateContext, policy: AuthorizationPolicy): PolicyVerdict {
  const key = objectKey(policy.metadata);
  const { namespace } = policy.metadata;
  const pods = context.state.pods
    .by('namespace', namespace)
    .filter((pod) => pod.meshed && policiesFor(context.state, pod).includes(policy))
    .map((pod) => objectKey(pod.metadata));
  return {
    kind: 'AuthorizationPolicy',
    policy: key,
    generation: policy.metadata.generation,
    ancestors: [
      {
        ancestorRef: { group: '', kind: 'Namespace', name: namespace },
        conditions: [
          accepted(
            pods.length === 0
              ? 'no pod of the mesh is selected'
              : `the policy protects ${pods.length} of the mesh's pods`,
          ),
        ],
        carriers: [{ kind: 'listener', names: pods }],
        clientNamespace: undefined,
      },
    ],
  };
}
