/**
 * Policies whose unknown parts are taken to hold, or not to: where both come to the same, what is unknown makes no
 * difference. Below a negation the one stands for the other.
 */
import type { Permission, Principal, RbacPolicy } from '@weft/policies/model/authorization';

/** What summaries of flows do not keep. */
export type Unknown = 'headers' | 'token' | 'IP address of the caller' | 'path';

export interface Kept {
  readonly ip: boolean;
  readonly path: boolean;
}

/** `holds`: unknown parts do. What was unknown is added to `met`. */
export function bounded(policy: RbacPolicy, kept: Kept, holds: boolean, met: Set<Unknown>): RbacPolicy {
  return {
    name: policy.name,
    permissions: policy.permissions.map((one) => permission(one, kept, holds, met)),
    principals: policy.principals.map((one) => principal(one, kept, holds, met)),
  };
}

const always = { kind: 'any' } as const;

function permission(rule: Permission, kept: Kept, holds: boolean, met: Set<Unknown>): Permission {
  switch (rule.kind) {
    case 'and':
    case 'or':
      return { kind: rule.kind, rules: rule.rules.map((one) => permission(one, kept, holds, met)) };
    case 'not':
      return { kind: 'not', rule: permission(rule.rule, kept, !holds, met) };
    case 'header':
    case 'path': {
      const unknown = rule.kind === 'path' ? pathIs(kept) : headerIs(rule.match.name, kept);
      if (unknown === undefined) return rule;
      met.add(unknown);
      return holds ? always : { kind: 'not', rule: always };
    }
    default:
      return rule;
  }
}

function principal(id: Principal, kept: Kept, holds: boolean, met: Set<Unknown>): Principal {
  switch (id.kind) {
    case 'and':
    case 'or':
      return { kind: id.kind, ids: id.ids.map((one) => principal(one, kept, holds, met)) };
    case 'not':
      return { kind: 'not', id: principal(id.id, kept, !holds, met) };
    case 'any':
    case 'authenticated':
      return id;
    default: {
      const unknown = principalIs(id, kept);
      if (unknown === undefined) return id;
      met.add(unknown);
      return holds ? always : { kind: 'not', id: always };
    }
  }
}

const pathIs = ({ path }: Kept): Unknown | undefined => (path ? undefined : 'path');

function headerIs(name: string, kept: Kept): Unknown | undefined {
  if (name === ':path') return pathIs(kept);
  return name.startsWith(':') ? undefined : 'headers';
}

function principalIs(
  id: Extract<Principal, { readonly kind: 'sourceIp' | 'clientIp' | 'claim' | 'header' }>,
  kept: Kept,
): Unknown | undefined {
  switch (id.kind) {
    case 'sourceIp':
    case 'clientIp':
      return kept.ip ? undefined : 'IP address of the caller';
    case 'claim':
      return 'token';
    case 'header':
      return headerIs(id.match.name, kept);
  }
}
