/** Request paths of the API, by group and kind; the only place that spells them. */
const inNamespace = (base: string, namespace: string | undefined, plural: string, name?: string): string =>
  `${base}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}${name === undefined ? '' : `/${name}`}`;

export const paths = {
  core: (plural: string, namespace?: string, name?: string): string => inNamespace('/api/v1', namespace, plural, name),
  apps: (plural: string, namespace?: string, name?: string): string =>
    inNamespace('/apis/apps/v1', namespace, plural, name),
  batch: (plural: string, namespace?: string, name?: string): string =>
    inNamespace('/apis/batch/v1', namespace, plural, name),
  discovery: (plural: string, namespace?: string, name?: string): string =>
    inNamespace('/apis/discovery.k8s.io/v1', namespace, plural, name),
  coordination: (plural: string, namespace?: string, name?: string): string =>
    inNamespace('/apis/coordination.k8s.io/v1', namespace, plural, name),
} as const;
