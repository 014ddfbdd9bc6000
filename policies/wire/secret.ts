/**
 * Trust over SDS. `weft.dev/trust` is a validation context with Envoy's SPIFFE validator, which holds each trust domain to
 * its own anchors; `weft.dev/trust-rules` is a generic secret with JSON, which only our sidecars ask for.
 */
import { create, isMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { parseSpiffeId, parseTrustDomain, type TrustDomain } from '../identity/spiffe-id.ts';
import { TRUST_SECRET } from '../model/tls.ts';
import {
  type Revocation,
  TRUST_RULES_SECRET,
  type TrustBundle,
  type TrustBundles,
  type TrustRules,
  type TrustSecret,
} from '../model/trust.ts';
import type { At } from './decoding.ts';
import type { DataSource } from './gen/envoy/config/core/v3/base_pb.ts';
import type { Secret, SecretSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import {
  SPIFFECertValidatorConfigSchema,
  type SPIFFECertValidatorConfig_TrustDomain as TrustDomainMessage,
  SPIFFECertValidatorConfig_TrustDomainSchema as TrustDomainSchema,
} from './gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.ts';

type SecretInit = MessageInitShape<typeof SecretSchema>;

export const secretName = (secret: TrustSecret): string =>
  secret.kind === 'bundles' ? TRUST_SECRET : TRUST_RULES_SECRET;

export const encodeSecret = (secret: TrustSecret): SecretInit => ({
  name: secretName(secret),
  type: secret.kind === 'bundles' ? encodeBundles(secret) : encodeRules(secret),
});

const encodeBundles = ({ bundles }: TrustBundles): NonNullable<SecretInit['type']> => ({
  case: 'validationContext',
  value: {
    customValidatorConfig: {
      name: 'envoy.tls.cert_validator.spiffe',
      typedConfig: anyPack(
        SPIFFECertValidatorConfigSchema,
        create(SPIFFECertValidatorConfigSchema, {
          trustDomains: bundles.map(({ trustDomain, anchorsPem }) =>
            create(TrustDomainSchema, {
              name: trustDomain,
              trustBundle: { specifier: { case: 'inlineString', value: anchorsPem } },
            }),
          ),
        }),
      ),
    },
  },
});

const encodeRules = ({ aliases, revoked }: TrustRules): NonNullable<SecretInit['type']> => ({
  case: 'genericSecret',
  value: { secret: { specifier: { case: 'inlineString', value: JSON.stringify({ aliases, revoked }) } } },
});

export function decodeSecret(message: Secret, at: At): TrustSecret {
  const none: TrustBundles = { kind: 'bundles', bundles: [] };
  const { type } = message;
  switch (type.case) {
    case 'validationContext': {
      if (message.name !== TRUST_SECRET) return wrongName(message.name, TRUST_SECRET, at, none);
      const here = at.field('validation_context').field('custom_validator_config');
      const config = type.value.customValidatorConfig?.typedConfig;
      const validator = config === undefined ? undefined : at.decoding.unpack(config);
      if (!isMessage(validator, SPIFFECertValidatorConfigSchema)) {
        return here.fail('a validation context by secret is one with the SPIFFE validator', none);
      }
      const domains = here.field('typed_config').field('trust_domains');
      if (validator.trustDomains.length === 0) return domains.fail('at least one trust domain is required', none);
      return { kind: 'bundles', bundles: validator.trustDomains.map((one, i) => decodeBundle(one, domains.index(i))) };
    }
    case 'genericSecret':
      if (message.name !== TRUST_RULES_SECRET) return wrongName(message.name, TRUST_RULES_SECRET, at, none);
      return decodeRules(inline(type.value.secret), at.field('generic_secret').field('secret'));
    default:
      return at.fail(`the secret "${message.name}" is none that Weft knows`, none);
  }
}

const wrongName = (name: string, wanted: string, at: At, none: TrustBundles): TrustBundles =>
  at.field('name').fail(`"${name}" is not ${wanted}, the only secret of this type`, none);

const inline = (source: DataSource | undefined): string =>
  source?.specifier.case === 'inlineString' ? source.specifier.value : '';

function decodeBundle({ name, trustBundle }: TrustDomainMessage, at: At): TrustBundle {
  const trustDomain = parseTrustDomain(name);
  if (!trustDomain.ok) at.field('name').fail(trustDomain.error, undefined);
  const anchorsPem = inline(trustBundle);
  if (!anchorsPem.includes('-----BEGIN CERTIFICATE-----')) {
    at.field('trust_bundle').fail('at least one certificate in PEM is required, as inline_string', undefined);
  }
  return { trustDomain: trustDomain.ok ? trustDomain.value : ('' as TrustDomain), anchorsPem };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function decodeRules(text: string, at: At): TrustRules {
  const none: TrustRules = { kind: 'rules', aliases: [], revoked: [] };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return at.fail('it is not JSON', none);
  }
  if (!isRecord(json)) return at.fail('it is not a JSON object', none);
  const aliases: TrustDomain[] = [];
  for (const alias of listOf(json['aliases'])) {
    const parsed = parseTrustDomain(textOf(alias));
    if (parsed.ok) aliases.push(parsed.value);
    else at.fail(`aliases: ${parsed.error}`, undefined);
  }
  const revoked: Revocation[] = [];
  for (const entry of listOf(json['revoked'])) {
    const parsed = decodeRevocation(isRecord(entry) ? entry : {});
    if (typeof parsed === 'string') at.fail(`revoked: ${parsed}`, undefined);
    else revoked.push(parsed);
  }
  return { kind: 'rules', aliases, revoked };
}

function decodeRevocation(entry: Readonly<Record<string, unknown>>): Revocation | string {
  const reason = textOf(entry['reason']);
  const serialHex = textOf(entry['serialHex']);
  switch (entry['kind']) {
    case 'serial':
      return /^[0-9a-f]{1,40}$/.test(serialHex)
        ? { kind: 'serial', serialHex, reason }
        : `"${serialHex}" is no serial number in lower-case hexadecimal digits`;
    case 'identity': {
      const spiffeId = parseSpiffeId(textOf(entry['spiffeId']));
      if (!spiffeId.ok) return spiffeId.error;
      const before = entry['issuedBeforeUnixMs'];
      return {
        kind: 'identity',
        spiffeId: spiffeId.value,
        issuedBeforeUnixMs: typeof before === 'number' && before > 0 ? before : 0,
        reason,
      };
    }
    default:
      return 'kind is neither identity nor serial';
  }
}
