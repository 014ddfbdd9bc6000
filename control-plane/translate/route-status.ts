/** What the specification of the Gateway API wants said about a route, for each of its parents, from the state alone. */
import { type AnyRoute, type RouteKind, routeKinds } from '@weft/policies/crds/kinds';
import type { Service } from '../index/core.ts';
import { keyOf, objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import {
  fits,
  isConsumerOf,
  isServiceParent,
  isWhollyDropped,
  mayBeParent,
  type ParentRef,
  type Port,
  parentService,
  routesOf,
  selectsPort,
} from './attachment.ts';
import { type BackendName, resolveBackend } from './backends.ts';
import type { TranslateContext } from './context.ts';
import { keepsToPods, nameForClients } from './headless.ts';
import { servicePortProtocol } from './ports.ts';
import { droppedRules } from './rule-faults.ts';
import { accepted, type Carriers, type ConditionVerdict, refused } from './verdict.ts';

interface RouteParentVerdict {
  readonly parentRef: ParentRef;
  readonly conditions: readonly ConditionVerdict[];
  readonly carriers: Carriers;
  /** Of the carriers, those for ports that speak HTTP/2: not every sidecar reads it. */
  readonly http2: readonly string[];
}

export interface RouteVerdict {
  readonly kind: RouteKind;
  readonly route: string;
  readonly generation: number;
  readonly parents: readonly RouteParentVerdict[];
}

export function routeStatuses(context: TranslateContext): RouteVerdict[] {
  return routeKinds.flatMap((kind) => {
    const store = context.state.routes[kind];
    return [...store.keys()].sort().flatMap((key) => {
      const route = store.get(key);
      return route === undefined ? [] : [routeStatus(context, route)];
    });
  });
}

export function routeStatus({ state }: TranslateContext, route: AnyRoute): RouteVerdict {
  const resolved = resolvedRefs(state, route);
  const partially = partiallyInvalid(route);
  const parents = (route.spec.parentRefs ?? []).filter(isServiceParent).map((parentRef): RouteParentVerdict => {
    const { condition, carriers, http2 } = acceptedBy(state, route, parentRef);
    const partial = condition.status === 'True' ? partially : [];
    return { parentRef, conditions: [condition, resolved, ...partial], carriers, http2 };
  });
  const { metadata, kind } = route;
  return { kind, route: objectKey(metadata), generation: metadata.generation, parents };
}

interface Acceptance {
  readonly condition: ConditionVerdict;
  readonly carriers: Carriers;
  readonly http2: readonly string[];
}

const no = (reason: string, message: string): Acceptance => ({
  condition: refused(reason, message),
  carriers: { kind: 'route', names: [] },
  http2: [],
});

const numbersOf = (ports: readonly Port[]): string => ports.map(({ port }) => port).join(', ');

/** What a port has to carry for a kind of route, in words that complete "does not carry". */
const carried = {
  HTTPRoute: 'HTTP',
  GRPCRoute: 'HTTP',
  TLSRoute: 'TLS that the mesh may look at',
  TCPRoute: 'TCP',
} as const satisfies Record<RouteKind, string>;

const remedies = {
  HTTPRoute: 'set its appProtocol',
  GRPCRoute: 'set its appProtocol',
  TLSRoute: 'set its appProtocol to tls',
  TCPRoute: 'choose another port',
} as const satisfies Record<RouteKind, string>;

function acceptedBy(state: ClusterState, route: AnyRoute, ref: ParentRef): Acceptance {
  const service = parentService(state, route, ref);
  const name = keyOf(ref.namespace ?? route.metadata.namespace, ref.name);
  if (service === undefined) {
    return no('NoMatchingParent', `there is no Service ${name}; create it or correct the reference`);
  }
  const ports = service.ports.filter((port) => selectsPort(ref, port));
  if (ports.length === 0) return no('NoMatchingParent', noSuchPort(service, name, ref));
  const carrying = ports.filter((port) => fits(route.kind, servicePortProtocol(state, service, port)));
  if (carrying.length === 0) {
    const message = `port ${numbersOf(ports)} of Service ${name} does not carry ${carried[route.kind]}; ${remedies[route.kind]}`;
    return no('NoMatchingParent', message);
  }
  if (isWhollyDropped(route)) return no('UnsupportedValue', [...droppedRules(route).values()].join('; '));
  if (!mayBeParent(route.kind, service)) {
    const what =
      service.addressing === 'headless'
        ? `is headless: its clients call pods by their addresses, where no ${route.kind} applies`
        : 'is an ExternalName: its clients call what it names, where no route applies';
    return no('UnsupportedValue', `Service ${name} ${what}; give it a cluster IP`);
  }
  return amongOthers(state, route, service, carrying);
}

function noSuchPort(service: Service, name: string, ref: ParentRef): string {
  const asked = [ref.port, ref.sectionName].filter((one) => one !== undefined).join(' named ');
  const has = service.ports.map((port) => (port.name === '' ? port.port : `${port.port} (${port.name})`)).join(', ');
  return `Service ${name} has no port ${asked || 'at all'}; it has ${has || 'none'}`;
}

/** GEP-1294, "Route types": one kind of route for a port; what is said here names the routes of the other kind. */
function amongOthers(state: ClusterState, route: AnyRoute, service: Service, carrying: readonly Port[]): Acceptance {
  const rivals = new Set<string>();
  const superseded = new Set<string>();
  const lost: Port[] = [];
  const won: Port[] = [];
  for (const port of carrying) {
    const [first] = routesOf(state, route.metadata.namespace, service, port);
    if (first === undefined || first.kind === route.kind) won.push(port);
    else {
      lost.push(port);
      rivals.add(`${first.kind} ${objectKey(first.metadata)}`);
    }
    // A route that is about to be stored is judged beside its older self.
    if (first?.kind === 'TCPRoute' && objectKey(first.metadata) !== objectKey(route.metadata)) {
      superseded.add(objectKey(first.metadata));
    }
  }
  const name = objectKey(service.metadata);
  const conflict = `port ${numbersOf(lost)} of Service ${name} goes by ${[...rivals].join(', ')}, whose kind has precedence`;
  if (won.length === 0) return no('Conflicted', `${conflict}; remove one of them or name another port`);
  const clients = isConsumerOf(route, service) ? ` for clients in namespace ${route.metadata.namespace}` : '';
  const said = [`the route is attached to Service ${name}${clients}${keepsToPods(service)}`];
  // GEP-1294, "hostnames field": in a mesh the Service decides, whatever host a request names.
  const hosts = route.kind === 'HTTPRoute' || route.kind === 'GRPCRoute' ? (route.spec.hostnames ?? []) : [];
  if (hosts.length > 0) said.push('spec.hostnames has no effect on Services');
  if (lost.length > 0) said.push(conflict);
  // GEP-2644: nothing tells connections apart, so that the oldest takes them all; the others are accepted all the same.
  if (route.kind === 'TCPRoute' && superseded.size > 0) {
    said.push(`connections go by the older TCPRoute ${[...superseded].join(', ')}`);
  }
  const own = onlyWeft(route);
  if (own !== undefined) said.push(`proxies other than Weft's sidecar ${own}`);
  return { condition: accepted(said.join('; ')), ...carriersOf(state, route, service, won) };
}

/** For what Envoy has no message. */
function onlyWeft(route: AnyRoute): string | undefined {
  switch (route.kind) {
    case 'TCPRoute':
    case 'TLSRoute':
      return 'do without the route: what a connection goes to is not in a route configuration';
    case 'GRPCRoute':
    case 'HTTPRoute': {
      const rules: readonly SessionLike[] = route.spec.rules ?? [];
      // A permanent cookie ends by itself, in whoever keeps it.
      const timed = rules.some(
        ({ sessionPersistence: session }) =>
          session?.absoluteTimeout !== undefined && session.cookie?.lifetimeType !== 'Permanent',
      );
      return timed ? 'do without sessionPersistence.absoluteTimeout' : undefined;
    }
  }
}

interface SessionLike {
  readonly sessionPersistence?:
    | {
        readonly absoluteTimeout?: string | undefined;
        readonly cookie?: { readonly lifetimeType?: string | undefined } | undefined;
      }
    | undefined;
}

function carriersOf(
  state: ClusterState,
  route: AnyRoute,
  service: Service,
  ports: readonly Port[],
): Pick<Acceptance, 'carriers' | 'http2'> {
  // Routes of connections are part of what the address of the Service stands for.
  if (route.kind === 'TCPRoute' || route.kind === 'TLSRoute') {
    return { carriers: { kind: 'address', names: service.clusterIps }, http2: [] };
  }
  const nameOf = ({ port }: Port): string => nameForClients(service, port);
  const http2 = ports.filter((port) => {
    const protocol = servicePortProtocol(state, service, port);
    return route.kind === 'GRPCRoute' || protocol === 'http2' || protocol === 'grpc';
  });
  return { carriers: { kind: 'route', names: ports.map(nameOf) }, http2: http2.map(nameOf) };
}

/** RouteConditionPartiallyInvalid: only while some rules serve and others do not, and the message begins like this. */
function partiallyInvalid(route: AnyRoute): ConditionVerdict[] {
  const dropped = droppedRules(route);
  if (dropped.size === 0 || isWhollyDropped(route)) return [];
  const names = [...dropped.keys()].map((index) => {
    const { name } = (route.spec.rules ?? [])[index] ?? {};
    return name === undefined ? String(index) : `${index} (${name})`;
  });
  const message = `Dropped Rule ${names.join(', ')}: ${[...dropped.values()].join('; ')}`;
  return [{ type: 'PartiallyInvalid', status: 'True', reason: 'UnsupportedValue', message }];
}

interface Fault {
  readonly reason: string;
  readonly message: string;
}

interface FilterLike {
  readonly type: string;
  readonly requestMirror?: { readonly backendRef: BackendName } | undefined;
  readonly extensionRef?: { readonly group: string; readonly kind: string; readonly name: string } | undefined;
}

interface RuleLike {
  readonly filters?: readonly FilterLike[] | undefined;
  readonly backendRefs?:
    | readonly (BackendName & { readonly filters?: readonly FilterLike[] | undefined })[]
    | undefined;
}

function resolvedRefs(state: ClusterState, route: AnyRoute): ConditionVerdict {
  const rules: readonly RuleLike[] = route.spec.rules ?? [];
  const faults = rules.flatMap((rule, index) => [
    ...filterFaults(state, route, rule.filters, `spec.rules[${index}]`),
    ...(rule.backendRefs ?? []).flatMap((ref, position) => {
      const at = `spec.rules[${index}].backendRefs[${position}]`;
      return [...backendFaults(state, route, ref, at), ...filterFaults(state, route, ref.filters, at)];
    }),
  ]);
  const [first] = faults;
  if (first === undefined) {
    return { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: 'all references are resolved' };
  }
  const message = faults.map((fault) => fault.message).join('; ');
  return { type: 'ResolvedRefs', status: 'False', reason: first.reason, message };
}

function backendFaults(state: ClusterState, route: AnyRoute, ref: BackendName, at: string): Fault[] {
  const backend = resolveBackend(state, route, ref);
  return backend.state !== 'faulty' ? [] : [{ reason: backend.reason, message: `${at}: ${backend.message}` }];
}

function filterFaults(
  state: ClusterState,
  route: AnyRoute,
  filters: readonly FilterLike[] | undefined,
  at: string,
): Fault[] {
  return (filters ?? []).flatMap(({ requestMirror, extensionRef }, index) => {
    const here = `${at}.filters[${index}]`;
    if (requestMirror !== undefined) {
      return backendFaults(state, route, requestMirror.backendRef, `${here}.requestMirror.backendRef`);
    }
    if (extensionRef === undefined) return [];
    const { group, kind, name } = extensionRef;
    const what = `${kind}${group === '' ? '' : `.${group}`} ${name}`;
    const message = `${here}.extensionRef: ${what} is no extension of the mesh, so that its requests fail; remove the filter`;
    return [{ reason: 'InvalidKind', message }];
  });
}
