/** `from` of an AuthorizationPolicy rule: who calls, by certificate, address and token. */
import { z } from 'zod';
import { ipBlock } from '../formats.ts';
import { listOf, setOf, text, withRules } from '../schema.ts';
import { namespace, principal, serviceAccount, trustDomainPattern } from '../workload.ts';

const valuesMax = 32;
const tokenValueCharactersMax = 256;

const names = <S extends z.ZodType<string>>(item: S, description: string) =>
  setOf(item, { min: 1, max: valuesMax }).optional().describe(description);

const somethingSet = (value: Readonly<Record<string, unknown>>): boolean =>
  Object.values(value).some((one) => one !== undefined);

const hasAny = (fields: Readonly<Record<string, unknown>>): string =>
  Object.keys(fields)
    .map((field) => `has(self.${field})`)
    .join(' || ');

const value = () => z.string().min(1).max(tokenValueCharactersMax);
const scope = () =>
  text(/^[\x21\x23-\x5B\x5D-\x7E]+$/, 'one scope, without blanks (RFC 6749 section 3.3)', {
    min: 1,
    max: tokenValueCharactersMax,
  });

const claim = withRules(
  z.strictObject({
    path: listOf(z.string().min(1).max(tokenValueCharactersMax), { min: 1, max: 8 }).describe(
      'Name of the claim; of one inside another, the names from the outermost to it.',
    ),
    values: names(
      value(),
      'Values that match: of the claim, or of one element where it is a list; `*` may stand at the start or end, alone it means present.',
    ),
    notValues: names(value(), 'Values that do not match.'),
  }),
  [
    {
      cel: 'has(self.values) || has(self.notValues)',
      message: "needs values or notValues; values: ['*'] asks for the claim to be there",
      check: (one) => one.values !== undefined || one.notValues !== undefined,
    },
  ],
);

const jwtFields = {
  token: z
    .enum(['Verified', 'Absent'])
    .optional()
    .describe('Verified: with a token that an AuthenticationPolicy has verified. Absent: without one.'),
  issuers: names(value(), 'Who issued the token (`iss`); `*` may stand at the start or end.'),
  notIssuers: names(value(), 'Issuers that do not match.'),
  subjects: names(value(), 'Whom it is about (`sub`); `*` may stand at the start or end.'),
  notSubjects: names(value(), 'Subjects that do not match.'),
  audiences: names(value(), 'Whom it is for (`aud`), any of them; `*` may stand at the start or end.'),
  notAudiences: names(value(), 'Audiences that do not match.'),
  scopes: names(scope(), 'Scopes that it grants (`scope`), any of them.'),
  notScopes: names(scope(), 'Scopes that do not match.'),
  claims: listOf(claim, { min: 1, max: 8 }).optional().describe('Further claims, all of which must match.'),
};

const jwt = withRules(z.strictObject(jwtFields), [
  {
    cel: hasAny(jwtFields),
    message: 'an empty entry asks for nothing; `token: Verified` asks for any verified token',
    check: somethingSet,
  },
]).describe(
  'The verified token of the end user. Where there is none, no value matches, and so every `not...` does. Only requests have tokens.',
);

const sourceFields = {
  principals: names(principal(), 'SPIFFE IDs of the caller, from its mesh certificate.'),
  notPrincipals: names(principal(), 'SPIFFE IDs that do not match.'),
  trustDomains: names(
    trustDomainPattern(),
    'Trust domains of the caller. Namespaces and service accounts of the same entry are then of these, and else of the trust domain of the mesh.',
  ),
  notTrustDomains: names(trustDomainPattern(), 'Trust domains that do not match.'),
  namespaces: names(namespace(), 'Namespaces of the caller, from its mesh certificate.'),
  notNamespaces: names(namespace(), 'Namespaces that do not match.'),
  serviceAccounts: names(
    serviceAccount(),
    'Service accounts of the caller; one without a namespace is of the namespace of the policy.',
  ),
  notServiceAccounts: names(serviceAccount(), 'Service accounts that do not match.'),
  ipBlocks: names(ipBlock(), 'Addresses that the connection comes from.'),
  notIpBlocks: names(ipBlock(), 'Addresses that do not match.'),
  remoteIpBlocks: names(
    ipBlock(),
    'Addresses of the client, which trusted proxies in front tell of (`trustedHops` of the Mesh); without any, those that the connection comes from.',
  ),
  notRemoteIpBlocks: names(ipBlock(), 'Addresses of the client that do not match.'),
  jwt: jwt.optional(),
};

export const source = withRules(z.strictObject(sourceFields), [
  {
    cel: hasAny(sourceFields),
    message: 'an empty entry would match every caller; set a field, or remove `from` to mean everyone',
    check: somethingSet,
  },
]);
