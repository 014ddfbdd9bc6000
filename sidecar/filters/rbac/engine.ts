import type { Rbac, RbacPolicy } from '@weft/policies/model/authorization';
import { isTakenForAnother } from '../../route/method.ts';
import { isAmbiguous, otherReadings, pathLength } from '../../route/path.ts';
import {
  addFindings,
  type Findings,
  matchesAny,
  noFindings,
  permissionTest,
  principalTest,
  type Subject,
  type Test,
} from '../subject.ts';
import { keySetsOf } from './keys.ts';
import { PolicyIndex } from './policy-index.ts';

export type { Subject } from '../subject.ts';

export type Decision =
  | { readonly kind: 'allow'; readonly rule: string }
  | { readonly kind: 'deny'; readonly rule: string; readonly reason: string }
  /** An audit policy that would have decided. */
  | { readonly kind: 'log'; readonly rule: string }
  | { readonly kind: 'none' };

const none: Decision = { kind: 'none' };

/** From so many on it pays to look policies up. */
const INDEXED_MIN = 8;

class CompiledPolicy {
  readonly name: string;
  readonly source: RbacPolicy;
  readonly permissionsUseHttp: boolean;
  readonly principalsUseHttp: boolean;
  private readonly permissions: readonly Test[];
  private readonly principals: readonly Test[];

  constructor(policy: RbacPolicy, all: Findings) {
    const ofPermissions = noFindings();
    const ofPrincipals = noFindings();
    this.permissions = policy.permissions.map((permission) => permissionTest(permission, ofPermissions));
    this.principals = policy.principals.map((principal) => principalTest(principal, ofPrincipals));
    addFindings(all, ofPermissions);
    addFindings(all, ofPrincipals);
    this.name = policy.name;
    this.source = policy;
    this.permissionsUseHttp = ofPermissions.usesHttp;
    this.principalsUseHttp = ofPrincipals.usesHttp;
  }

  matches(subject: Subject): boolean {
    return matchesAny(this.permissions, subject) && matchesAny(this.principals, subject);
  }

  matchesConnection(subject: Subject, allows: boolean): boolean {
    const permitted = this.permissionsUseHttp ? !allows : matchesAny(this.permissions, subject);
    return permitted && (this.principalsUseHttp ? !allows : matchesAny(this.principals, subject));
  }
}

/**
 * On opaque TCP what a policy says about requests cannot be known: such a policy allows nothing, and denies without
 * regard to it.
 */
class ConnectionPolicy {
  readonly name: string;
  private readonly policy: CompiledPolicy;
  private readonly allows: boolean;

  constructor(policy: CompiledPolicy, allows: boolean) {
    this.name = policy.name;
    this.policy = policy;
    this.allows = allows;
  }

  matches(subject: Subject): boolean {
    return this.policy.matchesConnection(subject, this.allows);
  }
}

const everything = { permissions: true, principals: true };

/** One RBAC filter, compiled once; for requests and, without a head, for connections. */
export class RbacEngine {
  private readonly action: Rbac['action'];
  private readonly name: string;
  private readonly policies: readonly CompiledPolicy[];
  private readonly indexed: boolean;
  private readonly ofRequests: PolicyIndex<CompiledPolicy> | undefined;
  private ofConnections: PolicyIndex<ConnectionPolicy> | undefined;
  private readonly findings = noFindings();

  constructor(name: string, rbac: Rbac, indexedMin: number = INDEXED_MIN) {
    this.name = name;
    this.action = rbac.action;
    this.policies = rbac.policies.map((policy) => new CompiledPolicy(policy, this.findings));
    this.indexed = this.policies.length >= indexedMin;
    if (this.indexed) {
      this.ofRequests = new PolicyIndex(
        this.policies.map((policy) => ({ policy, keySets: keySetsOf(policy.source, everything) })),
      );
    }
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
    if (subject.head === undefined) return undefined;
    if (this.findings.decidesOnMethod && isTakenForAnother(subject.head.method)) {
      return `the method is one of another case to many servers, and ${this.name} decides on it`;
    }
    if (!this.findings.decidesOnPath) return undefined;
    const path = subject.head.path.slice(0, pathLength(subject.head.path));
    if (isAmbiguous(path)) {
      return `the path can be read in more than one way, and ${this.name} decides on it`;
    }
    return undefined;
  }

  /**
   * Some servers read `/admin;x` and `//admin` as `/admin`, others do not: what denies does so in any reading, what
   * allows has to in each. `/admin/` is that to many as well; for what allows paths it matters where they are excluded.
   */
  private firstMatchInEveryReading(subject: Subject): string | undefined {
    const { head, connection, jwt, clientIp = connection.remoteIp } = subject;
    const policy = this.firstMatch(subject);
    if (head === undefined || !this.findings.decidesOnPath) return policy;
    const allows = this.action === 'allow';
    if (allows ? policy === undefined : policy !== undefined) return policy;
    for (const path of otherReadings(head.path, !allows || this.findings.excludesPaths)) {
      const other = this.firstMatch({ connection, clientIp, jwt, head: { ...head, path } });
      if (allows ? other === undefined : other !== undefined) return other;
    }
    return policy;
  }

  private firstMatch(subject: Subject): string | undefined {
    if (subject.head === undefined) return this.firstOfConnection(subject);
    if (this.ofRequests !== undefined) return this.ofRequests.first(subject)?.name;
    for (const policy of this.policies) if (policy.matches(subject)) return policy.name;
    return undefined;
  }

  /** Most filters are never asked about a connection. */
  private firstOfConnection(subject: Subject): string | undefined {
    const allows = this.action === 'allow';
    if (!this.indexed) {
      for (const policy of this.policies) if (policy.matchesConnection(subject, allows)) return policy.name;
      return undefined;
    }
    this.ofConnections ??= new PolicyIndex(
      this.policies.map((policy) => ({
        policy: new ConnectionPolicy(policy, allows),
        keySets: keySetsOf(policy.source, {
          permissions: !policy.permissionsUseHttp,
          principals: !policy.principalsUseHttp,
        }),
      })),
    );
    return this.ofConnections.first(subject)?.name;
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
