import type { CidrRange } from '@weft/policies/model/address';
import type { Permission, Principal } from '@weft/policies/model/authorization';
import type { HeaderMatch } from '@weft/policies/model/match';
import type { RequestMatch } from '@weft/policies/model/overload';
import type { RequestHead } from '../http/exchange.ts';
import { ipDigits, rangeDigits } from '../net/addresses.ts';
import type { PeerCertificateInfo } from '../net/connection.ts';
import { HeaderMatcher } from '../route/fields.ts';
import { pathLength } from '../route/path.ts';
import { StringMatcher } from '../route/pattern.ts';
import { valueAt, valueTest } from '../route/value.ts';
import type { VerifiedJwt } from './jwt/verified.ts';

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
  /** Of the client, where proxies in front are believed; absent: that of the connection. */
  readonly clientIp?: string;
  readonly jwt?: VerifiedJwt | undefined;
}

export type Test = (subject: Subject) => boolean;

const always: Test = () => true;

/** Collects what is learned while rules are compiled. */
export interface Findings {
  decidesOnPath: boolean;
  /** By what a path is not. */
  excludesPaths: boolean;
  decidesOnMethod: boolean;
  /** Reads something that only a request has. */
  usesHttp: boolean;
}

export const noFindings = (): Findings => ({
  decidesOnPath: false,
  excludesPaths: false,
  decidesOnMethod: false,
  usesHttp: false,
});

export function addFindings(to: Findings, found: Findings): void {
  to.decidesOnPath ||= found.decidesOnPath;
  to.excludesPaths ||= found.excludesPaths;
  to.decidesOnMethod ||= found.decidesOnMethod;
  to.usesHttp ||= found.usesHttp;
}

/** What is found inside of a negation. */
function negated(findings: Findings, compile: (inner: Findings) => Test): Test {
  const inner = noFindings();
  const test = compile(inner);
  addFindings(findings, { ...inner, excludesPaths: inner.decidesOnPath });
  return (subject) => !test(subject);
}

function inRange(range: CidrRange): (ip: string) => boolean {
  const prefix = rangeDigits(range);
  return (ip) => ipDigits(ip).startsWith(prefix);
}

function all(tests: readonly Test[]): Test {
  return (subject) => {
    for (const test of tests) if (!test(subject)) return false;
    return true;
  };
}

const any =
  (tests: readonly Test[]): Test =>
  (subject) =>
    matchesAny(tests, subject);

function headerTest(match: HeaderMatch, findings: Findings): Test {
  const matcher = new HeaderMatcher(match);
  findings.usesHttp = true;
  if (match.name === ':method') findings.decidesOnMethod = true;
  if (match.name === ':path') {
    findings.decidesOnPath = true;
    if (match.invert) findings.excludesPaths = true;
  }
  return ({ head }) => head !== undefined && matcher.test(head);
}

export function permissionTest(permission: Permission, findings: Findings): Test {
  switch (permission.kind) {
    case 'any':
      return always;
    case 'and':
      return all(permission.rules.map((rule) => permissionTest(rule, findings)));
    case 'or':
      return any(permission.rules.map((rule) => permissionTest(rule, findings)));
    case 'not':
      return negated(findings, (inner) => permissionTest(permission.rule, inner));
    case 'header':
      return headerTest(permission.match, findings);
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

export function principalTest(principal: Principal, findings: Findings): Test {
  switch (principal.kind) {
    case 'any':
      return always;
    case 'and':
      return all(principal.ids.map((id) => principalTest(id, findings)));
    case 'or':
      return any(principal.ids.map((id) => principalTest(id, findings)));
    case 'not':
      return negated(findings, (inner) => principalTest(principal.id, inner));
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
    case 'clientIp': {
      const contains = inRange(principal.range);
      return ({ connection, clientIp }) => contains(clientIp ?? connection.remoteIp);
    }
    case 'claim': {
      findings.usesHttp = true;
      const { path } = principal;
      const test = valueTest(principal.value);
      return ({ jwt }) => jwt !== undefined && test(valueAt(jwt.claims, path));
    }
    case 'header':
      return headerTest(principal.match, findings);
  }
}

export function matchesAny(tests: readonly Test[], subject: Subject): boolean {
  for (const test of tests) if (test(subject)) return true;
  return false;
}

/** Whether any of the matches holds; none: for every request. Undefined where there is nothing to test. */
export function matchTest(matches: readonly RequestMatch[]): Test | undefined {
  if (matches.length === 0) return undefined;
  const findings = noFindings();
  const compiled = matches.map(({ permissions, principals }) => ({
    permissions: permissions.map((permission) => permissionTest(permission, findings)),
    principals: principals.map((principal) => principalTest(principal, findings)),
  }));
  return (subject) => {
    for (const { permissions, principals } of compiled) {
      if (matchesAny(permissions, subject) && matchesAny(principals, subject)) return true;
    }
    return false;
  };
}

/** Who calls, for shares and limits: the verified identity, or the address where there is none. */
export function callerOf({ connection }: { readonly connection: Subject['connection'] }): string {
  return connection.peer?.spiffeId ?? connection.remoteIp;
}
