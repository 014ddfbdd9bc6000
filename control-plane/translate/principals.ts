/** `from` of an AuthorizationPolicy rule: who calls. */
import { formatSpiffeId, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { CidrRange } from '@weft/policies/model/address';
import type { Principal } from '@weft/policies/model/authorization';
import type { StringMatch } from '@weft/policies/model/match';
import { canonicalIp } from '../index/core.ts';
import type { TranslateContext } from './context.ts';
import { escapeRegex, type Pattern, parsePattern } from './patterns.ts';
import { anyAndNone, type Rule, type Source } from './source-values.ts';
import { tokenIds } from './token-principals.ts';
import { trustAliases } from './trust.ts';

export interface PrincipalContext {
  /** Of the policy. */
  readonly namespace: string;
  /** Of the mesh: the one it has, and those that it goes by as well. */
  readonly trustDomains: readonly TrustDomain[];
}

export const principalContext = (
  context: TranslateContext,
  policy: { readonly metadata: { readonly namespace: string } },
): PrincipalContext => ({
  namespace: policy.metadata.namespace,
  trustDomains: [context.trustDomain, ...trustAliases(context)],
});

export function principalsOf(rule: Rule, context: PrincipalContext): Principal[] {
  return ofEach(rule, (source) => [...certificateIds(source, context), ...addressIds(source), ...requestIds(source)]);
}

/**
 * The part that can be judged without requests. What rests on a token, or on what trusted proxies tell of the client,
 * cannot be shown to hold there: a source that lets in does not, one that keeps out does all the more.
 */
export function networkPrincipals(
  rule: Rule,
  context: PrincipalContext,
  { effect, trustedHops }: { readonly effect: 'lets-in' | 'keeps-out'; readonly trustedHops: number },
): Principal[] {
  const { from } = rule;
  if (from === undefined) return [{ kind: 'any' }];
  // Without trusted proxies whoever connects is the client.
  const known = (source: Source): Principal[] => (trustedHops === 0 ? clientIds(source) : []);
  const unknown = (source: Source): boolean => requestIds(source).length > known(source).length;
  const judged = effect === 'keeps-out' ? from : from.filter((source) => !unknown(source));
  if (judged.length === 0) return [];
  return ofEach({ from: judged }, (source) => [
    ...certificateIds(source, context),
    ...addressIds(source),
    ...known(source),
  ]);
}

function ofEach({ from }: Pick<Rule, 'from'>, idsOf: (source: Source) => readonly Principal[]): Principal[] {
  if (from === undefined) return [{ kind: 'any' }];
  return from.map((source) => {
    const ids = idsOf(source);
    return ids.length === 0 ? { kind: 'any' } : { kind: 'and', ids };
  });
}

function certificateIds(source: Source, { namespace, trustDomains }: PrincipalContext): Principal[] {
  const named = source.trustDomains?.flatMap((one) => inAllNames(parsePattern(one), trustDomains));
  const domains: readonly Pattern[] = named ?? trustDomains.map(exactly);
  const inDomains = (one: (domain: Pattern) => Principal): Principal => orOf(domains.map(one));
  return [
    ...anyAndNone(source.principals, source.notPrincipals, (text) => principalId(text, trustDomains)),
    ...anyAndNone(source.trustDomains, source.notTrustDomains, (text) =>
      orOf(inAllNames(parsePattern(text), trustDomains).map(domainId)),
    ),
    ...anyAndNone(source.namespaces, source.notNamespaces, (text) =>
      inDomains((domain) => namespaceId(parsePattern(text), domain)),
    ),
    ...anyAndNone(source.serviceAccounts, source.notServiceAccounts, (text) =>
      inDomains((domain) => accountId(text, namespace, domain)),
    ),
  ];
}

const addressIds = (source: Source): Principal[] =>
  anyAndNone(source.ipBlocks, source.notIpBlocks, (block) => ({ kind: 'sourceIp', range: parseCidr(block) }));

const clientIds = (source: Source): Principal[] =>
  anyAndNone(source.remoteIpBlocks, source.notRemoteIpBlocks, (block) => ({
    kind: 'clientIp',
    range: parseCidr(block),
  }));

const requestIds = (source: Source): Principal[] => [...clientIds(source), ...tokenIds(source.jwt)];

const authenticated = (match: StringMatch | undefined): Principal => ({ kind: 'authenticated', match });
const exactly = (value: string): Pattern => ({ kind: 'exact', value, ignoreCase: false });
const prefixed = (value: string): Principal => authenticated({ kind: 'prefix', value, ignoreCase: false });

function orOf(ids: readonly Principal[]): Principal {
  const [first, ...more] = ids;
  return first !== undefined && more.length === 0 ? first : { kind: 'or', ids };
}

/** Who is named by one of the names of our trust domain is meant by all of them: a certificate may still have an older one. */
const inAllNames = (domain: Pattern, trustDomains: readonly TrustDomain[]): readonly Pattern[] =>
  domain.kind === 'exact' && trustDomains.some((one) => one === domain.value) ? trustDomains.map(exactly) : [domain];

function principalId(text: string, trustDomains: readonly TrustDomain[]): Principal {
  const pattern = parsePattern(text);
  if (pattern.kind === 'any') return authenticated(undefined);
  const [, domain, path] = /^spiffe:\/\/([^/]+)(\/.*)$/.exec(pattern.value) ?? [];
  if (domain === undefined || pattern.kind === 'suffix') return authenticated(pattern);
  return orOf(
    inAllNames(exactly(domain), trustDomains).map((one) =>
      authenticated({ ...pattern, value: `spiffe://${one.kind === 'any' ? domain : one.value}${path}` }),
    ),
  );
}

function domainId(pattern: Pattern): Principal {
  switch (pattern.kind) {
    case 'any':
      return authenticated(undefined);
    case 'exact':
      return prefixed(`spiffe://${pattern.value}/`);
    case 'prefix':
      return prefixed(`spiffe://${pattern.value}`);
    case 'suffix':
      return authenticated({ kind: 'regex', value: `spiffe://${segmentRegex(pattern)}/.*` });
  }
}

/** What one segment of an identity has to be. */
function segmentRegex(pattern: Pattern): string {
  if (pattern.kind === 'any') return '[^/]+';
  const value = escapeRegex(pattern.value);
  return `${pattern.kind === 'suffix' ? '[^/]*' : ''}${value}${pattern.kind === 'prefix' ? '[^/]*' : ''}`;
}

function namespaceId(namespace: Pattern, domain: Pattern): Principal {
  if (namespace.kind === 'any') return domainId(domain);
  if (domain.kind === 'exact' && namespace.kind !== 'suffix') {
    const end = namespace.kind === 'exact' ? '/sa/' : '';
    return prefixed(`spiffe://${domain.value}/ns/${namespace.value}${end}`);
  }
  const value = `spiffe://${segmentRegex(domain)}/ns/${segmentRegex(namespace)}/sa/[^/]+`;
  return authenticated({ kind: 'regex', value });
}

function accountId(text: string, policyNamespace: string, domain: Pattern): Principal {
  const slash = text.indexOf('/');
  const namespace = slash === -1 ? policyNamespace : text.slice(0, slash);
  const serviceAccount = text.slice(slash + 1);
  if (domain.kind === 'exact') {
    const trustDomain = domain.value as TrustDomain;
    return authenticated(exactlyMatching(formatSpiffeId({ trustDomain, namespace, serviceAccount })));
  }
  const value = `spiffe://${segmentRegex(domain)}/ns/${escapeRegex(namespace)}/sa/${escapeRegex(serviceAccount)}`;
  return authenticated({ kind: 'regex', value });
}

const exactlyMatching = (value: string): StringMatch => ({ kind: 'exact', value, ignoreCase: false });

const MAPPED_BITS = 96;

/** In the one form that the wire has for it: an IPv4-mapped range is one of IPv4 (RFC 4291 section 2.5.5.2). */
export function parseCidr(text: string): CidrRange {
  const slash = text.indexOf('/');
  const ip = canonicalIp(slash === -1 ? text : text.slice(0, slash));
  const wholeBits = ip.includes(':') ? 128 : 32;
  const prefixBits = slash === -1 ? wholeBits : Number(text.slice(slash + 1));
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(ip);
  if (mapped === null) return { ip, prefixBits };
  // All of IPv6 that is so wide has no IPv4 in it: connections of that are known as such.
  if (prefixBits < MAPPED_BITS) return { ip: '::', prefixBits };
  const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return { ip: [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.'), prefixBits: prefixBits - MAPPED_BITS };
}
