/** `jwt` of an AuthenticationPolicy as the filter that checks tokens, and what stands in its way. */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { AuthenticationPolicy } from '@weft/policies/crds/kinds';
import { nobodysKeys } from '@weft/policies/identity/nobodys-key';
import { JWT_FILTER, type JwtLocation, type JwtProvider } from '@weft/policies/model/jwt';
import type { HttpFilter } from '@weft/policies/model/listener';
import type { Pod } from '../index/core.ts';
import { byAge, hasUnreadJwt, objectKey } from '../index/objects.ts';
import { authenticationWinners } from './authentication.ts';
import type { TranslateContext } from './context.ts';

const UNREAD_JWT = 'weft.rbac.unread-jwt';

type Issuer = NonNullable<AuthenticationPolicy['spec']['jwt']>[number];

/** Before every rule that may decide on a claim. */
export function jwtFilters(context: TranslateContext, pod: Pod): HttpFilter[] {
  const policy = authenticationWinners(context.state, pod).jwt;
  if (policy === undefined) return [];
  if (hasUnreadJwt(policy)) return [refuseAll(policy)];
  const issuers = policy.spec.jwt ?? [];
  // On the wire they are a map.
  const providers = issuers.map((issuer) => providerOf(context, issuer)).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [{ kind: 'jwt', name: JWT_FILTER, jwt: { providers, allowsMissing: true } }];
}

/** Named for the policy, as rules are in logs and metrics, and unlike any rule of an AuthorizationPolicy. */
const refuseAll = ({ metadata }: AuthenticationPolicy): HttpFilter => ({
  kind: 'rbac',
  name: UNREAD_JWT,
  rbac: {
    action: 'deny',
    policies: [
      {
        name: `AuthenticationPolicy/${objectKey(metadata)}/jwt`,
        permissions: [{ kind: 'any' }],
        principals: [{ kind: 'any' }],
      },
    ],
  },
});

const providerOf = (context: TranslateContext, issuer: Issuer): JwtProvider => ({
  name: issuer.issuer,
  issuer: issuer.issuer,
  audiences: issuer.audiences ?? [],
  keys: usable(keysOf(context, issuer)),
  locations: [...issuer.from.map(locationOf)].sort(byKind),
  forward: issuer.forward,
  claimHeaders: (issuer.claimsToHeaders ?? []).map(({ header, claim }) => ({ header: header.toLowerCase(), claim })),
  clockSkewMs: Math.ceil(acceptedDurationMs(issuer.clockSkew) / 1_000) * 1_000,
});

const kindOrder = { header: 0, query: 1, cookie: 2 } as const;
const byKind = (a: JwtLocation, b: JwtLocation): number => kindOrder[a.kind] - kindOrder[b.kind];

function locationOf({ header, prefix, query, cookie }: Issuer['from'][number]): JwtLocation {
  if (header !== undefined) return { kind: 'header', name: header.toLowerCase(), prefix: prefix ?? '' };
  if (query !== undefined) return { kind: 'query', name: query };
  return { kind: 'cookie', name: cookie ?? '' };
}

/** What is not known yet, or has no keys, lets nobody in. */
function usable(keys: string | undefined): string {
  return keys === undefined || /^\s*\{\s*"keys"\s*:\s*\[\s*\]\s*\}\s*$/.test(keys) ? nobodysKeys : keys;
}

const keysOf = ({ keySets }: TranslateContext, { jwks }: Issuer): string | undefined =>
  jwks.inline ?? (jwks.uri === undefined ? undefined : keySets?.get(jwks.uri));

/** Issuers whose tokens are refused because nobody has their keys, or whose keys could not be fetched anew. */
export function jwksProblems({ keySets }: TranslateContext, policy: AuthenticationPolicy): string[] {
  return (policy.spec.jwt ?? []).flatMap(({ issuer, jwks: { uri } }) => {
    if (uri === undefined) return [];
    const problem = keySets?.problem(uri);
    if (keySets?.get(uri) === undefined) {
      return [
        `tokens of ${issuer} are refused: its keys are not known${problem === undefined ? ' yet' : `, ${problem}`}`,
      ];
    }
    return problem === undefined ? [] : [`keys of ${issuer} are those fetched last: ${problem}`];
  });
}

/**
 * Where key sets are fetched from, of all policies. Namespaces take turns, so that there is room for the first ones of each
 * however many another one names.
 */
export function keySetUris(policies: Iterable<AuthenticationPolicy>): Set<string> {
  const byNamespace = new Map<string, Set<string>>();
  for (const { metadata, spec } of [...policies].sort(byAge)) {
    for (const { jwks } of spec.jwt ?? []) {
      if (jwks.uri === undefined) continue;
      const known = byNamespace.get(metadata.namespace);
      if (known === undefined) byNamespace.set(metadata.namespace, new Set([jwks.uri]));
      else known.add(jwks.uri);
    }
  }
  const lists = [...byNamespace.values()].map((uris) => [...uris]);
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  const turns = Array.from({ length: longest }, (_, turn) => lists.flatMap((uris) => uris.slice(turn, turn + 1)));
  return new Set(turns.flat());
}
