import type { Rbac, RbacPolicy } from '@weft/policies/model/authorization';
import { hasEmptySegment, isAmbiguous, pathLength, withoutParameters } from '../../route/path.ts';
import { type Findings, matchesAny, permissionTest, principalTest, type Subject, type Test } from '../subject.ts';

export type { Subject } from '../subject.ts';

export type Decision =
  | { readonly kind: 'allow'; readonly rule: string }
  | { readonly kind: 'deny'; readonly rule: string; readonly reason: string }
  /** An audit policy that would have decided. */
  | { readonly kind: 'log'; readonly rule: string }
  | { readonly kind: 'none' };

const none: Decision = { kind: 'none' };

interface CompiledPolicy {
  readonly name: string;
  readonly permissions: readonly Test[];
  readonly principals: readonly Test[];
  readonly permissionsUseHttp: boolean;
  readonly principalsUseHttp: boolean;
}

function compilePolicy(policy: RbacPolicy, all: Findings): CompiledPolicy {
  const ofPermissions: Findings = { decidesOnPath: false, usesHttp: false };
  const ofPrincipals: Findings = { decidesOnPath: false, usesHttp: false };
  const permissions = policy.permissions.map((permission) => permissionTest(permission, ofPermissions));
  const principals = policy.principals.map((principal) => principalTest(principal, ofPrincipals));
  for (const found of [ofPermissions, ofPrincipals]) {
    all.decidesOnPath ||= found.decidesOnPath;
    all.usesHttp ||= found.usesHttp;
  }
  return {
    name: policy.name,
    permissions,
    principals,
    permissionsUseHttp: ofPermissions.usesHttp,
    principalsUseHttp: ofPrincipals.usesHttp,
  };
}

/** One RBAC filter, compiled once; for requests and, without a head, for connections. */
export class RbacEngine {
  private readonly action: Rbac['action'];
  private readonly name: string;
  private readonly policies: readonly CompiledPolicy[];
  private readonly findings: Findings = { decidesOnPath: false, usesHttp: false };

  constructor(name: string, rbac: Rbac) {
    this.name = name;
    this.action = rbac.action;
    this.policies = rbac.policies.map((policy) => compilePolicy(policy, this.findings));
  }

  decide(subject: Subject): Decision {
    const refusal = this.action === 'log' ? undefined : this.cannotDecide(subject);
    if (refusal !== undefined) return { kind: 'deny', rule: this.name, reason: refusal };
    const policy = this.firstMatchInEveryReading(subject);
    switch (this.action) {
      case 'allow':
        if (policy !== undefined) return { kind: 'allow', rule: policy };
        return { kind: 'deny', rule: this.name, reason: `no policy of ${this.name} allows it` };
      case 'deny':
        return policy === undefined ? none : { kind: 'deny', rule: policy, reason: `by ${policy}` };
      case 'log':
        return policy === undefined ? none : { kind: 'log', rule: policy };
    }
  }

  /** A rule that cannot be evaluated with certainty refuses, whether it would have allowed or denied. */
  private cannotDecide(subject: Subject): string | undefined {
    if (!this.findings.decidesOnPath || subject.head === undefined) return undefined;
    const path = subject.head.path.slice(0, pathLength(subject.head.path));
    if (isAmbiguous(path) || (this.action === 'deny' && hasEmptySegment(path))) {
      return `the path can be read in more than one way, and ${this.name} decides on it`;
    }
    return undefined;
  }

  /**
   * Servers that know path parameters match `/admin;x` as `/admin` (RFC 3986 section 3.3), others do not: what denies
   * does so in either reading, what allows has to in both.
   */
  private firstMatchInEveryReading(subject: Subject): string | undefined {
    const { head } = subject;
    const policy = this.firstMatch(subject);
    if (head === undefined || !this.findings.decidesOnPath || !head.path.includes(';') || this.action === 'log') {
      return policy;
    }
    const settled = this.action === 'allow' ? policy === undefined : policy !== undefined;
    if (settled) return policy;
    const { connection, jwt } = subject;
    const clientIp = subject.clientIp ?? connection.remoteIp;
    return this.firstMatch({ connection, clientIp, jwt, head: { ...head, path: withoutParameters(head.path) } });
  }

  private firstMatch(subject: Subject): string | undefined {
    if (subject.head === undefined) return this.firstMatchOfConnection(subject);
    for (const policy of this.policies) {
      if (matchesAny(policy.permissions, subject) && matchesAny(policy.principals, subject)) return policy.name;
    }
    return undefined;
  }

  /**
   * On opaque TCP what a policy says about requests cannot be known: such a policy allows nothing, and denies without
   * regard to it.
   */
  private firstMatchOfConnection(subject: Subject): string | undefined {
    const allows = this.action === 'allow';
    for (const policy of this.policies) {
      const permitted = policy.permissionsUseHttp ? !allows : matchesAny(policy.permissions, subject);
      const meant = policy.principalsUseHttp ? !allows : matchesAny(policy.principals, subject);
      if (permitted && meant) return policy.name;
    }
    return undefined;
  }
}

const connectionEngines = new WeakMap<readonly Rbac[], readonly RbacEngine[]>();

/** Network RBAC of a filter chain: all its filters in order, compiled on first use. The rule is empty where none decided. */
export function evaluateNetwork(
  rbacs: readonly Rbac[],
  connection: Subject['connection'],
): { readonly allowed: boolean; readonly rule: string } {
  let engines = connectionEngines.get(rbacs);
  if (engines === undefined) {
    engines = rbacs.map((rbac, index) => new RbacEngine(`network-rbac-${index}`, rbac));
    connectionEngines.set(rbacs, engines);
  }
  const subject: Subject = { connection, head: undefined };
  let rule = '';
  for (const engine of engines) {
    const decision = engine.decide(subject);
    if (decision.kind === 'deny') return { allowed: false, rule: decision.rule };
    if (decision.kind !== 'none') rule = decision.rule;
  }
  return { allowed: true, rule };
}
