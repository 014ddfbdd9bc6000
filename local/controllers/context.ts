import { EventWriter } from '../agent/events.ts';
import type { KubeClient } from '../client/client.ts';
import type { ConfigMap, EndpointSlice, KubeObject, NodeObject, Pod, Service } from '../client/objects.ts';
import { paths } from '../client/paths.ts';
import { type Reflector, startReflector } from '../client/reflector.ts';
import type { Deployment, Job, ReplicaSet } from './kinds.ts';

/** What every controller works with: one client, one live copy of each kind, one writer of Events. */
export interface Context {
  readonly client: KubeClient;
  readonly events: EventWriter;
  readonly caPem: string;
  readonly onError: (message: string) => void;
  readonly pods: Reflector<Pod>;
  readonly replicaSets: Reflector<ReplicaSet>;
  readonly deployments: Reflector<Deployment>;
  readonly jobs: Reflector<Job>;
  readonly services: Reflector<Service>;
  readonly slices: Reflector<EndpointSlice>;
  readonly endpoints: Reflector<KubeObject>;
  readonly nodes: Reflector<NodeObject>;
  readonly namespaces: Reflector<NamespaceObject>;
  readonly serviceAccounts: Reflector<KubeObject>;
  readonly rootConfigMaps: Reflector<ConfigMap>;
}

export interface NamespaceObject extends KubeObject {
  readonly spec?: { readonly finalizers?: readonly string[] };
  readonly status?: { readonly phase?: string };
}

export const ROOT_CA = 'kube-root-ca.crt';

export function createContext(client: KubeClient, caPem: string, onError: (message: string) => void): Context {
  const reflect = <T extends KubeObject>(path: string, fieldSelector?: string): Reflector<T> =>
    startReflector<T>(client, path, { onError, ...(fieldSelector === undefined ? {} : { fieldSelector }) });
  return {
    client,
    caPem,
    onError,
    events: new EventWriter(client, 'weft-controllers', ''),
    pods: reflect<Pod>(paths.core('pods')),
    replicaSets: reflect<ReplicaSet>(paths.apps('replicasets')),
    deployments: reflect<Deployment>(paths.apps('deployments')),
    jobs: reflect<Job>(paths.batch('jobs')),
    services: reflect<Service>(paths.core('services')),
    slices: reflect<EndpointSlice>(paths.discovery('endpointslices')),
    endpoints: reflect<KubeObject>(paths.core('endpoints')),
    nodes: reflect<NodeObject>(paths.core('nodes')),
    namespaces: reflect<NamespaceObject>(paths.core('namespaces')),
    serviceAccounts: reflect<KubeObject>(paths.core('serviceaccounts'), 'metadata.name=default'),
    rootConfigMaps: reflect<ConfigMap>(paths.core('configmaps'), `metadata.name=${ROOT_CA}`),
  };
}

export function reflectorsOf(context: Context): readonly Pick<Reflector<KubeObject>, 'synced' | 'close'>[] {
  const { pods, replicaSets, deployments, jobs, services, slices, endpoints, nodes, namespaces } = context;
  return [
    pods,
    replicaSets,
    deployments,
    jobs,
    services,
    slices,
    endpoints,
    nodes,
    namespaces,
    context.serviceAccounts,
    context.rootConfigMaps,
  ];
}

export interface Controller {
  close(): Promise<void>;
}
