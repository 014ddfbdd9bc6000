import { BlockList } from 'node:net';
import type { CidrRange } from '@weft/policies/model/address';
import type { Permission, Principal, Rbac, RbacPolicy } from '@weft/policies/model/authorization';
import type { RequestHead } from '../../http/exchange.ts';
import type { PeerCertificateInfo } from '../../net/connection.ts';
import { HeaderMatcher } from '../../route/fields.ts';
import { hasEmptySegment, isAmbiguous, pathLength, withoutParameters } from '../../route/path.ts';
import { StringMatcher } from '../../route/pattern.ts';

/** What is decided on: a connection, and for HTTP its request. */
export interface Subject {
  readonly connection: {
    readonly remoteIp: string;
    readonly destinationIp: string;
    readonly destinationPort: number;
    readonly peer: PeerCertificateInfo | undefined;
  };
  /** Undefined for opaque TCP: rules about HTTP match nothing then. */
  readonly head: RequestHead | undefined;
}

export type Decision =
  | { readonly kind: 'allow'; readonly rule: string }
  | { readonly kind: 'deny'; readonly rule: string; readonly reason: string }
  /** An audit policy that would have decided. */
  | { readonly kind: 'log'; readonly rule: string }
  | { readonly kind: 'none' };

type Test = (subject: Subject) => boolean;

const none: Decision = { kind: 'none' };
const always: Test = () => true;

/** Collects what is learned while rules are compiled. */
interface Findings {
  decidesOnPath: boolean;
  /** Reads something that only a request has. */
  usesHttp: boolean;
}

function inRange(range: CidrRange): (ip: string) => boolean {
  const list = new BlockList();
  const family = range.ip.includes(':') ? 'ipv6' : 'ipv4';
  list.addSubnet(range.ip, range.prefixBits, family);
  return (ip) => list.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4');
}

function headerTest(matcher: HeaderMatcher, name: string, findings: Findings): Test {
  findings.usesHttp = true;
  if (name === ':path') findings.decidesOnPath = true;
  return ({ head }) => head !== undefined && matcher.test(head);
}

function permissionTest(permission: Permission, findings: Findings): Test {
  switch (permission.kind) {
    case 'any':
      return always;
    case 'and': {
      const tests = permission.rules.map((rule) => permissionTest(rule, findings));
      return (subject) => tests.every((test) => test(subject));
    }
    case 'or': {
      const tests = permission.rules.map((rule) => permissionTest(rule, findings));
      return (subject) => tests.some((test) => test(subject));
    }
    case 'not': {
      const test = permissionTest(permission.rule, findings);
      return (subject) => !test(subject);
    }
    case 'header':
      return headerTest(new HeaderMatcher(permission.match), permission.match.name, findings);
    case 'path': {
      findings.decidesOnPath = true;
      findings.usesHttp = true;
      const matcher = new StringMatcher(permission.match);
      return ({ head }) => head !== undefined && matcher.test(head.path.slice(0, pathLength(head.path)));
    }
    case 'destinationPort':
      return ({ connection }) => connection.destinationPort === permission.port;
    case 'destinationIp': {
      const contains = inRange(permission.range);
      return ({ connection }) => contains(connection.destinationIp);
    }
  }
}

function principalTest(principal: Principal, findings: Findings): Test {
  switch (principal.kind) {
    case 'any':
      return always;
    case 'and': {
      const tests = principal.ids.map((id) => principalTest(id, findings));
      return (subject) => tests.every((test) => test(subject));
    }
    case 'or': {
      const tests = principal.ids.map((id) => principalTest(id, findings));
      return (subject) => tests.some((test) => test(subject));
    }
    case 'not': {
      const test = principalTest(principal.id, findings);
      return (subject) => !test(subject);
    }
    case 'authenticated': {
      if (principal.match === undefined) return ({ connection }) => connection.peer?.spiffeId !== undefined;
      const matcher = new StringMatcher(principal.match);
      return ({ connection }) => {
        const id = connection.peer?.spiffeId;
        return id !== undefined && matcher.test(id);
      };
    }
    case 'sourceIp': {
      const contains = inRange(principal.range);
      return ({ connection }) => contains(connection.remoteIp);
    }
    case 'header':
      return headerTest(new HeaderMatcher(principal.match), principal.match.name, findings);
  }
}

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
    const { connection } = subject;
    return this.firstMatch({ connection, head: { ...head, path: withoutParameters(head.path) } });
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

function matchesAny(tests: readonly Test[], subject: Subject): boolean {
  for (const test of tests) if (test(subject)) return true;
  return false;
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
