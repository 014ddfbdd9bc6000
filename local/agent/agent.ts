import { mkdirSync, rmSync } from 'node:fs';
import type { KubeClient } from '../client/client.ts';
import type { ConfigMap, EndpointSlice, Pod, Secret, Service } from '../client/objects.ts';
import { paths } from '../client/paths.ts';
import { type Reflector, startReflector } from '../client/reflector.ts';
import { runCommand } from '../node/command.ts';
import { mountsBelow } from '../node/leftovers.ts';
import { meshNamespaces, NETNS_ROOT } from '../node/node.ts';
import { killAll, processesInNamespaces } from '../node/processes.ts';
import { MS_NODEV, MS_NOSUID, mount, unmount } from '../node/syscalls.ts';
import { ContainerFactory } from './container-factory.ts';
import type { ObjectLookup } from './env.ts';
import { EventWriter } from './events.ts';
import { PodNetworks } from './network.ts';
import { PodWorker, type PodWorkerPorts } from './pod-worker.ts';
import { NodeRegistration } from './registration.ts';
import { type AgentSettings, podsRoot } from './settings.ts';

export interface Agent {
  close(): Promise<void>;
}

export interface AgentSources {
  readonly services: Reflector<Service>;
  readonly slices: Reflector<EndpointSlice>;
  readonly pods: Reflector<Pod>;
}

const TMPFS_BYTES = '2g';

/** What a former agent of this mesh left: its containers cannot be adopted, since their output went to its pipes. */
async function clearFormerPods(settings: AgentSettings): Promise<void> {
  const pods = meshNamespaces(settings.names.mesh).filter((name) => name !== settings.names.nodeNamespace);
  await killAll(processesInNamespaces(pods.map((name) => `${NETNS_ROOT}/${name}`)));
  if (pods.length > 0) {
    await runCommand('ip', ['-force', '-batch', '-'], pods.map((name) => `netns del ${name}\n`).join(''));
  }
  for (const path of mountsBelow(settings.names.runDirectory)) unmount(path);
  rmSync(podsRoot(settings), { recursive: true, force: true });
}

/** Everything of a pod that is not a log lies on one tmpfs: secrets never touch a disk, and one unmount removes it all. */
function mountPodsRoot(settings: AgentSettings): void {
  const path = podsRoot(settings);
  mkdirSync(path, { recursive: true, mode: 0o711 });
  mount('tmpfs', path, 'tmpfs', MS_NOSUID | MS_NODEV, `mode=0711,size=${TMPFS_BYTES}`);
}

/** Runs the node: pods of the API that are bound to it become processes, until closed. */
export async function startAgent(
  client: KubeClient,
  settings: AgentSettings,
  onError: (message: string) => void,
  extras: (sources: AgentSources) => Promise<{ close(): Promise<void> | void }>,
): Promise<Agent> {
  await clearFormerPods(settings);
  mountPodsRoot(settings);
  const { names } = settings;
  const registration = new NodeRegistration(client, settings, onError);
  const registered = registration.start();
  const reflect = <T extends Pod | ConfigMap | Secret | Service | EndpointSlice>(path: string): Reflector<T> =>
    startReflector<T>(client, path, { onError });
  const configMaps = reflect<ConfigMap>(paths.core('configmaps'));
  const secrets = reflect<Secret>(paths.core('secrets'));
  const services = reflect<Service>(paths.core('services'));
  const slices = reflect<EndpointSlice>(paths.discovery('endpointslices'));
  const pods = startReflector<Pod>(client, paths.core('pods'), {
    fieldSelector: `spec.nodeName=${names.nodeName}`,
    onError,
  });
  const reflectors = [configMaps, secrets, services, slices, pods];
  await Promise.all([registered, ...reflectors.map((reflector) => reflector.synced)]);
  const extra = await extras({ services, slices, pods });

  const objects: ObjectLookup = {
    configMap: (namespace, name) => configMaps.get(`${namespace}/${name}`),
    secret: (namespace, name) => secrets.get(`${namespace}/${name}`),
    serviceIp: (namespace, name) => services.get(`${namespace}/${name}`)?.spec.clusterIPs?.[0],
  };
  const ports: PodWorkerPorts = {
    client,
    networks: new PodNetworks(names),
    factory: new ContainerFactory(settings, objects),
    objects,
    events: new EventWriter(client, 'kubelet', names.nodeName),
    hostIps: names.bridgeIps,
    podsRoot: podsRoot(settings),
    onError,
  };
  const workers = new Map<string, PodWorker>();
  let closing = false;
  pods.onChange((_key, now, before) => {
    if (closing) return;
    const gone = before !== undefined && before.metadata.uid !== now?.metadata.uid ? before : undefined;
    if (gone !== undefined) workers.get(gone.metadata.uid ?? '')?.forget();
    const uid = now?.metadata.uid;
    if (now === undefined || uid === undefined || now.spec.nodeName !== names.nodeName) return;
    const worker = workers.get(uid);
    if (worker !== undefined) return worker.update(now);
    const created = new PodWorker(now, ports);
    workers.set(uid, created);
    void created.done.then(() => workers.delete(uid));
  });
  const refresh =
    (kind: 'configMap' | 'secret') =>
    (_key: string, now: ConfigMap | Secret | undefined): void => {
      if (now === undefined) return;
      for (const pod of pods.list()) {
        if (usesObject(pod, kind, now)) workers.get(pod.metadata.uid ?? '')?.refreshVolumes();
      }
    };
  configMaps.onChange(refresh('configMap'));
  secrets.onChange(refresh('secret'));

  return {
    close: async () => {
      closing = true;
      for (const reflector of reflectors) reflector.close();
      registration.close();
      await Promise.all([...workers.values()].map((worker) => worker.close()));
      await extra.close();
      for (const path of mountsBelow(names.runDirectory)) unmount(path);
    },
  };
}

function usesObject(pod: Pod, kind: 'configMap' | 'secret', object: ConfigMap | Secret): boolean {
  if (pod.metadata.namespace !== object.metadata.namespace) return false;
  const { name } = object.metadata;
  return (pod.spec.volumes ?? []).some(
    (volume) =>
      (kind === 'configMap' ? volume.configMap?.name : volume.secret?.secretName) === name ||
      (volume.projected?.sources ?? []).some((source) => source[kind]?.name === name),
  );
}
