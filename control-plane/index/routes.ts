/** Routes of all kinds, by what they are attached to and what they send to. */
import { type AnyRoute, type RouteKind, routeKinds } from '@weft/policies/crds/kinds';
import { keyOf } from './objects.ts';
import { ObjectStore } from './store.ts';

/** Services that a route is attached to. */
export function serviceParents(route: AnyRoute): string[] {
  return (route.spec.parentRefs ?? [])
    .filter((ref) => ref.kind === 'Service' && ref.group === '')
    .map((ref) => keyOf(ref.namespace ?? route.metadata.namespace, ref.name));
}

interface BackendName {
  readonly name: string;
  readonly namespace?: string | undefined;
}

interface Filtered {
  readonly filters?:
    | readonly { readonly requestMirror?: { readonly backendRef: BackendName } | undefined }[]
    | undefined;
}

interface RuleLike extends Filtered {
  readonly backendRefs?: readonly (BackendName & Filtered)[] | undefined;
}

/** Everything that a route sends to, mirrors included. */
function serviceBackends(route: AnyRoute): string[] {
  const rules: readonly RuleLike[] = route.spec.rules ?? [];
  return rules.flatMap((rule) => {
    const refs = rule.backendRefs ?? [];
    const mirrors = [rule, ...refs].flatMap(({ filters }) =>
      (filters ?? []).flatMap(({ requestMirror }) => (requestMirror === undefined ? [] : [requestMirror.backendRef])),
    );
    return [...refs, ...mirrors].map((ref) => keyOf(ref.namespace ?? route.metadata.namespace, ref.name));
  });
}

const namespaceOfKey = (key: string): string => key.slice(0, key.indexOf('/'));

type RouteIndex = 'parent' | 'backend' | 'backendNamespace' | 'consumer';
type RouteStore<Route extends AnyRoute> = ObjectStore<Route, RouteIndex>;

const storeOf = <Route extends AnyRoute>(): RouteStore<Route> =>
  new ObjectStore<Route, RouteIndex>({
    parent: serviceParents,
    backend: serviceBackends,
    backendNamespace: (route) => [...new Set(serviceBackends(route).map(namespaceOfKey))],
    consumer: (route) =>
      serviceParents(route).some((key) => namespaceOfKey(key) !== route.metadata.namespace)
        ? [route.metadata.namespace]
        : [],
  });

type RouteOf<Kind extends RouteKind> = Extract<AnyRoute, { readonly kind: Kind }>;

export class RouteStores {
  readonly HTTPRoute = storeOf<RouteOf<'HTTPRoute'>>();
  readonly GRPCRoute = storeOf<RouteOf<'GRPCRoute'>>();
  readonly TCPRoute = storeOf<RouteOf<'TCPRoute'>>();
  readonly TLSRoute = storeOf<RouteOf<'TLSRoute'>>();

  /** Of all kinds, in order of their precedence. */
  by(index: RouteIndex, value: string): AnyRoute[] {
    return routeKinds.flatMap((kind): AnyRoute[] => this[kind].by(index, value));
  }

  isConsumer(namespace: string): boolean {
    return routeKinds.some((kind) => this[kind].keysBy('consumer', namespace).size > 0);
  }

  /**
   * True when what an address stands for may be another for clients of this namespace: by a route for connections, or
   * by one for requests that keeps the producer's for connections from them.
   */
  routesConnections(namespace: string): boolean {
    return this.isConsumer(namespace) && (this.TCPRoute.size > 0 || this.TLSRoute.size > 0);
  }

  get(kind: RouteKind, key: string): AnyRoute | undefined {
    return this[kind].get(key);
  }

  set(route: AnyRoute): void {
    const key = keyOf(route.metadata.namespace, route.metadata.name);
    switch (route.kind) {
      case 'HTTPRoute':
        this.HTTPRoute.set(key, route);
        return;
      case 'GRPCRoute':
        this.GRPCRoute.set(key, route);
        return;
      case 'TCPRoute':
        this.TCPRoute.set(key, route);
        return;
      case 'TLSRoute':
        this.TLSRoute.set(key, route);
        return;
    }
  }
}
