import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Permission, Principal, Rbac, RbacPolicy } from '../model/authorization.ts';
import { decodeClaim, encodeClaim } from './claim.ts';
import type { At } from './decoding.ts';
import {
  type Permission as PermissionMessage,
  type PermissionSchema,
  type Principal as PrincipalMessage,
  type PrincipalSchema,
  RBAC_Action,
  type RBACSchema,
  type RBAC as RbacMessage,
} from './gen/envoy/config/rbac/v3/rbac_pb.ts';
import { decodeHeaderMatch, decodeStringMatch, encodeHeaderMatch, encodeStringMatch } from './match.ts';
import { decodeCidr, encodeCidr } from './values.ts';

const actions = { allow: RBAC_Action.ALLOW, deny: RBAC_Action.DENY, log: RBAC_Action.LOG } as const;

/** Policies are a map in Envoy's API, which has no order: by name, as Envoy evaluates them. */
export function encodeRbac(rbac: Rbac): MessageInitShape<typeof RBACSchema> {
  const policies = [...rbac.policies].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return {
    action: actions[rbac.action],
    policies: Object.fromEntries(
      policies.map(({ name, permissions, principals }) => [
        name,
        { permissions: permissions.map(encodePermission), principals: principals.map(encodePrincipal) },
      ]),
    ),
  };
}

export function encodePermission(permission: Permission): MessageInitShape<typeof PermissionSchema> {
  switch (permission.kind) {
    case 'any':
      return { rule: { case: 'any', value: true } };
    case 'and':
      return { rule: { case: 'andRules', value: { rules: permission.rules.map(encodePermission) } } };
    case 'or':
      return { rule: { case: 'orRules', value: { rules: permission.rules.map(encodePermission) } } };
    case 'not':
      return { rule: { case: 'notRule', value: encodePermission(permission.rule) } };
    case 'header':
      return { rule: { case: 'header', value: encodeHeaderMatch(permission.match) } };
    case 'path':
      return {
        rule: { case: 'urlPath', value: { rule: { case: 'path', value: encodeStringMatch(permission.match) } } },
      };
    case 'destinationPort':
      return { rule: { case: 'destinationPort', value: permission.port } };
    case 'destinationIp':
      return { rule: { case: 'destinationIp', value: encodeCidr(permission.range) } };
  }
}

export function encodePrincipal(principal: Principal): MessageInitShape<typeof PrincipalSchema> {
  switch (principal.kind) {
    case 'any':
      return { identifier: { case: 'any', value: true } };
    case 'and':
      return { identifier: { case: 'andIds', value: { ids: principal.ids.map(encodePrincipal) } } };
    case 'or':
      return { identifier: { case: 'orIds', value: { ids: principal.ids.map(encodePrincipal) } } };
    case 'not':
      return { identifier: { case: 'notId', value: encodePrincipal(principal.id) } };
    case 'authenticated': {
      const { match } = principal;
      const value = match === undefined ? {} : { principalName: encodeStringMatch(match) };
      return { identifier: { case: 'authenticated', value } };
    }
    // The address of the connection: forwarded headers are no proof.
    case 'sourceIp':
      return { identifier: { case: 'directRemoteIp', value: encodeCidr(principal.range) } };
    case 'clientIp':
      return { identifier: { case: 'remoteIp', value: encodeCidr(principal.range) } };
    case 'claim':
      return { identifier: { case: 'metadata', value: encodeClaim(principal) } };
    case 'header':
      return { identifier: { case: 'header', value: encodeHeaderMatch(principal.match) } };
  }
}

export function decodeRbac(rbac: RbacMessage | undefined, at: At): Rbac {
  if (rbac === undefined) return at.fail('rules are required', { action: 'deny', policies: [] });
  const action = (['allow', 'deny', 'log'] as const).find((name) => actions[name] === rbac.action);
  if (action === undefined) at.field('action').fail(`unknown action ${rbac.action}`, undefined);
  const policies = Object.entries(rbac.policies).map(([name, policy]): RbacPolicy => {
    const here = at.field('policies').key(name);
    if (policy.permissions.length === 0) here.field('permissions').fail('at least one is required', undefined);
    if (policy.principals.length === 0) here.field('principals').fail('at least one is required', undefined);
    return {
      name,
      permissions: policy.permissions.map((item, i) => decodePermission(item, here.field('permissions').index(i))),
      principals: policy.principals.map((item, i) => decodePrincipal(item, here.field('principals').index(i))),
    };
  });
  return { action: action ?? 'deny', policies };
}

export function decodePermission(permission: PermissionMessage, at: At): Permission {
  const any: Permission = { kind: 'any' };
  const { rule } = permission;
  switch (rule.case) {
    case 'any':
      return rule.value ? any : at.field('any').fail('has to be true', any);
    case 'andRules':
    case 'orRules': {
      const here = at.field(rule.case === 'andRules' ? 'and_rules' : 'or_rules').field('rules');
      if (rule.value.rules.length === 0) here.fail('at least one is required', undefined);
      const rules = rule.value.rules.map((item, i) => decodePermission(item, here.index(i)));
      return { kind: rule.case === 'andRules' ? 'and' : 'or', rules };
    }
    case 'notRule':
      return { kind: 'not', rule: decodePermission(rule.value, at.field('not_rule')) };
    case 'header':
      return { kind: 'header', match: decodeHeaderMatch(rule.value, at.field('header')) };
    case 'urlPath': {
      const path = rule.value.rule.case === 'path' ? rule.value.rule.value : undefined;
      return { kind: 'path', match: decodeStringMatch(path, at.field('url_path').field('path')) };
    }
    case 'destinationPort':
      if (rule.value > 65_535) at.field('destination_port').fail('port is more than 65535', undefined);
      return { kind: 'destinationPort', port: rule.value };
    case 'destinationIp':
      return { kind: 'destinationIp', range: decodeCidr(rule.value, at.field('destination_ip')) };
    case undefined:
      return at.fail('a rule is required', any);
    default:
      // Named as unsupported already.
      return any;
  }
}

export function decodePrincipal(principal: PrincipalMessage, at: At): Principal {
  const any: Principal = { kind: 'any' };
  const { identifier } = principal;
  switch (identifier.case) {
    case 'any':
      return identifier.value ? any : at.field('any').fail('has to be true', any);
    case 'andIds':
    case 'orIds': {
      const here = at.field(identifier.case === 'andIds' ? 'and_ids' : 'or_ids').field('ids');
      if (identifier.value.ids.length === 0) here.fail('at least one is required', undefined);
      const ids = identifier.value.ids.map((item, i) => decodePrincipal(item, here.index(i)));
      return { kind: identifier.case === 'andIds' ? 'and' : 'or', ids };
    }
    case 'notId':
      return { kind: 'not', id: decodePrincipal(identifier.value, at.field('not_id')) };
    case 'authenticated': {
      const { principalName } = identifier.value;
      if (principalName === undefined) return { kind: 'authenticated', match: undefined };
      const here = at.field('authenticated').field('principal_name');
      return { kind: 'authenticated', match: decodeStringMatch(principalName, here) };
    }
    case 'directRemoteIp':
      return { kind: 'sourceIp', range: decodeCidr(identifier.value, at.field('direct_remote_ip')) };
    case 'remoteIp':
      return { kind: 'clientIp', range: decodeCidr(identifier.value, at.field('remote_ip')) };
    case 'metadata':
      return decodeClaim(identifier.value, at.field('metadata'));
    case 'header':
      return { kind: 'header', match: decodeHeaderMatch(identifier.value, at.field('header')) };
    case undefined:
      return at.fail('an identifier is required', any);
    default:
      return any;
  }
}
