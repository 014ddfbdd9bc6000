/** The parts of Kubernetes' own kinds that the mesh looks at, parsed once where they come in. */

import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Locality } from '@weft/policies/model/locality';
import { z } from 'zod';
import { opaquePortsOf } from './opaque-ports.ts';
import { trustedHopsOf } from './trusted-hops.ts';

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const textMap = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});
const number = z
  .int()
  .nullish()
  .transform((value) => value ?? 0);
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);
/** `null` and absence mean the same; the API writes both. */
const list = <S extends z.ZodType>(item: S) =>
  z
    .array(item)
    .nullish()
    .transform((value) => value ?? []);

const metadata = z.object({
  name: z.string(),
  namespace: text,
  uid: text,
  generation: number,
  creationTimestamp: text,
  deletionTimestamp: text,
  labels: textMap,
  annotations: textMap,
});

export type Metadata = z.output<typeof metadata>;

const service = z
  .object({
    metadata,
    spec: z.object({
      type: text,
      clusterIP: text,
      clusterIPs: list(z.string()),
      ipFamilies: list(z.string()),
      selector: textMap,
      publishNotReadyAddresses: flag,
      internalTrafficPolicy: text,
      trafficDistribution: text,
      sessionAffinity: text,
      sessionAffinityConfig: z
        .object({ clientIP: z.object({ timeoutSeconds: z.int().nullish() }).nullish() })
        .nullish(),
      ports: list(
        z.object({
          name: text,
          protocol: text,
          port: z.int(),
          targetPort: z.union([z.int(), z.string()]).nullish(),
          appProtocol: text,
        }),
      ),
    }),
  })
  .transform(({ metadata, spec }) => ({
    kind: 'Service' as const,
    metadata,
    addressing: addressingOf(spec),
    /** Empty for a headless Service. */
    clusterIps: (spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP])
      .filter((ip) => ip !== '' && ip !== 'None')
      .map(canonicalIp),
    selector: spec.selector,
    firstFamily: spec.ipFamilies[0] === 'IPv6' ? ('v6' as const) : ('v4' as const),
    /** Endpoints count as ready whatever their pods say, also while they end. */
    publishNotReady: spec.publishNotReadyAddresses,
    locality: localityOf(metadata.annotations, spec),
    /** Requests of one client go to one endpoint, until it has sent none for so long. */
    affinitySeconds:
      spec.sessionAffinity === 'ClientIP'
        ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS_DEFAULT)
        : undefined,
    /** Numbers of the Service's own ports. */
    opaquePorts: opaquePortsOf(metadata.annotations),
    /** TCP only: UDP passes the mesh untouched. */
    ports: spec.ports
      .filter((port) => port.protocol === '' || port.protocol === 'TCP')
      .map((port) => ({ ...port, targetPort: port.targetPort ?? port.port })),
  }));

/** ClientIPConfig.timeoutSeconds. */
const AFFINITY_SECONDS_DEFAULT = 10_800;

/** PreferClose is the older name of PreferSameZone (KEP-3015); a policy of Local goes before any preference. */
function localityOf(
  annotations: Readonly<Record<string, string>>,
  spec: { readonly internalTrafficPolicy: string; readonly trafficDistribution: string },
): Locality | undefined {
  if (spec.internalTrafficPolicy === 'Local') return 'local-node';
  switch (spec.trafficDistribution) {
    case 'PreferClose':
    case 'PreferSameZone':
      return 'prefer-zone';
    case 'PreferSameNode':
      return 'prefer-node';
    default: {
      const mode = annotations['service.kubernetes.io/topology-mode'];
      return mode === 'Auto' || mode === 'auto' ? 'zone-hints' : undefined;
    }
  }
}

/** Whether a Service has an address of its own, stands for those of its pods, or for a name elsewhere. */
function addressingOf(spec: {
  readonly type: string;
  readonly clusterIP: string;
  readonly clusterIPs: readonly string[];
}): 'cluster-ip' | 'headless' | 'external-name' {
  if (spec.type === 'ExternalName') return 'external-name';
  return spec.clusterIP === 'None' || spec.clusterIPs.includes('None') ? 'headless' : 'cluster-ip';
}

const endpointSlice = z
  .object({
    metadata,
    addressType: text,
    ports: list(z.object({ name: text, port: number, protocol: text, appProtocol: text })),
    endpoints: list(
      z.object({
        addresses: list(z.string()),
        conditions: z
          .object({
            ready: z.boolean().nullish(),
            serving: z.boolean().nullish(),
            terminating: z.boolean().nullish(),
          })
          .nullish(),
        nodeName: text,
        zone: text,
        hints: z
          .object({ forZones: list(z.object({ name: z.string() })), forNodes: list(z.object({ name: z.string() })) })
          .nullish(),
        targetRef: z.object({ kind: text, namespace: text, name: text, uid: text }).nullish(),
      }),
    ),
  })
  .transform((slice) => ({
    kind: 'EndpointSlice' as const,
    metadata: slice.metadata,
    service: slice.metadata.labels['kubernetes.io/service-name'] ?? '',
    addressType: slice.addressType,
    ports: slice.ports.filter((port) => port.protocol === '' || port.protocol === 'TCP'),
    endpoints: slice.endpoints.map(({ conditions, targetRef, hints, ...endpoint }) => ({
      ...endpoint,
      hints: {
        zones: hints?.forZones.map(({ name }) => name) ?? [],
        nodes: hints?.forNodes.map(({ name }) => name) ?? [],
      },
      addresses: endpoint.addresses.map(canonicalIp),
      // discovery.k8s.io/v1: an unknown `ready` counts as true, an unknown `serving` as `ready`.
      ready: conditions?.ready ?? true,
      serving: conditions?.serving ?? conditions?.ready ?? true,
      terminating: conditions?.terminating ?? false,
      pod: targetRef?.kind === 'Pod' ? targetRef.name : '',
    })),
  }));

/** RFC 5952; the URL Standard writes IPv6 addresses so. What is no address stays as it is and matches nothing. */
export function canonicalIp(ip: string): string {
  if (!ip.includes(':')) return ip;
  const url = URL.parse(`http://[${ip}]`);
  return url === null ? ip : url.hostname.slice(1, -1);
}

const SIDECAR_CONTAINER = 'weft-proxy';

const containerStatus = z.object({
  name: z.string(),
  ready: z.boolean().nullish(),
  started: z.boolean().nullish(),
  restartCount: number,
});

const containerPorts = list(z.object({ name: text, containerPort: z.int(), protocol: text }));

const pod = z
  .object({
    metadata: metadata.extend({
      ownerReferences: list(z.object({ kind: text, name: text, controller: z.boolean().nullish() })),
    }),
    spec: z.object({
      serviceAccountName: text,
      nodeName: text,
      hostNetwork: z.boolean().nullish(),
      containers: list(z.object({ name: z.string(), ports: containerPorts })),
      initContainers: list(z.object({ name: z.string(), restartPolicy: text, ports: containerPorts })),
    }),
    status: z
      .object({
        phase: text,
        podIP: text,
        podIPs: list(z.object({ ip: text })),
        initContainerStatuses: list(containerStatus),
        containerStatuses: list(containerStatus),
      })
      .nullish(),
  })
  .transform(({ metadata: { ownerReferences, ...meta }, spec, status }) => {
    const ips = (status?.podIPs ?? []).map((one) => canonicalIp(one.ip)).filter((ip) => ip !== '');
    const owner = ownerReferences.find((one) => one.controller === true) ?? ownerReferences[0];
    const finished = status?.phase === 'Succeeded' || status?.phase === 'Failed';
    return {
      kind: 'Pod' as const,
      metadata: meta,
      serviceAccount: spec.serviceAccountName === '' ? 'default' : spec.serviceAccountName,
      nodeName: spec.nodeName,
      hostNetwork: spec.hostNetwork ?? false,
      /** None once the pod has ended: its addresses may be another's by then. */
      ips: finished ? [] : ips.length > 0 || !status?.podIP ? ips : [canonicalIp(status.podIP)],
      finished,
      terminating: meta.deletionTimestamp !== '',
      workload: workloadName(meta, owner),
      opaquePorts: opaquePortsOf(meta.annotations),
      /** Undefined: as the mesh says. */
      trustedHops: trustedHopsOf(meta.annotations),
      ports: [...spec.containers, ...spec.initContainers.filter(isOwnSidecar)].flatMap((container) =>
        container.ports
          .filter((port) => port.protocol === '' || port.protocol === 'TCP')
          .map((port) => ({ name: port.name, port: port.containerPort })),
      ),
      meshed: hasStartedSidecar(spec.initContainers, status?.initContainerStatuses ?? []),
    };
  });

/** Init containers that stay, those of the mesh left out: a Service's port may be one of theirs. */
const isOwnSidecar = ({ name, restartPolicy }: { readonly name: string; readonly restartPolicy: string }): boolean =>
  restartPolicy === 'Always' && name !== SIDECAR_CONTAINER;

/**
 * True from the first start of the sidecar on, also while its container restarts: from then on the pod's inbound
 * traffic goes to the sidecar in any case, so that falling back to plaintext would only give away what it carries.
 */
function hasStartedSidecar(
  initContainers: readonly { readonly name: string; readonly restartPolicy: string }[],
  statuses: readonly { readonly name: string; readonly started?: boolean | null | undefined; restartCount: number }[],
): boolean {
  const native = initContainers.some((one) => one.name === SIDECAR_CONTAINER && one.restartPolicy === 'Always');
  if (!native) return false;
  const status = statuses.find((one) => one.name === SIDECAR_CONTAINER);
  return status !== undefined && (status.started === true || status.restartCount > 0);
}

/** The owner that users know: a Deployment's name is its ReplicaSet's without the hash of the template. */
function workloadName(
  meta: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
  owner: { readonly kind: string; readonly name: string } | undefined,
): string {
  if (owner === undefined) return meta.name;
  const hash = meta.labels['pod-template-hash'];
  if (owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`)) {
    return owner.name.slice(0, -hash.length - 1);
  }
  return owner.name;
}

const namespace = z.object({ metadata }).transform(({ metadata }) => ({ kind: 'Namespace' as const, metadata }));
const node = z.object({ metadata }).transform(({ metadata }) => ({
  kind: 'Node' as const,
  metadata,
  zone: metadata.labels['topology.kubernetes.io/zone'] ?? '',
}));

export type Service = z.output<typeof service>;
export type ServicePortSpec = Service['ports'][number];
export type EndpointSlice = z.output<typeof endpointSlice>;
export type Pod = z.output<typeof pod>;
export type Namespace = z.output<typeof namespace>;
export type Node = z.output<typeof node>;

const schemas = { Service: service, EndpointSlice: endpointSlice, Pod: pod, Namespace: namespace, Node: node };

export interface CoreTypes {
  readonly Service: Service;
  readonly EndpointSlice: EndpointSlice;
  readonly Pod: Pod;
  readonly Namespace: Namespace;
  readonly Node: Node;
}

export type CoreKind = keyof CoreTypes;
export const coreKinds = Object.keys(schemas) as readonly CoreKind[];
export const isCoreKind = (kind: string): kind is CoreKind => Object.hasOwn(schemas, kind);

export function parseCore(kind: CoreKind, object: unknown): Result<CoreTypes[CoreKind], string> {
  const parsed = schemas[kind].safeParse(object);
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  return err(`${kind} ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`);
}
