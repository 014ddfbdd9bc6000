/** Where a resource comes from: the one ADS stream, or, in a bootstrap, a file or a management server. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { EndpointSource } from '../model/cluster.ts';
import type { ManagementServer } from '../model/management-server.ts';
import type { At } from './decoding.ts';
import type { HeaderValue } from './gen/envoy/config/core/v3/base_pb.ts';
import {
  type ApiConfigSource,
  ApiConfigSource_ApiType as ApiType,
  ApiVersion,
  type ConfigSource,
  type ConfigSourceSchema,
} from './gen/envoy/config/core/v3/config_source_pb.ts';
import type { GrpcService } from './gen/envoy/config/core/v3/grpc_service_pb.ts';
import { decodeFieldName, decodeFieldValue } from './header-mutation.ts';
import { decodeDuration, decodeUriText, encodeDuration } from './values.ts';

/** Envoy's; 0 is no timeout. */
const FETCH_TIMEOUT_DEFAULT_MS = 15_000;

export const encodeConfigSource = (source?: EndpointSource): MessageInitShape<typeof ConfigSourceSchema> => ({
  configSourceSpecifier: encodeSpecifier(source),
  ...encodeFetchTimeout(source),
  resourceApiVersion: ApiVersion.V3,
});

function encodeSpecifier(
  source: EndpointSource | undefined,
): NonNullable<MessageInitShape<typeof ConfigSourceSchema>['configSourceSpecifier']> {
  if (source?.kind === 'file') return { case: 'pathConfigSource', value: { path: source.path } };
  if (source === undefined || source.server.aggregated) return { case: 'ads', value: {} };
  const { cluster, authority, metadata, variant } = source.server;
  const initialMetadata = metadata.flatMap((key, i) => (i % 2 === 0 ? [{ key, value: metadata[i + 1] ?? '' }] : []));
  const value = {
    apiType: variant === 'incremental' ? ApiType.DELTA_GRPC : ApiType.GRPC,
    transportApiVersion: ApiVersion.V3,
    grpcServices: [
      { targetSpecifier: { case: 'envoyGrpc', value: { clusterName: cluster, authority } }, initialMetadata } as const,
    ],
  };
  return { case: 'apiConfigSource', value };
}

function encodeFetchTimeout(source: EndpointSource | undefined): MessageInitShape<typeof ConfigSourceSchema> {
  if (source?.kind !== 'server' || source.fetchTimeoutMs === FETCH_TIMEOUT_DEFAULT_MS) return {};
  return { initialFetchTimeout: encodeDuration(source.fetchTimeoutMs) };
}

/**
 * Undefined for ADS of a control plane, which names no files and servers of those that it configures; `ads` is the server
 * that a bootstrap has in its place.
 */
export function decodeEndpointSource(
  source: ConfigSource | undefined,
  at: At,
  ads?: ManagementServer,
): EndpointSource | undefined {
  const fetchTimeoutMs = decodeFetchTimeout(source, at.field('initial_fetch_timeout'));
  const specifier = source?.configSourceSpecifier;
  switch (specifier?.case) {
    case 'ads':
      return ads && { kind: 'server', server: ads, fetchTimeoutMs };
    // A file is read at once, so that there is nothing to wait for; Envoy passes over the time as well.
    case 'pathConfigSource':
      return decodeFile(specifier.value.path, at.field('path_config_source').field('path'));
    case 'path':
      return decodeFile(specifier.value, at.field('path'));
    case 'apiConfigSource': {
      const here = at.field('api_config_source');
      if (!at.decoding.strict) return here.fail(BOOTSTRAP_ONLY, undefined);
      const server = decodeServer(specifier.value, here);
      return server && { kind: 'server', server: { ...server, aggregated: false }, fetchTimeoutMs };
    }
    default:
      return at.fail('is required: ads, or in a bootstrap path_config_source or api_config_source', undefined);
  }
}

const BOOTSTRAP_ONLY = 'is supported by Weft in a bootstrap only';

function decodeFetchTimeout(source: ConfigSource | undefined, at: At): number {
  const timeout = source?.initialFetchTimeout;
  if (timeout !== undefined && !at.decoding.strict) return at.fail(BOOTSTRAP_ONLY, FETCH_TIMEOUT_DEFAULT_MS);
  return decodeDuration(timeout, FETCH_TIMEOUT_DEFAULT_MS, at);
}

function decodeFile(path: string, at: At): EndpointSource | undefined {
  if (!at.decoding.strict) return at.fail(BOOTSTRAP_ONLY, undefined);
  return path === '' ? at.fail('is required', undefined) : { kind: 'file', path };
}

/** Undefined: there is an error. */
export function decodeServer(source: ApiConfigSource, at: At): Omit<ManagementServer, 'aggregated'> | undefined {
  const { apiType, transportApiVersion, grpcServices } = source;
  if (apiType !== ApiType.GRPC && apiType !== ApiType.DELTA_GRPC) {
    return at.field('api_type').fail('has to be GRPC or DELTA_GRPC', undefined);
  }
  if (transportApiVersion !== ApiVersion.V3) at.field('transport_api_version').fail('has to be V3', undefined);
  const services = at.field('grpc_services');
  const [service] = grpcServices;
  if (service === undefined || grpcServices.length > 1) return services.fail('one is wanted', undefined);
  return {
    variant: apiType === ApiType.DELTA_GRPC ? 'incremental' : 'state-of-the-world',
    ...decodeService(service, services.index(0)),
  };
}

function decodeService(
  { targetSpecifier: target, initialMetadata }: GrpcService,
  at: At,
): Pick<ManagementServer, 'cluster' | 'authority' | 'metadata'> {
  const here = at.field('envoy_grpc');
  const { clusterName, authority } = target.case === 'envoyGrpc' ? target.value : { clusterName: '', authority: '' };
  if (clusterName === '') here.field('cluster_name').fail('is required', undefined);
  return {
    cluster: clusterName,
    authority: decodeUriText(authority, here.field('authority')),
    metadata: initialMetadata.flatMap((header, i) => decodeMetadata(header, at.field('initial_metadata').index(i))),
  };
}

const decodeMetadata = ({ key, value }: HeaderValue, at: At): readonly string[] => [
  decodeFieldName(key, at.field('key')),
  decodeFieldValue(value, at.field('value')),
];

/** Of what Weft has from the one ADS stream alone. */
export function decodeAds(source: ConfigSource | undefined, at: At): void {
  if (source?.configSourceSpecifier.case === undefined) at.fail('is required: ads', undefined);
  else refuseOthers(source, at);
}

/** Where the source may be left out. */
export function refuseOthers(source: ConfigSource | undefined, at: At): void {
  const endpointsOnly = 'is supported by Weft for the endpoints of a cluster only';
  if (source?.initialFetchTimeout !== undefined) at.field('initial_fetch_timeout').fail(endpointsOnly, undefined);
  const specifier = source?.configSourceSpecifier.case;
  if (specifier === undefined || specifier === 'ads') return;
  const field = specifier.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  at.field(field).fail(endpointsOnly, undefined);
}
