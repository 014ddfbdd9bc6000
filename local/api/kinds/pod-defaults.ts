import { asArray, asObject, asObjects, asString, at, ensure, type Json, type JsonObject, setDefault } from '../json.ts';

/** Defaults of core/v1 PodSpec ("SetDefaults_PodSpec" and friends in the API reference), for pods and every pod template. */
export function defaultPodSpec(spec: JsonObject): void {
  setDefault(spec, 'restartPolicy', 'Always');
  setDefault(spec, 'dnsPolicy', 'ClusterFirst');
  setDefault(spec, 'schedulerName', 'default-scheduler');
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  setDefault(spec, 'securityContext', {});
  const account = asString(spec['serviceAccountName']) || asString(spec['serviceAccount']);
  if (account !== '') {
    spec['serviceAccountName'] = account;
    // The deprecated alias is kept equal, as old clients read it.
    spec['serviceAccount'] = account;
  }
  for (const container of [...asObjects(spec['containers']), ...asObjects(spec['initContainers'])])
    defaultContainer(container);
  for (const volume of asObjects(spec['volumes'])) defaultVolume(volume);
}

export function defaultPodTemplate(template: Json | undefined): void {
  const spec = asObject(at(template, 'spec'));
  if (spec !== undefined) defaultPodSpec(spec);
}

/** "Always" for a tag of latest or none, else "IfNotPresent". */
function pullPolicyOf(image: string): string {
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultContainer(container: JsonObject): void {
  setDefault(container, 'imagePullPolicy', pullPolicyOf(asString(container['image'])));
  setDefault(container, 'terminationMessagePath', '/dev/termination-log');
  setDefault(container, 'terminationMessagePolicy', 'File');
  setDefault(container, 'resources', {});
  const limits = asObject(at(container, 'resources', 'limits'));
  if (limits !== undefined) {
    const requests = ensure(container, 'resources', 'requests');
    for (const [name, amount] of Object.entries(limits)) setDefault(requests, name, amount ?? '');
  }
  for (const port of asObjects(container['ports'])) setDefault(port, 'protocol', 'TCP');
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = asObject(container[name]);
    if (probe !== undefined) defaultProbe(probe);
  }
  for (const hook of ['postStart', 'preStop']) {
    const httpGet = asObject(at(container, 'lifecycle', hook, 'httpGet'));
    if (httpGet !== undefined) defaultHttpGet(httpGet);
  }
  for (const variable of asObjects(container['env'])) {
    const fieldRef = asObject(at(variable, 'valueFrom', 'fieldRef'));
    if (fieldRef !== undefined) setDefault(fieldRef, 'apiVersion', 'v1');
    const resourceRef = asObject(at(variable, 'valueFrom', 'resourceFieldRef'));
    if (resourceRef !== undefined) setDefault(resourceRef, 'divisor', '0');
  }
}

function defaultHttpGet(httpGet: JsonObject): void {
  setDefault(httpGet, 'path', '/');
  setDefault(httpGet, 'scheme', 'HTTP');
}

function defaultProbe(probe: JsonObject): void {
  const positive = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };
  for (const [name, value] of Object.entries(positive)) if (!probe[name]) probe[name] = value;
  const httpGet = asObject(probe['httpGet']);
  if (httpGet !== undefined) defaultHttpGet(httpGet);
  const grpc = asObject(probe['grpc']);
  if (grpc !== undefined) setDefault(grpc, 'service', '');
}

const volumeSourceNames = ['secret', 'configMap', 'projected', 'downwardAPI'];

function defaultVolume(volume: JsonObject): void {
  if (Object.keys(volume).every((key) => key === 'name')) volume['emptyDir'] = {};
  for (const name of volumeSourceNames) {
    const source = asObject(volume[name]);
    if (source !== undefined) setDefault(source, 'defaultMode', 0o644);
  }
  const hostPath = asObject(volume['hostPath']);
  if (hostPath !== undefined) setDefault(hostPath, 'type', '');
  defaultDownwardItems(at(volume, 'downwardAPI', 'items'));
  for (const source of asObjects(at(volume, 'projected', 'sources'))) {
    const token = asObject(source['serviceAccountToken']);
    if (token !== undefined) setDefault(token, 'expirationSeconds', 3600);
    defaultDownwardItems(at(source, 'downwardAPI', 'items'));
  }
}

function defaultDownwardItems(items: Json | undefined): void {
  for (const item of asArray(items)) {
    const fieldRef = asObject(at(item, 'fieldRef'));
    if (fieldRef !== undefined) setDefault(fieldRef, 'apiVersion', 'v1');
  }
}

/** status.qosClass from the resources of all containers. */
export function qosClassOf(spec: JsonObject): string {
  const containers = [...asObjects(spec['containers']), ...asObjects(spec['initContainers'])];
  const amounts = containers.map((container) => ({
    limits: asObject(at(container, 'resources', 'limits')) ?? {},
    requests: asObject(at(container, 'resources', 'requests')) ?? {},
  }));
  if (amounts.every(({ limits, requests }) => Object.keys(limits).length + Object.keys(requests).length === 0)) {
    return 'BestEffort';
  }
  const guaranteed = amounts.every(({ limits, requests }) =>
    ['cpu', 'memory'].every((name) => limits[name] !== undefined && String(limits[name]) === String(requests[name])),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
