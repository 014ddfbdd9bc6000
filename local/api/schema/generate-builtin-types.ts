/**
 * Writes builtin-types.json: the field names, types and required fields of every built-in kind served here, read from the type maps of
 * @kubernetes/client-node. Kept as data because loading that package costs tens of megabytes in a process that only needs the shapes.
 *
 * Run: node local/api/schema/generate-builtin-types.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const roots = [
  'V1Namespace V1Pod V1PodTemplate V1Service V1Endpoints V1ConfigMap V1Secret V1ServiceAccount CoreV1Event V1Node V1PersistentVolumeClaim',
  'V1PersistentVolume V1ReplicationController V1LimitRange V1ResourceQuota V1Binding V1Eviction V1Scale',
  'V1Deployment V1ReplicaSet V1StatefulSet V1DaemonSet V1ControllerRevision V1Job V1CronJob V1EndpointSlice V1Lease EventsV1Event',
  'V1Role V1RoleBinding V1ClusterRole V1ClusterRoleBinding V1MutatingWebhookConfiguration V1ValidatingWebhookConfiguration',
  'V1CustomResourceDefinition V1TokenReview V1SelfSubjectReview AuthenticationV1TokenRequest V1SubjectAccessReview',
  'V1SelfSubjectAccessReview V1SelfSubjectRulesReview V1LocalSubjectAccessReview V1PodDisruptionBudget V1NetworkPolicy V1Ingress',
  'V1IngressClass V1HorizontalPodAutoscaler V2HorizontalPodAutoscaler V1PriorityClass V1StorageClass V1DeleteOptions',
].flatMap((line) => line.split(' '));

type Shape = Record<string, string | string[]>;

function modelText(model: string, extension: string): string {
  const url = import.meta.resolve('@kubernetes/client-node');
  return readFileSync(new URL(`./gen/models/${model}.${extension}`, url), 'utf8');
}

/** `Array<T>` becomes `[]T`, a string-keyed map `{}T`. */
function shorten(type: string, format: string): string {
  const array = /^Array<(.*)>$/.exec(type);
  if (array?.[1] !== undefined) return `[]${shorten(array[1], format)}`;
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (map?.[1] !== undefined) return `{}${shorten(map[1], format)}`;
  if (type === 'IntOrString') return 'intOrString';
  if (type === 'Date' || type === 'V1MicroTime') return 'time';
  if (type === 'number') return format.startsWith('int') ? 'integer' : 'number';
  if (type === 'string' && format === 'byte') return 'bytes';
  return type;
}

/** Maps of resource amounts accept numbers as well as text: the wire type is Quantity. */
const quantityMaps = new Set([
  'limits',
  'requests',
  'capacity',
  'allocatable',
  'hard',
  'used',
  'overhead',
  'allocatedResources',
]);

function shapeOf(model: string): { readonly shape: Shape; readonly mentions: readonly string[] } {
  const entries = [
    ...modelText(model, 'js').matchAll(/"baseName": "([^"]+)",\s*"type": "([^"]+)",\s*"format": "([^"]*)"/g),
  ];
  const required = [...modelText(model, 'd.ts').matchAll(/^ {4}'([^']+)': /gm)].map((m) => m[1] ?? '');
  const shape: Shape = {};
  const mentions: string[] = [];
  for (const [, name = '', type = '', format = ''] of entries) {
    let short = shorten(type, format);
    if (short === '{}string' && quantityMaps.has(name)) short = '{}quantity';
    if (short === 'string' && (name === 'sizeLimit' || name === 'divisor')) short = 'quantity';
    shape[name] = short;
    const leaf = short.replace(/^(\[\]|\{\})+/, '');
    if (/^[A-Z]/.test(leaf)) mentions.push(leaf);
  }
  if (required.length > 0) shape['!'] = required;
  return { shape, mentions };
}

const shapes: Record<string, Shape> = {};
const queue = [...roots];
for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
  if (shapes[next] !== undefined) continue;
  const { shape, mentions } = shapeOf(next);
  shapes[next] = shape;
  queue.push(...mentions);
}
const sorted = Object.fromEntries(Object.entries(shapes).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(fileURLToPath(new URL('./builtin-types.json', import.meta.url)), `${JSON.stringify(sorted, null, 2)}\n`);
