import { asArray, asNumber, asObject, asObjects, asString, asStrings, at, type JsonObject } from '../json.ts';
import type { Column } from '../kinds/resource.ts';
import { labelsOf, metaOf } from '../object.ts';
import { ageColumn, ageOf, column, countOf, joined, labelsText, nameColumn, shortened, since } from './cells.ts';

/** Columns of everything that is not a workload. */
const text = (name: string, ...path: string[]): Column => column(name, (o) => asString(at(o, ...path)));
const count = (name: string, ...path: string[]): Column =>
  column(name, (o) => countOf(at(o, ...path)), { type: 'integer' });

function servicePorts(service: JsonObject): string {
  const ports = asObjects(at(service, 'spec', 'ports')).map((port) => {
    const node = asNumber(port['nodePort']);
    return node === undefined || node === 0
      ? `${port['port']}/${port['protocol']}`
      : `${port['port']}:${node}/${port['protocol']}`;
  });
  return joined(ports);
}

function externalIp(service: JsonObject): string {
  if (at(service, 'spec', 'type') === 'ExternalName') return asString(at(service, 'spec', 'externalName'));
  const ingress = asObjects(at(service, 'status', 'loadBalancer', 'ingress')).map(
    (i) => asString(i['ip']) || asString(i['hostname']),
  );
  const ips = [...ingress, ...asStrings(at(service, 'spec', 'externalIPs'))];
  return ips.length > 0 ? ips.join(',') : at(service, 'spec', 'type') === 'LoadBalancer' ? '<pending>' : '<none>';
}

function nodeStatus(node: JsonObject): string {
  const ready = asObjects(at(node, 'status', 'conditions')).find((c) => c['type'] === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady'];
  if (at(node, 'spec', 'unschedulable') === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeRoles(node: JsonObject): string {
  const prefix = 'node-role.kubernetes.io/';
  return joined(
    Object.keys(labelsOf(node))
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length)),
  );
}

const nodeAddress = (node: JsonObject, type: string): string =>
  asString(asObjects(at(node, 'status', 'addresses')).find((a) => a['type'] === type)?.['address']) || '<none>';

function eventSeen(event: JsonObject, nowMs: number): string {
  const time = at(event, 'series', 'lastObservedTime') ?? event['lastTimestamp'] ?? event['eventTime'];
  return time === undefined || time === null ? ageOf(event, nowMs) : since(time, nowMs);
}

const eventColumns: readonly Column[] = [
  column('Last Seen', eventSeen),
  text('Type', 'type'),
  text('Reason', 'reason'),
  column(
    'Object',
    (e) => `${asString(at(e, 'involvedObject', 'kind')).toLowerCase()}/${asString(at(e, 'involvedObject', 'name'))}`,
  ),
  column('Subobject', (e) => asString(at(e, 'involvedObject', 'fieldPath')), { wide: true }),
  column('Source', (e) => asString(at(e, 'source', 'component')) || asString(e['reportingComponent']), { wide: true }),
  column('Message', (e) => asString(e['message']).trim()),
  column(
    'First Seen',
    (e, nowMs) => since(e['firstTimestamp'] ?? e['eventTime'] ?? metaOf(e)['creationTimestamp'], nowMs),
    { wide: true },
  ),
  column('Count', (e) => asNumber(e['count']) ?? asNumber(at(e, 'series', 'count')) ?? 1, {
    type: 'integer',
    wide: true,
  }),
  column('Name', (e) => asString(metaOf(e)['name']), { wide: true, format: 'name' }),
];

function subjects(kind: string): (binding: JsonObject) => string {
  return (binding) =>
    asObjects(binding['subjects'])
      .filter((subject) => subject['kind'] === kind)
      .map((subject) =>
        kind === 'ServiceAccount' ? `${subject['namespace']}/${subject['name']}` : asString(subject['name']),
      )
      .join(', ');
}

const bindingColumns: readonly Column[] = [
  nameColumn,
  column('Role', (b) => `${asString(at(b, 'roleRef', 'kind'))}/${asString(at(b, 'roleRef', 'name'))}`),
  ageColumn,
  column('Users', subjects('User'), { wide: true }),
  column('Groups', subjects('Group'), { wide: true }),
  column('ServiceAccounts', subjects('ServiceAccount'), { wide: true }),
];

function sliceEndpoints(slice: JsonObject): string {
  return shortened(asObjects(slice['endpoints']).flatMap((endpoint) => asStrings(endpoint['addresses'])));
}

function endpointsText(endpoints: JsonObject): string {
  const pairs = asObjects(endpoints['subsets']).flatMap((subset) => {
    const addresses = asObjects(subset['addresses']).map((address) => asString(address['ip']));
    const ports = asObjects(subset['ports']).map((port) => String(port['port'] ?? ''));
    return ports.length === 0
      ? addresses
      : addresses.flatMap((ip) => ports.map((port) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)));
  });
  return pairs.length === 0 ? '<none>' : shortened(pairs);
}

const createdColumn = column('Created At', (o) => asString(metaOf(o)['creationTimestamp']), { type: 'date' });

export const coreColumns: Readonly<Record<string, readonly Column[] | undefined>> = {
  namespaces: [nameColumn, text('Status', 'status', 'phase'), ageColumn],
  services: [
    nameColumn,
    text('Type', 'spec', 'type'),
    column('Cluster-IP', (s) => asString(at(s, 'spec', 'clusterIP')) || '<none>'),
    column('External-IP', externalIp),
    column('Port(s)', servicePorts),
    ageColumn,
    column('Selector', (s) => labelsText(at(s, 'spec', 'selector')), { wide: true }),
  ],
  endpoints: [nameColumn, column('Endpoints', endpointsText), ageColumn],
  endpointslices: [
    nameColumn,
    text('AddressType', 'addressType'),
    column('Ports', (s) => shortened(asObjects(s['ports']).map((port) => String(port['port'] ?? '*')))),
    column('Endpoints', sliceEndpoints),
    ageColumn,
  ],
  configmaps: [
    nameColumn,
    column('Data', (o) => countOf(o['data']) + countOf(o['binaryData']), { type: 'integer' }),
    ageColumn,
  ],
  secrets: [nameColumn, text('Type', 'type'), count('Data', 'data'), ageColumn],
  serviceaccounts: [nameColumn, column('Secrets', (o) => asArray(o['secrets']).length, { type: 'integer' }), ageColumn],
  nodes: [
    nameColumn,
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    ageColumn,
    text('Version', 'status', 'nodeInfo', 'kubeletVersion'),
    column('Internal-IP', (n) => nodeAddress(n, 'InternalIP'), { wide: true }),
    column('External-IP', (n) => nodeAddress(n, 'ExternalIP'), { wide: true }),
    column('OS-Image', (n) => asString(at(n, 'status', 'nodeInfo', 'osImage')) || '<unknown>', { wide: true }),
    column('Kernel-Version', (n) => asString(at(n, 'status', 'nodeInfo', 'kernelVersion')) || '<unknown>', {
      wide: true,
    }),
    column(
      'Container-Runtime',
      (n) => asString(at(n, 'status', 'nodeInfo', 'containerRuntimeVersion')) || '<unknown>',
      { wide: true },
    ),
  ],
  events: eventColumns,
  leases: [nameColumn, text('Holder', 'spec', 'holderIdentity'), ageColumn],
  roles: [nameColumn, createdColumn],
  clusterroles: [nameColumn, createdColumn],
  rolebindings: bindingColumns,
  clusterrolebindings: bindingColumns,
  customresourcedefinitions: [nameColumn, createdColumn],
  mutatingwebhookconfigurations: [nameColumn, count('Webhooks', 'webhooks'), ageColumn],
  validatingwebhookconfigurations: [nameColumn, count('Webhooks', 'webhooks'), ageColumn],
  poddisruptionbudgets: [
    nameColumn,
    column('Min Available', (o) => String(at(o, 'spec', 'minAvailable') ?? 'N/A')),
    column('Max Unavailable', (o) => String(at(o, 'spec', 'maxUnavailable') ?? 'N/A')),
    column('Allowed Disruptions', (o) => asNumber(at(o, 'status', 'disruptionsAllowed')) ?? 0, { type: 'integer' }),
    ageColumn,
  ],
  networkpolicies: [
    nameColumn,
    column('Pod-Selector', (o) => labelsText(at(o, 'spec', 'podSelector', 'matchLabels'))),
    ageColumn,
  ],
  ingresses: [
    nameColumn,
    column('Class', (o) => asString(at(o, 'spec', 'ingressClassName')) || '<none>'),
    column('Hosts', (o) =>
      joined(
        asObjects(at(o, 'spec', 'rules'))
          .map((rule) => asString(rule['host']))
          .filter((h) => h !== ''),
        '*',
      ),
    ),
    column('Address', (o) =>
      asObjects(at(o, 'status', 'loadBalancer', 'ingress'))
        .map((i) => asString(i['ip']))
        .join(','),
    ),
    column('Ports', (o) => (asObject(asArray(at(o, 'spec', 'tls'))[0]) === undefined ? '80' : '80, 443')),
    ageColumn,
  ],
  horizontalpodautoscalers: [
    nameColumn,
    column(
      'Reference',
      (o) =>
        `${asString(at(o, 'spec', 'scaleTargetRef', 'kind'))}/${asString(at(o, 'spec', 'scaleTargetRef', 'name'))}`,
    ),
    column('MinPods', (o) => String(asNumber(at(o, 'spec', 'minReplicas')) ?? '<unset>')),
    column('MaxPods', (o) => asNumber(at(o, 'spec', 'maxReplicas')) ?? 0, { type: 'integer' }),
    column('Replicas', (o) => asNumber(at(o, 'status', 'currentReplicas')) ?? 0, { type: 'integer' }),
    ageColumn,
  ],
  priorityclasses: [
    nameColumn,
    column('Value', (o) => asNumber(o['value']) ?? 0, { type: 'integer' }),
    column('Global-Default', (o) => o['globalDefault'] === true, { type: 'boolean' }),
    ageColumn,
    text('PreemptionPolicy', 'preemptionPolicy'),
  ],
  persistentvolumeclaims: [
    nameColumn,
    text('Status', 'status', 'phase'),
    text('Volume', 'spec', 'volumeName'),
    text('Capacity', 'status', 'capacity', 'storage'),
    column('Access Modes', (o) => asStrings(at(o, 'spec', 'accessModes')).join(',')),
    text('StorageClass', 'spec', 'storageClassName'),
    ageColumn,
  ],
};
