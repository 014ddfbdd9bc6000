/** Envoy's jwt_authn filter: one rule for all requests, that any of the providers is satisfied. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { JWT_PAYLOAD, type JwtAuthentication, type JwtLocation, type JwtProvider } from '../model/jwt.ts';
import type { At } from './decoding.ts';
import type {
  JwtAuthenticationSchema,
  JwtAuthentication as JwtMessage,
  JwtProviderSchema,
  JwtRequirement,
  JwtProvider as ProviderMessage,
} from './gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';

export function encodeJwt({
  providers,
  allowsMissing,
}: JwtAuthentication): MessageInitShape<typeof JwtAuthenticationSchema> {
  const named = providers.map(({ name }) => ({
    requiresType: { case: 'providerName' as const, value: name },
  }));
  const missing = { requiresType: { case: 'allowMissing' as const, value: {} } };
  const any = allowsMissing ? [...named, missing] : named;
  const [only] = any;
  return {
    providers: Object.fromEntries(providers.map((provider) => [provider.name, encodeProvider(provider)])),
    rules: [
      {
        match: { pathSpecifier: { case: 'prefix', value: '/' } },
        requirementType: {
          case: 'requires',
          value:
            any.length === 1 && only !== undefined
              ? only
              : { requiresType: { case: 'requiresAny', value: { requirements: any } } },
        },
      },
    ],
  };
}

const encodeProvider = (provider: JwtProvider): MessageInitShape<typeof JwtProviderSchema> => ({
  issuer: provider.issuer,
  audiences: [...provider.audiences],
  jwksSourceSpecifier: {
    case: 'localJwks',
    value: { specifier: { case: 'inlineString', value: provider.keys } },
  },
  forward: provider.forward,
  fromHeaders: provider.locations.flatMap((one) =>
    one.kind === 'header' ? [{ name: one.name, valuePrefix: one.prefix }] : [],
  ),
  fromParams: provider.locations.flatMap((one) => (one.kind === 'query' ? [one.name] : [])),
  fromCookies: provider.locations.flatMap((one) => (one.kind === 'cookie' ? [one.name] : [])),
  payloadInMetadata: JWT_PAYLOAD,
  requireExpiration: true,
  clockSkewSeconds: Math.ceil(provider.clockSkewMs / 1000),
  claimToHeaders: provider.claimHeaders.map(({ header, claim }) => ({ headerName: header, claimName: claim })),
});

export function decodeJwt(message: JwtMessage, at: At): JwtAuthentication {
  const providers = Object.entries(message.providers)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, provider]) => decodeProvider(name, provider, at.field('providers').key(name)));
  const issuers = new Set(providers.map(({ issuer }) => issuer));
  if (issuers.size < providers.length) at.field('providers').fail('two providers of one issuer', undefined);
  return { providers, allowsMissing: decodeRules(message, providers, at.field('rules')) };
}

/** Everything else Envoy can say about which requests need which tokens is refused rather than passed over. */
function decodeRules({ rules }: JwtMessage, providers: readonly JwtProvider[], at: At): boolean {
  const [rule] = rules;
  if (rule === undefined || rules.length > 1) return at.fail('Weft takes one rule, which is for all requests', false);
  const here = at.index(0);
  const { match } = rule;
  const path = match?.pathSpecifier;
  if (
    path?.case !== 'prefix' ||
    path.value !== '/' ||
    match?.headers.length !== 0 ||
    match.queryParameters.length > 0
  ) {
    here.field('match').fail('Weft takes one rule, which is for all requests: prefix "/"', undefined);
  }
  if (rule.requirementType.case !== 'requires') return here.fail('requires is required', false);
  const { requiresType } = rule.requirementType.value;
  const requirements =
    requiresType.case === 'requiresAny' ? requiresType.value.requirements : [rule.requirementType.value];
  return decodeRequirements(requirements, providers, here.field('requires'));
}

function decodeRequirements(
  requirements: readonly JwtRequirement[],
  providers: readonly JwtProvider[],
  at: At,
): boolean {
  const named = new Set<string>();
  let allowsMissing = false;
  for (const { requiresType } of requirements) {
    if (requiresType.case === 'allowMissing') allowsMissing = true;
    else if (requiresType.case === 'providerName') named.add(requiresType.value);
    // Others are named as unsupported already.
    else if (requiresType.case === undefined || requiresType.case === 'requiresAny') {
      at.fail('provider_name and allow_missing are taken, alone or in requires_any', undefined);
    }
  }
  const wrong = [
    ...providers.filter(({ name }) => !named.has(name)).map(({ name }) => `provider "${name}" is not required`),
    ...[...named].filter((name) => !providers.some((one) => one.name === name)).map((name) => `no provider "${name}"`),
  ];
  if (wrong.length > 0) at.fail(wrong.join('; '), undefined);
  return allowsMissing;
}

function decodeProvider(name: string, provider: ProviderMessage, at: At): JwtProvider {
  if (provider.issuer === '') at.field('issuer').fail('is required: keys are of one issuer', undefined);
  if (provider.payloadInMetadata !== JWT_PAYLOAD) {
    at.field('payload_in_metadata').fail(`has to be "${JWT_PAYLOAD}", where rules on claims look`, undefined);
  }
  if (!provider.requireExpiration) {
    at.field('require_expiration').fail('has to be true: Weft takes no token that never expires', undefined);
  }
  const source = provider.jwksSourceSpecifier;
  const keys = source.case === 'localJwks' ? source.value.specifier : undefined;
  if (keys?.case !== 'inlineString') at.field('local_jwks').field('inline_string').fail('is required', undefined);
  const locations: JwtLocation[] = [
    ...provider.fromHeaders.map((one) => ({
      kind: 'header' as const,
      name: one.name.toLowerCase(),
      prefix: one.valuePrefix,
    })),
    ...provider.fromParams.map((one) => ({ kind: 'query' as const, name: one })),
    ...provider.fromCookies.map((one) => ({ kind: 'cookie' as const, name: one })),
  ];
  // Envoy would look at two places of its own choice, one of which is the query.
  if (locations.length === 0) at.field('from_headers').fail('say where tokens are', undefined);
  for (const [i, one] of provider.fromHeaders.entries()) {
    if (one.name === '') at.field('from_headers').index(i).field('name').fail('is required', undefined);
  }
  return {
    name,
    issuer: provider.issuer,
    audiences: [...provider.audiences],
    keys: keys?.case === 'inlineString' ? keys.value : '',
    locations,
    forward: provider.forward,
    claimHeaders: provider.claimToHeaders.map(({ headerName, claimName }) => ({
      header: headerName.toLowerCase(),
      claim: claimName,
    })),
    // Envoy's own default of zero.
    clockSkewMs: (provider.clockSkewSeconds === 0 ? 60 : provider.clockSkewSeconds) * 1000,
  };
}
