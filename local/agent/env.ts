import type { ConfigMap, Container, Pod, Secret } from '../client/objects.ts';
import { fieldOf, type PodAddresses, resourceOf } from './fields.ts';

/** Where ConfigMaps and Secrets come from; they are in the pod's namespace. */
export interface ObjectLookup {
  configMap(namespace: string, name: string): ConfigMap | undefined;
  secret(namespace: string, name: string): Secret | undefined;
  /** First cluster IP of a Service. */
  serviceIp?(namespace: string, name: string): string | undefined;
}

type EnvResult =
  | { readonly ok: true; readonly env: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly message: string };

/** `$(NAME)` is replaced by a variable that is known already, `$$` is a dollar sign; anything else stays as it is. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^()]*)\)/g, (whole, name: string | undefined) =>
    whole === '$$' ? '$' : name !== undefined && Object.hasOwn(env, name) ? (env[name] ?? '') : whole,
  );
}

export function configMapData(map: ConfigMap): Record<string, Buffer> {
  const data: Record<string, Buffer> = {};
  for (const [key, value] of Object.entries(map.data ?? {})) data[key] = Buffer.from(value, 'utf8');
  for (const [key, value] of Object.entries(map.binaryData ?? {})) data[key] = Buffer.from(value, 'base64');
  return data;
}

export function secretData(secret: Secret): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]),
  );
}

type Value = { readonly value?: string } | { readonly message: string };

function keyOf(
  kind: string,
  reference: { readonly name: string; readonly key: string; readonly optional?: boolean },
  data: Readonly<Record<string, Buffer>> | undefined,
): Value {
  if (data === undefined)
    return reference.optional === true ? {} : { message: `${kind} "${reference.name}" not found` };
  const value = data[reference.key];
  if (value !== undefined) return { value: value.toString('utf8') };
  return reference.optional === true
    ? {}
    : { message: `couldn't find key ${reference.key} in ${kind} ${reference.name}` };
}

/** The container's environment, in the order that Kubernetes gives: service variables, envFrom, then env, later ones winning. */
export function containerEnv(
  pod: Pod,
  container: Container,
  base: Readonly<Record<string, string>>,
  addresses: PodAddresses,
  objects: ObjectLookup,
): EnvResult {
  const namespace = pod.metadata.namespace ?? 'default';
  const env: Record<string, string> = { ...base };
  for (const source of container.envFrom ?? []) {
    const reference = source.configMapRef ?? source.secretRef;
    if (reference === undefined) continue;
    let data: Record<string, Buffer> | undefined;
    if (source.configMapRef !== undefined) {
      const map = objects.configMap(namespace, reference.name);
      data = map === undefined ? undefined : configMapData(map);
    } else {
      const secret = objects.secret(namespace, reference.name);
      data = secret === undefined ? undefined : secretData(secret);
    }
    if (data === undefined) {
      if (reference.optional === true) continue;
      return {
        ok: false,
        message: `${source.configMapRef === undefined ? 'secret' : 'configmap'} "${reference.name}" not found`,
      };
    }
    for (const [key, value] of Object.entries(data)) env[`${source.prefix ?? ''}${key}`] = value.toString('utf8');
  }
  for (const variable of container.env ?? []) {
    const from = variable.valueFrom;
    let result: Value;
    if (from === undefined) result = { value: expand(variable.value ?? '', env) };
    else if (from.fieldRef !== undefined) result = fieldOf(pod, addresses, from.fieldRef.fieldPath);
    else if (from.resourceFieldRef !== undefined) result = resourceOf(pod, container, from.resourceFieldRef);
    else if (from.configMapKeyRef !== undefined) {
      const map = objects.configMap(namespace, from.configMapKeyRef.name);
      result = keyOf('configmap', from.configMapKeyRef, map === undefined ? undefined : configMapData(map));
    } else if (from.secretKeyRef !== undefined) {
      const secret = objects.secret(namespace, from.secretKeyRef.name);
      result = keyOf('secret', from.secretKeyRef, secret === undefined ? undefined : secretData(secret));
    } else result = { message: `env ${variable.name}: unknown source` };
    if ('message' in result) return { ok: false, message: result.message };
    if (result.value !== undefined) env[variable.name] = result.value;
  }
  return { ok: true, env };
}
