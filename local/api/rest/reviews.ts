import { userInfo } from '../admission/webhooks.ts';
import type { Attributes } from '../auth/rbac.ts';
import type { User } from '../auth/user.ts';
import { asArray, asObject, asString, asStrings, at, type Json, type JsonObject } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { badRequest } from '../status.ts';
import type { ApiContext, Call } from './context.ts';

/** Questions about tokens and rights: answered, never stored. Undefined for kinds that are no reviews. */
export function review(
  context: ApiContext,
  type: ResourceType,
  body: JsonObject,
  namespace: string,
  call: Call,
): JsonObject | undefined {
  const answer = (status: JsonObject): JsonObject => ({
    kind: type.kind,
    apiVersion: `${type.group}/${type.version}`,
    metadata: { creationTimestamp: null },
    ...(body['spec'] === undefined ? {} : { spec: body['spec'] }),
    status,
  });
  switch (type.kind) {
    case 'TokenReview':
      return answer(tokenReview(context, body));
    case 'SelfSubjectReview':
      return answer({ userInfo: userInfo(call.user) });
    case 'SubjectAccessReview':
    case 'LocalSubjectAccessReview':
      if (
        type.kind === 'LocalSubjectAccessReview' &&
        at(body, 'spec', 'resourceAttributes', 'namespace') !== namespace
      ) {
        throw badRequest('spec.resourceAttributes.namespace must match metadata.namespace');
      }
      return answer(accessReview(context, userOf(asObject(body['spec']) ?? {}), body));
    case 'SelfSubjectAccessReview':
      return answer(accessReview(context, call.user, body));
    case 'SelfSubjectRulesReview':
      return answer(rulesReview(context, call.user, asString(at(body, 'spec', 'namespace'))));
    default:
      return undefined;
  }
}

function tokenReview(context: ApiContext, body: JsonObject): JsonObject {
  const wanted = asStrings(at(body, 'spec', 'audiences'));
  const verified = context.tokens.verify(
    asString(at(body, 'spec', 'token')),
    wanted.length > 0 ? wanted : context.tokens.apiAudiences,
  );
  if ('refused' in verified)
    return { authenticated: false, user: {}, error: `[invalid bearer token, ${verified.refused}]` };
  return { authenticated: true, user: userInfo(verified.user), audiences: [...verified.audiences] };
}

function userOf(spec: JsonObject): User {
  const extra = Object.entries(asObject(spec['extra']) ?? {}).map(([key, values]): [string, string[]] => [
    key,
    asStrings(values),
  ]);
  const groups = asStrings(spec['groups']);
  const name = asString(spec['user']);
  if (name === '' && groups.length === 0)
    throw badRequest('spec.user: Invalid value: "": at least one of user or group must be specified');
  return { name, uid: asString(spec['uid']), groups, extra: Object.fromEntries(extra) };
}

function accessReview(context: ApiContext, user: User, body: JsonObject): JsonObject {
  const resource = asObject(at(body, 'spec', 'resourceAttributes'));
  const url = asObject(at(body, 'spec', 'nonResourceAttributes'));
  if ((resource === undefined) === (url === undefined)) {
    throw badRequest('exactly one of spec.resourceAttributes and spec.nonResourceAttributes must be specified');
  }
  const attributes: Attributes = {
    verb: asString((resource ?? url)?.['verb']),
    group: asString(resource?.['group']),
    resource: asString(resource?.['resource']),
    subresource: asString(resource?.['subresource']),
    name: asString(resource?.['name']),
    namespace: asString(resource?.['namespace']),
    path: asString(url?.['path']),
  };
  const decision = context.authorizer.authorize(user, attributes);
  return { allowed: decision.allowed, ...(decision.reason === '' ? {} : { reason: decision.reason }) };
}

function rulesReview(context: ApiContext, user: User, namespace: string): JsonObject {
  if (namespace === '') throw badRequest('no namespace on request');
  const resourceRules: Json[] = [];
  const nonResourceRules: Json[] = [];
  const rules = user.groups.includes('system:masters')
    ? [
        { verbs: ['*'], apiGroups: ['*'], resources: ['*'], resourceNames: [], nonResourceURLs: [] },
        { verbs: ['*'], apiGroups: [], resources: [], resourceNames: [], nonResourceURLs: ['*'] },
      ]
    : [...context.authorizer.rules(user, namespace)].map((granted) => granted.rule);
  for (const rule of rules) {
    if (rule.nonResourceURLs.length > 0) {
      nonResourceRules.push({ verbs: asArray([...rule.verbs]), nonResourceURLs: [...rule.nonResourceURLs] });
    } else {
      resourceRules.push({
        verbs: [...rule.verbs],
        apiGroups: [...rule.apiGroups],
        resources: [...rule.resources],
        ...(rule.resourceNames.length > 0 ? { resourceNames: [...rule.resourceNames] } : {}),
      });
    }
  }
  return { resourceRules, nonResourceRules, incomplete: false };
}
