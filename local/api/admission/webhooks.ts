import { randomUUID } from 'node:crypto';
import { errorText } from '@weft/policies/kit/error-text';
import type { User } from '../auth/user.ts';
import {
  asNumber,
  asObject,
  asObjects,
  asString,
  asStrings,
  at,
  equal,
  type Json,
  type JsonObject,
  parseJson,
} from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import type { Counters } from '../metrics.ts';
import { labelsOf } from '../object.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import type { Call } from '../rest/context.ts';
import { evaluateCondition } from '../schema/cel-conditions.ts';
import { internalError, StatusError } from '../status.ts';
import { labelSelectorOf, matchesLabels } from '../store/selectors.ts';
import type { Store } from '../store/store.ts';
import { restrictNode } from './node-restriction.ts';
import { callWebhook } from './webhook-client.ts';

/** Calls to mutating and validating admission webhooks (admission.k8s.io/v1). */
export interface AdmissionInput {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly type: ResourceType;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly object: JsonObject | undefined;
  readonly oldObject: JsonObject | undefined;
  readonly call: Call;
}

const group = 'admissionregistration.k8s.io';

interface Hook {
  readonly configuration: string;
  readonly name: string;
  readonly spec: JsonObject;
}

export class Admission {
  readonly #store: Store;
  readonly #counters: Counters;

  constructor(store: Store, counters: Counters) {
    this.#store = store;
    this.#counters = counters;
  }

  #hooks(plural: string): Hook[] {
    return this.#store.list(`${group}/${plural}`).flatMap((stored) =>
      asObjects(stored.object['webhooks']).map((spec) => ({
        configuration: stored.name,
        name: asString(spec['name']),
        spec,
      })),
    );
  }

  /** The object as the mutating webhooks leave it. */
  async mutate(input: AdmissionInput): Promise<JsonObject | undefined> {
    const hooks = this.#hooks('mutatingwebhookconfigurations');
    if (hooks.length === 0) return input.object;
    let object = input.object;
    const again: { hook: Hook; seen: JsonObject | undefined }[] = [];
    for (const hook of hooks) {
      object = (await this.#run(hook, { ...input, object })) ?? object;
      if (hook.spec['reinvocationPolicy'] === 'IfNeeded') again.push({ hook, seen: object });
    }
    for (const { hook, seen } of again) {
      if (!equal(seen, object)) object = (await this.#run(hook, { ...input, object })) ?? object;
    }
    return object;
  }

  async validate(input: AdmissionInput): Promise<void> {
    restrictNode(input);
    const hooks = this.#hooks('validatingwebhookconfigurations');
    if (hooks.length > 0) await Promise.all(hooks.map((hook) => this.#run(hook, input)));
  }

  async #run(hook: Hook, input: AdmissionInput): Promise<JsonObject | undefined> {
    if (input.type.group === group || !matchesRules(hook.spec, input) || !this.#matchesSelectors(hook.spec, input))
      return undefined;
    const uid = randomUUID();
    const request = requestOf(input, uid);
    const ignore = hook.spec['failurePolicy'] === 'Ignore';
    const conditions = matchConditions(hook, input, request);
    if (conditions === false) return undefined;
    try {
      if (conditions instanceof Error) throw conditions;
      const response = await callWebhook(this.#store, hook.spec, {
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        request,
      });
      return this.#answer(hook, input, response, uid);
    } catch (error) {
      if (error instanceof StatusError) throw error;
      const text = errorText(error);
      this.#counters.add('apiserver_webhook_calls_total', { name: hook.name, outcome: 'error' });
      if (ignore) return undefined;
      throw internalError(`failed calling webhook "${hook.name}": failed to call webhook: ${text}`);
    }
  }

  #answer(hook: Hook, input: AdmissionInput, review: JsonObject, uid: string): JsonObject | undefined {
    const response = asObject(review['response']);
    if (response === undefined || response['uid'] !== uid) throw new Error('response has no matching uid');
    for (const warning of asStrings(response['warnings'])) input.call.warnings.push(warning);
    if (response['allowed'] !== true) {
      this.#counters.add('apiserver_webhook_calls_total', { name: hook.name, outcome: 'denied' });
      throw denied(hook.name, asObject(response['status']) ?? {});
    }
    this.#counters.add('apiserver_webhook_calls_total', { name: hook.name, outcome: 'allowed' });
    const patch = asString(response['patch']);
    if (patch === '' || input.object === undefined) return undefined;
    if (response['patchType'] !== 'JSONPatch')
      throw new Error(`patchType ${JSON.stringify(response['patchType'])} is not JSONPatch`);
    const patched = applyJsonPatch(input.object, parseJson(Buffer.from(patch, 'base64').toString('utf8')));
    if (patched instanceof Error) throw patched;
    return patched;
  }

  #matchesSelectors(spec: JsonObject, input: AdmissionInput): boolean {
    const objectSelector = labelSelectorOf(spec['objectSelector']);
    if (objectSelector.length > 0) {
      const candidates = [input.object, input.oldObject].filter((object) => object !== undefined);
      if (!candidates.some((object) => matchesLabels(objectSelector, labelsOf(object)))) return false;
    }
    const namespaceSelector = labelSelectorOf(spec['namespaceSelector']);
    if (namespaceSelector.length === 0) return true;
    const isNamespace = input.type.storage === '/namespaces';
    if (!input.type.namespaced && !isNamespace) return true;
    const namespace = isNamespace
      ? (input.object ?? input.oldObject)
      : this.#store.get('/namespaces', '', input.namespace)?.object;
    return namespace !== undefined && matchesLabels(namespaceSelector, labelsOf(namespace));
  }
}

const has = (list: readonly string[], value: string): boolean => list.includes('*') || list.includes(value);

function resourceMatches(pattern: string, resource: string, subresource: string): boolean {
  const [wantedResource = '', wantedSub] = pattern.split('/');
  if (wantedResource !== '*' && wantedResource !== resource) return false;
  if (wantedSub === undefined) return subresource === '';
  return wantedSub === '*' || wantedSub === subresource;
}

function matchesRules(spec: JsonObject, input: AdmissionInput): boolean {
  return asObjects(spec['rules']).some((rule) => {
    const scope = asString(rule['scope']) || '*';
    if (scope === 'Namespaced' && !input.type.namespaced) return false;
    if (scope === 'Cluster' && input.type.namespaced) return false;
    return (
      has(asStrings(rule['operations']), input.operation) &&
      has(asStrings(rule['apiGroups']), input.type.group) &&
      has(asStrings(rule['apiVersions']), input.type.version) &&
      asStrings(rule['resources']).some((pattern) => resourceMatches(pattern, input.type.plural, input.subresource))
    );
  });
}

function matchConditions(hook: Hook, input: AdmissionInput, request: JsonObject): boolean | Error {
  let failure: Error | undefined;
  for (const condition of asObjects(hook.spec['matchConditions'])) {
    const result = evaluateCondition(asString(condition['expression']), {
      object: input.object ?? null,
      oldObject: input.oldObject ?? null,
      request,
    });
    if (result === false) return false;
    if (result instanceof Error) failure ??= result;
  }
  return failure ?? true;
}

export function userInfo(user: User): JsonObject {
  return {
    username: user.name,
    ...(user.uid === '' ? {} : { uid: user.uid }),
    groups: [...user.groups],
    ...(Object.keys(user.extra).length === 0
      ? {}
      : {
          extra: Object.fromEntries(
            Object.entries(user.extra).map(([key, values]): [string, Json] => [key, [...values]]),
          ),
        }),
  };
}

function requestOf(input: AdmissionInput, uid: string): JsonObject {
  const { type } = input;
  const kind = { group: type.group, version: type.version, kind: type.kind };
  const resource = { group: type.group, version: type.version, resource: type.plural };
  return {
    uid,
    kind,
    resource,
    requestKind: kind,
    requestResource: resource,
    ...(input.subresource === '' ? {} : { subResource: input.subresource, requestSubResource: input.subresource }),
    name: input.name,
    ...(input.namespace === '' ? {} : { namespace: input.namespace }),
    operation: input.operation,
    userInfo: userInfo(input.call.user),
    object: input.object ?? null,
    oldObject: input.oldObject ?? null,
    dryRun: input.call.dryRun,
    options: optionsOf(input),
  };
}

function optionsOf(input: AdmissionInput): JsonObject {
  const kind = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions', DELETE: 'DeleteOptions', CONNECT: 'ConnectOptions' }[
    input.operation
  ];
  return {
    apiVersion: 'meta.k8s.io/v1',
    kind,
    ...(input.call.dryRun ? { dryRun: ['All'] } : {}),
    ...(input.call.fieldManager === '' ? {} : { fieldManager: input.call.fieldManager }),
  };
}

function denied(name: string, status: JsonObject): StatusError {
  const message = asString(status['message']);
  const reason = asString(status['reason']);
  const why = message !== '' ? `: ${message}` : reason !== '' ? `: ${reason}` : ' without explanation';
  const code = asNumber(status['code']) ?? 403;
  const causes = asObjects(at(status, 'details', 'causes')).map((cause) => ({
    reason: asString(cause['reason']),
    message: asString(cause['message']),
    field: asString(cause['field']),
  }));
  const details = causes.length > 0 ? { causes } : undefined;
  return new StatusError(
    code < 400 ? 403 : code,
    reason || 'Forbidden',
    `admission webhook "${name}" denied the request${why}`,
    details,
  );
}
