/** A small set of objects about one Service, and the table that both proxies get of it. */
import assert from 'node:assert/strict';
import { outboundName } from '@weft/control-plane/translate/names';
import type { Json, JsonObject } from '../support/pair-bootstrap.ts';
import { clientIn, Translated } from '../support/translated.ts';
import type { Table, Wires } from './case.ts';

export interface PolicySet {
  /** The protocol of the Service's port. */
  readonly protocol: 'http' | 'h2c' | 'grpc';
  /** Rules of the one HTTPRoute, or GRPCRoute; none: there is no route. */
  readonly rules: readonly JsonObject[];
  readonly policies: readonly JsonObject[];
}

/** The Service that is called; its own endpoints are application `a`. */
export const SERVICE = 'a';
export const NAMESPACE = 'shop';
export const ROUTE = 'route';
/** Of those with an application behind them; `none` has no endpoints, and `missing` does not exist. */
const SERVICES = ['a', 'b', 'c', 'none'] as const;
/** Receives copies of mirrors alone. */
export const COPYING = 'c';

const appProtocols = { http: 'http', h2c: 'kubernetes.io/h2c', grpc: 'grpc' } as const;

function services({ protocol }: PolicySet): JsonObject[] {
  return SERVICES.flatMap((name, i): JsonObject[] => [
    {
      kind: 'Service',
      metadata: { name, namespace: NAMESPACE },
      spec: {
        clusterIPs: [`10.96.0.${i + 1}`],
        ports: [{ name: 'main', port: 80, targetPort: 8080, appProtocol: appProtocols[protocol] }],
      },
    },
    {
      kind: 'EndpointSlice',
      addressType: 'IPv4',
      metadata: { name, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': name } },
      ports: [{ name: 'main', port: 8080 }],
      endpoints: name === 'none' ? [] : [{ addresses: [`10.1.0.${i + 1}`] }],
    },
  ]);
}

const caller: JsonObject = {
  kind: 'Pod',
  metadata: { name: 'caller', namespace: NAMESPACE },
  spec: { containers: [{ name: 'app' }] },
  status: { phase: 'Running', podIP: '10.1.1.1' },
};

/** Retries beside each other are few here; what else Weft bounds by time, Envoy has no word for. */
const mesh: JsonObject = {
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'Mesh',
  metadata: { name: 'default' },
  spec: { retryBudget: { percent: 100, minConcurrency: 100, minRetryRate: 1_000 } },
};

export function objectsOf(set: PolicySet): readonly JsonObject[] {
  const route: JsonObject = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: set.protocol === 'grpc' ? 'GRPCRoute' : 'HTTPRoute',
    metadata: { name: ROUTE, namespace: NAMESPACE },
    spec: { parentRefs: [{ group: '', kind: 'Service', name: SERVICE, port: 80 }], rules: set.rules },
  };
  return [mesh, ...services(set), caller, ...(set.rules.length === 0 ? [] : [route]), ...set.policies];
}

const wires: Readonly<Record<PolicySet['protocol'], readonly Wires[]>> = {
  // Without a word about it, who is called is spoken to as the caller speaks.
  http: [
    { down: 'h1', up: 'h1' },
    { down: 'h2', up: 'h2' },
  ],
  h2c: [
    { down: 'h1', up: 'h2' },
    { down: 'h2', up: 'h2' },
  ],
  grpc: [{ down: 'h2', up: 'h2' }],
};

const isObject = (json: Json | undefined): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json);
const listAt = (json: JsonObject, name: string): readonly JsonObject[] => {
  const list = json[name];
  return Array.isArray(list) ? list.filter(isObject) : [];
};

/** The connection manager of the listener that requests of the pod go through. */
function managerOf(listener: JsonObject | undefined): JsonObject {
  const chain = listAt(listener ?? {}, 'filter_chains').find((one) => one['name'] === 'http');
  const manager = listAt(chain ?? {}, 'filters')[0]?.['typed_config'];
  assert.ok(isObject(manager), 'an HTTP connection manager');
  return manager;
}

export function tableOf(set: PolicySet): Table {
  const translated = new Translated(JSON.stringify({ kind: 'List', items: objectsOf(set) }));
  const client = clientIn(NAMESPACE, 'caller');
  const name = (service: string): string => outboundName({ namespace: NAMESPACE, service, port: 80 });
  const route = translated.resource('route', name(SERVICE), client);
  assert.ok(route !== undefined, 'routes of the Service');
  const clusters = SERVICES.map((service): JsonObject => {
    const { eds_cluster_config: _, ...cluster } = translated.resource('cluster', name(service), client) ?? {};
    const assignment = translated.resource('endpoints', name(service), client);
    assert.ok(assignment !== undefined, `endpoints of ${service}`);
    return { ...cluster, type: 'STATIC', load_assignment: assignment, transport_socket_matches: [] };
  });
  return {
    virtualHosts: listAt(route, 'virtual_hosts'),
    filters: [],
    translated: {
      manager: managerOf(translated.resource('listener', 'outbound', client)),
      clusters,
      wires: wires[set.protocol],
    },
  };
}
