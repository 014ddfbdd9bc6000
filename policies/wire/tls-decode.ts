import { isMessage } from '@bufbuild/protobuf';
import type {
  CertificatePins,
  CertificateRef,
  DownstreamTls,
  PeerValidation,
  PemSource,
  SanMatcher,
  TlsParameters,
  UpstreamTls,
} from '../model/tls.ts';
import { refuseOthers } from './config-source.ts';
import type { At } from './decoding.ts';
import type { DataSource, TransportSocket } from './gen/envoy/config/core/v3/base_pb.ts';
import { RawBufferSchema } from './gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.ts';
import {
  type CertificateValidationContext,
  SubjectAltNameMatcher_SanType as SanType,
  type SubjectAltNameMatcher,
  type TlsCertificate,
  type TlsParameters as TlsParametersMessage,
  TlsParameters_TlsProtocol as TlsProtocol,
} from './gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts';
import type { SdsSecretConfig } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import {
  type CommonTlsContext,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts';
import { decodeStringMatch } from './match.ts';

/** Undefined: plaintext. */
export function decodeDownstreamSocket(socket: TransportSocket | undefined, at: At): DownstreamTls | undefined {
  const config = socket?.configType;
  if (config?.case !== 'typedConfig') return undefined;
  const here = at.field('typed_config');
  const message = at.decoding.unpack(config.value);
  if (message === undefined || isMessage(message, RawBufferSchema)) return undefined;
  if (!isMessage(message, DownstreamTlsContextSchema)) return wrongSocket(message.$typeName, here);
  const common = decodeCommon(message.commonTlsContext, here.field('common_tls_context'));
  if (common.certificate === undefined) {
    return here.field('common_tls_context').fail('a certificate is required', undefined);
  }
  const { certificate } = common;
  const requireClientCertificate = message.requireClientCertificate ?? false;
  if (requireClientCertificate && common.validation === undefined) {
    here.field('require_client_certificate').fail('there is no validation context to check it with', undefined);
  }
  const tickets = message.sessionTicketKeysType;
  return {
    ...common,
    certificate,
    ...decodeMoreCertificates(message.commonTlsContext, here.field('common_tls_context')),
    requireClientCertificate,
    ...(tickets.case === 'disableStatelessSessionResumption' && tickets.value ? { sessionTickets: false } : {}),
  };
}

/** Undefined: plaintext. */
export function decodeUpstreamSocket(socket: TransportSocket | undefined, at: At): UpstreamTls | undefined {
  const config = socket?.configType;
  if (config?.case !== 'typedConfig') return undefined;
  const here = at.field('typed_config');
  const message = at.decoding.unpack(config.value);
  if (message === undefined || isMessage(message, RawBufferSchema)) return undefined;
  if (!isMessage(message, UpstreamTlsContextSchema)) return wrongSocket(message.$typeName, here);
  if ((message.commonTlsContext?.tlsCertificates.length ?? 0) > 1) {
    const certificates = here.field('common_tls_context').field('tls_certificates');
    certificates.fail('a client has one certificate, not more', undefined);
  }
  return { ...decodeCommon(message.commonTlsContext, here.field('common_tls_context')), sni: message.sni };
}

const wrongSocket = (typeName: string, at: At): undefined =>
  at.fail(`${typeName} is no transport socket for this place`, undefined);

function decodeCommon(common: CommonTlsContext | undefined, at: At): Omit<UpstreamTls, 'sni'> {
  return {
    certificate: decodeCertificate(common, at),
    validation: decodeValidation(common, at),
    alpn: [...(common?.alpnProtocols ?? [])],
    parameters: decodeParameters(common?.tlsParams, at.field('tls_params')),
  };
}

function decodeCertificate(common: CommonTlsContext | undefined, at: At): CertificateRef | undefined {
  const inline = common?.tlsCertificates ?? [];
  const secrets = common?.tlsCertificateSdsSecretConfigs ?? [];
  if (secrets.length > 1 || (secrets.length > 0 && inline.length > 0)) {
    return at.fail('one certificate by secret is supported by Weft, and none beside it', undefined);
  }
  const [certificate] = inline;
  const [secret] = secrets;
  if (secret !== undefined) {
    return { kind: 'secret', name: decodeSecretName(secret, at.field('tls_certificate_sds_secret_configs').index(0)) };
  }
  if (certificate === undefined) return undefined;
  return decodeInline(certificate, at.field('tls_certificates').index(0));
}

function decodeSecretName({ name, sdsConfig }: SdsSecretConfig, at: At): string {
  refuseOthers(sdsConfig, at.field('sds_config'));
  return name === '' ? at.field('name').fail('name is required', '') : name;
}

const decodeInline = (certificate: TlsCertificate, at: At): CertificateRef => ({
  kind: 'inline',
  certificateChain: decodePem(certificate.certificateChain, at.field('certificate_chain')),
  privateKey: decodePem(certificate.privateKey, at.field('private_key')),
});

function decodeMoreCertificates(common: CommonTlsContext | undefined, at: At): Pick<DownstreamTls, 'moreCertificates'> {
  const [, ...more] = common?.tlsCertificates ?? [];
  if (more.length === 0) return {};
  const here = at.field('tls_certificates');
  return { moreCertificates: more.map((certificate, i) => decodeInline(certificate, here.index(i + 1))) };
}

function decodeValidation(common: CommonTlsContext | undefined, at: At): PeerValidation | undefined {
  const context = common?.validationContextType;
  switch (context?.case) {
    case 'validationContext': {
      const here = at.field('validation_context');
      const names = context.value.matchTypedSubjectAltNames;
      refuseValidator(context.value, here);
      return {
        trust: { kind: 'inline', ca: decodePem(context.value.trustedCa, here.field('trusted_ca')) },
        subjectAltNames: names.map((san, i) => decodeSan(san, here.field('match_typed_subject_alt_names').index(i))),
        ...decodePins(context.value, here),
        ...(context.value.crl === undefined ? {} : { crl: decodePem(context.value.crl, here.field('crl')) }),
      };
    }
    case 'validationContextSdsSecretConfig': {
      const name = decodeSecretName(context.value, at.field('validation_context_sds_secret_config'));
      return { trust: { kind: 'secret', name }, subjectAltNames: [] };
    }
    case 'combinedValidationContext': {
      const here = at.field('combined_validation_context');
      const { validationContextSdsSecretConfig: secret } = context.value;
      const secretAt = here.field('validation_context_sds_secret_config');
      const name =
        secret === undefined ? secretAt.fail('a secret is required', '') : decodeSecretName(secret, secretAt);
      const own = context.value.defaultValidationContext;
      const defaults = here.field('default_validation_context');
      if (own?.crl !== undefined) defaults.field('crl').fail('is not supported by Weft beside a secret', undefined);
      if (own !== undefined) refuseValidator(own, defaults);
      if (own?.trustedCa !== undefined) defaults.field('trusted_ca').fail('the secret has it already', undefined);
      return {
        trust: { kind: 'secret', name },
        subjectAltNames: (own?.matchTypedSubjectAltNames ?? []).map((san, i) =>
          decodeSan(san, defaults.field('match_typed_subject_alt_names').index(i)),
        ),
        ...(own === undefined ? {} : decodePins(own, defaults)),
      };
    }
    default:
      return undefined;
  }
}

/** Trust by trust domain is the control plane's to tell, by secret. */
function refuseValidator({ customValidatorConfig }: CertificateValidationContext, at: At): void {
  if (customValidatorConfig === undefined) return;
  at.field('custom_validator_config').fail('is supported by Weft in a secret over SDS only', undefined);
}

/** A SHA-256: as Envoy takes it, in hex with or without colons, or in base64. */
function decodePins(
  { verifyCertificateHash: hashes, verifyCertificateSpki: keys }: CertificateValidationContext,
  at: At,
): { pins?: CertificatePins } {
  if (hashes.length === 0 && keys.length === 0) return {};
  const certificates = hashes.map((text, i) => {
    const hex = text.replaceAll(':', '').toLowerCase();
    const here = at.field('verify_certificate_hash').index(i);
    return /^[0-9a-f]{64}$/.test(hex) ? hex : here.fail('is no SHA-256 in hex', '');
  });
  for (const [i, key] of keys.entries()) {
    if (/^[A-Za-z0-9+/]{43}=$/.test(key)) continue;
    at.field('verify_certificate_spki').index(i).fail('is no SHA-256 in base64', undefined);
  }
  return { pins: { certificates, keys: [...keys] } };
}

function decodePem(source: DataSource | undefined, at: At): PemSource {
  switch (source?.specifier.case) {
    case 'filename':
      return { kind: 'file', path: source.specifier.value };
    case 'inlineString':
      return { kind: 'pem', pem: source.specifier.value };
    case 'inlineBytes':
      return { kind: 'pem', pem: Buffer.from(source.specifier.value).toString('utf8') };
    default:
      return at.fail('filename, inline_string or inline_bytes is required', { kind: 'pem', pem: '' });
  }
}

const sanTypes = new Map<SanType, SanMatcher['type']>([
  [SanType.EMAIL, 'email'],
  [SanType.DNS, 'dns'],
  [SanType.URI, 'uri'],
  [SanType.IP_ADDRESS, 'ip'],
]);

function decodeSan(san: SubjectAltNameMatcher, at: At): SanMatcher {
  const match = decodeStringMatch(san.matcher, at.field('matcher'));
  if (match.kind !== 'regex' && match.ignoreCase) {
    at.field('matcher').field('ignore_case').fail('is not supported by Weft for certificates', undefined);
  }
  return {
    type: sanTypes.get(san.sanType) ?? at.field('san_type').fail('is required: EMAIL, DNS, URI or IP_ADDRESS', 'uri'),
    match: { kind: match.kind, value: match.value },
  };
}

/** Whether the runtime has them is found out when it is started. Groups of equal preference are BoringSSL's own. */
function decodeNames<K extends 'cipherSuites' | 'ecdhCurves'>(
  field: K,
  names: readonly string[],
  at: At,
): { readonly [key in K]?: readonly string[] } {
  for (const [i, name] of names.entries()) {
    if (!/^[A-Za-z0-9_-]+$/.test(name)) at.index(i).fail('has to be one name', undefined);
  }
  const named: { [key in K]?: readonly string[] } = {};
  if (names.length > 0) named[field] = [...names];
  return named;
}

/** TLS_AUTO: 1.2 to 1.3. */
function decodeParameters(parameters: TlsParametersMessage | undefined, at: At): TlsParameters {
  const version = (protocol: TlsProtocol | undefined, auto: 'TLSv1.2' | 'TLSv1.3', here: At) => {
    if (protocol === undefined || protocol === TlsProtocol.TLS_AUTO) return auto;
    if (protocol === TlsProtocol.TLSv1_2) return 'TLSv1.2' as const;
    if (protocol === TlsProtocol.TLSv1_3) return 'TLSv1.3' as const;
    return here.fail('Weft speaks TLSv1_2 and TLSv1_3', auto);
  };
  const minimum = at.field('tls_minimum_protocol_version');
  const versionMin = version(parameters?.tlsMinimumProtocolVersion, 'TLSv1.2', minimum);
  const maximum = at.field('tls_maximum_protocol_version');
  const versionMax = version(parameters?.tlsMaximumProtocolVersion, 'TLSv1.3', maximum);
  if (versionMin > versionMax) maximum.fail('is less than tls_minimum_protocol_version', undefined);
  return {
    versionMin,
    versionMax,
    ...decodeNames('cipherSuites', parameters?.cipherSuites ?? [], at.field('cipher_suites')),
    ...decodeNames('ecdhCurves', parameters?.ecdhCurves ?? [], at.field('ecdh_curves')),
  };
}
