import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import type {
  CertificateRef,
  DownstreamTls,
  PeerValidation,
  PemSource,
  SanMatcher,
  TlsParameters,
  UpstreamTls,
} from '../model/tls.ts';
import { encodeConfigSource } from './config-source.ts';
import type { DataSourceSchema, TransportSocketSchema } from './gen/envoy/config/core/v3/base_pb.ts';
import { RawBufferSchema } from './gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.ts';
import {
  SubjectAltNameMatcher_SanType as SanType,
  type SubjectAltNameMatcherSchema,
  TlsParameters_TlsProtocol as TlsProtocol,
} from './gen/envoy/extensions/transport_sockets/tls/v3/common_pb.ts';
import type { SdsSecretConfigSchema } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts';

type SocketInit = MessageInitShape<typeof TransportSocketSchema>;
type CommonInit = MessageInitShape<typeof CommonTlsContextSchema>;

export const encodeDownstreamTls = (tls: DownstreamTls): SocketInit => ({
  name: 'envoy.transport_sockets.tls',
  configType: {
    case: 'typedConfig',
    value: anyPack(
      DownstreamTlsContextSchema,
      create(DownstreamTlsContextSchema, {
        commonTlsContext: encodeCommon(tls.certificate, tls.validation, tls.alpn, tls.parameters, tls.moreCertificates),
        ...(tls.sessionTickets === false
          ? { sessionTicketKeysType: { case: 'disableStatelessSessionResumption', value: true } }
          : {}),
        requireClientCertificate: tls.requireClientCertificate,
      }),
    ),
  },
});

export const encodeUpstreamTls = (tls: UpstreamTls): SocketInit => ({
  name: 'envoy.transport_sockets.tls',
  configType: {
    case: 'typedConfig',
    value: anyPack(
      UpstreamTlsContextSchema,
      create(UpstreamTlsContextSchema, {
        commonTlsContext: encodeCommon(tls.certificate, tls.validation, tls.alpn, tls.parameters),
        sni: tls.sni,
      }),
    ),
  },
});

export const encodeRawBuffer = (): SocketInit => ({
  name: 'envoy.transport_sockets.raw_buffer',
  configType: { case: 'typedConfig', value: anyPack(RawBufferSchema, create(RawBufferSchema)) },
});

const encodeCommon = (
  certificate: CertificateRef | undefined,
  validation: PeerValidation | undefined,
  alpn: readonly string[],
  parameters: TlsParameters,
  more: readonly CertificateRef[] = [],
): CommonInit => ({
  tlsParams: {
    tlsMinimumProtocolVersion: versions[parameters.versionMin],
    tlsMaximumProtocolVersion: versions[parameters.versionMax],
    cipherSuites: [...(parameters.cipherSuites ?? [])],
    ecdhCurves: [...(parameters.ecdhCurves ?? [])],
  },
  ...(certificate === undefined ? {} : encodeCertificate(certificate, more)),
  ...(validation === undefined ? {} : { validationContextType: encodeValidation(validation) }),
  alpnProtocols: [...alpn],
});

const versions = { 'TLSv1.2': TlsProtocol.TLSv1_2, 'TLSv1.3': TlsProtocol.TLSv1_3 } as const;

function encodeCertificate(
  ref: CertificateRef,
  more: readonly CertificateRef[],
): Pick<CommonInit, 'tlsCertificates'> | Pick<CommonInit, 'tlsCertificateSdsSecretConfigs'> {
  if (ref.kind === 'secret') return { tlsCertificateSdsSecretConfigs: [sdsSecret(ref.name)] };
  return { tlsCertificates: encodeInline([ref, ...more]) };
}

const encodeInline = (refs: readonly CertificateRef[]): NonNullable<CommonInit['tlsCertificates']> =>
  refs.flatMap((ref) =>
    ref.kind === 'inline'
      ? [{ certificateChain: encodePem(ref.certificateChain), privateKey: encodePem(ref.privateKey) }]
      : [],
  );

function encodeValidation({
  trust,
  subjectAltNames,
  pins,
  crl,
}: PeerValidation): NonNullable<CommonInit['validationContextType']> {
  const own = {
    matchTypedSubjectAltNames: subjectAltNames.map(encodeSan),
    verifyCertificateHash: [...(pins?.certificates ?? [])],
    verifyCertificateSpki: [...(pins?.keys ?? [])],
    ...(crl === undefined ? {} : { crl: encodePem(crl) }),
  };
  if (trust.kind === 'inline') {
    return { case: 'validationContext', value: { trustedCa: encodePem(trust.ca), ...own } };
  }
  const secret = sdsSecret(trust.name);
  if (subjectAltNames.length === 0 && pins === undefined)
    return { case: 'validationContextSdsSecretConfig', value: secret };
  return {
    case: 'combinedValidationContext',
    value: { defaultValidationContext: own, validationContextSdsSecretConfig: secret },
  };
}

const sdsSecret = (name: string): MessageInitShape<typeof SdsSecretConfigSchema> => ({
  name,
  sdsConfig: encodeConfigSource(),
});

const encodePem = (source: PemSource): MessageInitShape<typeof DataSourceSchema> => ({
  specifier:
    source.kind === 'file' ? { case: 'filename', value: source.path } : { case: 'inlineString', value: source.pem },
});

const sanTypes = { email: SanType.EMAIL, dns: SanType.DNS, uri: SanType.URI, ip: SanType.IP_ADDRESS } as const;

const encodeSan = ({ type, match }: SanMatcher): MessageInitShape<typeof SubjectAltNameMatcherSchema> => ({
  sanType: sanTypes[type],
  matcher: {
    matchPattern:
      match.kind === 'regex'
        ? { case: 'safeRegex', value: { regex: match.value } }
        : { case: match.kind, value: match.value },
  },
});
