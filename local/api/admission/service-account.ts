import { asObjects, asString, at, ensure, type JsonObject, setDefault } from '../json.ts';
import { randomSuffix } from '../kinds/names.ts';
import { nameOf } from '../object.ts';
import { forbidden } from '../status.ts';
import type { Store } from '../store/store.ts';

/** The ServiceAccount, Priority and DefaultTolerationSeconds admission of Kubernetes, for pods being created. */
const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const pods = { group: '', plural: 'pods' };

export function admitPod(store: Store, pod: JsonObject, namespace: string): void {
  const spec = ensure(pod, 'spec');
  setDefault(spec, 'serviceAccountName', 'default');
  const account = asString(spec['serviceAccountName']) || 'default';
  spec['serviceAccountName'] = account;
  spec['serviceAccount'] = account;
  const stored = store.get('/serviceaccounts', namespace, account);
  if (stored === undefined) {
    throw forbidden(
      pods,
      nameOf(pod),
      `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`,
    );
  }
  const automount = spec['automountServiceAccountToken'] ?? stored.object['automountServiceAccountToken'];
  if (automount !== false) mountToken(spec);
  if (asObjects(spec['imagePullSecrets']).length === 0 && asObjects(stored.object['imagePullSecrets']).length > 0) {
    spec['imagePullSecrets'] = asObjects(stored.object['imagePullSecrets']).map((secret) => ({ ...secret }));
  }
  admitPriority(store, spec, nameOf(pod));
  admitTolerations(spec);
}

function mountToken(spec: JsonObject): void {
  const containers = [...asObjects(spec['initContainers']), ...asObjects(spec['containers'])];
  const lacking = containers.filter(
    (container) => !asObjects(container['volumeMounts']).some((mount) => mount['mountPath'] === mountPath),
  );
  if (lacking.length === 0) return;
  const volumes = asObjects(spec['volumes']);
  const existing = volumes.find((volume) => asString(volume['name']).startsWith('kube-api-access-'));
  const name = existing === undefined ? `kube-api-access-${randomSuffix(5)}` : asString(existing['name']);
  for (const container of lacking) {
    container['volumeMounts'] = [...asObjects(container['volumeMounts']), { name, readOnly: true, mountPath }];
  }
  if (existing !== undefined) return;
  const fieldRef = { apiVersion: 'v1', fieldPath: 'metadata.namespace' };
  const sources = [
    { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    { downwardAPI: { items: [{ path: 'namespace', fieldRef }] } },
  ];
  spec['volumes'] = [...volumes, { name, projected: { defaultMode: 0o644, sources } }];
}

function admitPriority(store: Store, spec: JsonObject, pod: string): void {
  const name = asString(spec['priorityClassName']);
  const builtin: Record<string, number | undefined> = {
    'system-cluster-critical': 2_000_000_000,
    'system-node-critical': 2_000_001_000,
  };
  const stored = store.get('scheduling.k8s.io/priorityclasses', '', name)?.object;
  const value = name === '' ? 0 : (builtin[name] ?? at(stored, 'value'));
  if (typeof value !== 'number') throw forbidden(pods, pod, `no PriorityClass with name ${name} was found`);
  spec['priority'] = value;
  setDefault(spec, 'preemptionPolicy', at(stored, 'preemptionPolicy') ?? 'PreemptLowerPriority');
}

function admitTolerations(spec: JsonObject): void {
  const tolerations = asObjects(spec['tolerations']);
  for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
    const tolerated = tolerations.some(
      (item) => (item['key'] === key || asString(item['key']) === '') && item['effect'] !== 'NoSchedule',
    );
    if (!tolerated) tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
  }
  spec['tolerations'] = tolerations;
}
