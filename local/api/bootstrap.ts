import { isIP } from 'node:net';
import { bootstrapBindings, bootstrapRoles } from './auth/bootstrap-roles.ts';
import { clone, equal, type JsonObject } from './json.ts';
import { storageKey } from './kinds/resource.ts';
import { metaOf, nameOf, namespaceOf } from './object.ts';
import { type ApiContext, systemCall } from './rest/context.ts';
import { create } from './rest/create.ts';
import { update } from './rest/update.ts';

/** What a cluster has before anybody writes to it. Run at every start: what is there is brought up to date, what users made is left. */
export interface BootstrapOptions {
  /** Where the `kubernetes` Service leads. */
  readonly advertise: readonly { readonly ip: string; readonly port: number }[];
}

const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const kubernetesPort = 443;

async function put(context: ApiContext, group: string, plural: string, object: JsonObject): Promise<void> {
  const type = context.registry.find(group, 'v1', plural);
  if (type === undefined) throw new Error(`no built-in resource ${plural}`);
  const namespace = namespaceOf(object);
  const name = nameOf(object);
  const stored = context.store.get(storageKey(group, plural), namespace, name);
  if (stored === undefined) {
    await create(context, type, namespace, clone(object), systemCall());
    return;
  }
  const fields = Object.keys(object).filter(
    (field) => field !== 'metadata' && field !== 'apiVersion' && field !== 'kind',
  );
  if (fields.every((field) => equal(stored.object[field], object[field]))) return;
  const make = (existing: JsonObject): JsonObject => ({
    ...existing,
    ...clone(object),
    metadata: clone(metaOf(existing)),
  });
  await update(context, type, namespace, name, { subresource: '', make }, systemCall());
}

export async function bootstrap(context: ApiContext, options: BootstrapOptions): Promise<void> {
  for (const name of namespaces) {
    if (context.store.get('/namespaces', '', name) === undefined) {
      await put(context, '', 'namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
  }
  const group = 'rbac.authorization.k8s.io';
  for (const role of bootstrapRoles) await put(context, group, 'clusterroles', role);
  for (const binding of bootstrapBindings) await put(context, group, 'clusterrolebindings', binding);
  await putKubernetesService(context, options);
}

async function putKubernetesService(context: ApiContext, options: BootstrapOptions): Promise<void> {
  const ips = context.serviceIps.firstIps();
  const labels = { component: 'apiserver', provider: 'kubernetes' };
  const families = ips.map((ip) => (isIP(ip) === 6 ? 'IPv6' : 'IPv4'));
  if (context.store.get('/services', 'default', 'kubernetes') === undefined && ips[0] !== undefined) {
    await put(context, '', 'services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kubernetes', namespace: 'default', labels },
      spec: {
        type: 'ClusterIP',
        clusterIP: ips[0],
        clusterIPs: ips,
        ipFamilies: families,
        ipFamilyPolicy: ips.length > 1 ? 'RequireDualStack' : 'SingleStack',
        ports: [
          {
            name: 'https',
            port: kubernetesPort,
            protocol: 'TCP',
            targetPort: options.advertise[0]?.port ?? kubernetesPort,
          },
        ],
      },
    });
  }
  for (const [version, addressType] of [[4, 'IPv4'] as const, [6, 'IPv6'] as const]) {
    const addresses = options.advertise.filter(({ ip }) => isIP(ip) === version);
    if (addresses.length === 0) continue;
    await put(context, 'discovery.k8s.io', 'endpointslices', {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: version === 4 ? 'kubernetes' : 'kubernetes-ipv6',
        namespace: 'default',
        labels: { 'kubernetes.io/service-name': 'kubernetes' },
      },
      addressType,
      endpoints: addresses.map(({ ip }) => ({ addresses: [ip], conditions: { ready: true } })),
      ports: [{ name: 'https', port: addresses[0]?.port ?? kubernetesPort, protocol: 'TCP' }],
    });
  }
}
