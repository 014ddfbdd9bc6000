/** `from` of an AuthorizationPolicy rule: who calls. */
import type { AuthorizationPolicy } from '@weft/policies/crds/kinds';
import { formatSpiffeId, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { CidrRange } from '@weft/policies/model/address';
import type { Principal } from '@weft/policies/model/authorization';
import type { StringMatch } from '@weft/policies/model/match';
import { canonicalIp } from '../index/core.ts';
import { escapeRegex, parsePattern } from './patterns.ts';

type Rule = AuthorizationPolicy['spec']['rules'][number];
type Source = NonNullable<Rule['from']>[number];

export function principalsOf(rule: Rule, policyNamespace: string, trustDomain: TrustDomain): Principal[] {
  const sources = rule.from ?? [];
  if (sources.length === 0) return [{ kind: 'any' }];
  return sources.map((source) => ({ kind: 'and', ids: sourceIds(source, policyNamespace, trustDomain) }));
}

function sourceIds(source: Source, policyNamespace: string, trustDomain: TrustDomain): Principal[] {
  const ids: Principal[] = [];
  const add = <T>(
    values: readonly T[] | undefined,
    negated: readonly T[] | undefined,
    one: (value: T) => Principal,
  ) => {
    if (values !== undefined) ids.push({ kind: 'or', ids: values.map(one) });
    if (negated !== undefined) ids.push({ kind: 'not', id: { kind: 'or', ids: negated.map(one) } });
  };
  add(source.principals, source.notPrincipals, principalId);
  add(source.namespaces, source.notNamespaces, (namespace) => namespaceId(namespace, trustDomain));
  add(source.serviceAccounts, source.notServiceAccounts, (account) => accountId(account, policyNamespace, trustDomain));
  add(source.ipBlocks, source.notIpBlocks, (block) => ({ kind: 'sourceIp', range: parseCidr(block) }));
  return ids;
}

const authenticated = (match: StringMatch | undefined): Principal => ({ kind: 'authenticated', match });

function principalId(text: string): Principal {
  const pattern = parsePattern(text);
  return authenticated(pattern.kind === 'any' ? undefined : pattern);
}

function namespaceId(text: string, trustDomain: TrustDomain): Principal {
  const root = `spiffe://${trustDomain}/ns/`;
  const pattern = parsePattern(text);
  switch (pattern.kind) {
    case 'any':
      return authenticated(undefined);
    case 'exact':
      return authenticated({ kind: 'prefix', value: `${root}${pattern.value}/sa/`, ignoreCase: false });
    case 'prefix':
      return authenticated({ kind: 'prefix', value: `${root}${pattern.value}`, ignoreCase: false });
    case 'suffix':
      return authenticated({ kind: 'regex', value: `${escapeRegex(root)}[^/]*${escapeRegex(pattern.value)}/sa/[^/]+` });
  }
}

function accountId(text: string, policyNamespace: string, trustDomain: TrustDomain): Principal {
  const slash = text.indexOf('/');
  const namespace = slash === -1 ? policyNamespace : text.slice(0, slash);
  const value = formatSpiffeId({ trustDomain, namespace, serviceAccount: text.slice(slash + 1) });
  return authenticated({ kind: 'exact', value, ignoreCase: false });
}

export function parseCidr(text: string): CidrRange {
  const slash = text.indexOf('/');
  const ip = canonicalIp(slash === -1 ? text : text.slice(0, slash));
  const wholeBits = ip.includes(':') ? 128 : 32;
  return { ip, prefixBits: slash === -1 ? wholeBits : Number(text.slice(slash + 1)) };
}
