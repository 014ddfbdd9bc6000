import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.ts';
import {
  type HealthCheck,
  type HealthCheckMethod,
  type HealthProbe,
  healthCheckMethods,
  type StatusRange,
} from '../model/health-check.ts';
import { noMutation } from '../model/route.ts';
import type { At } from './decoding.ts';
import { Cluster_DiscoveryType, type Cluster as ClusterMessage } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { RequestMethod } from './gen/envoy/config/core/v3/base_pb.ts';
import {
  type HealthCheck_GrpcHealthCheck as GrpcMessage,
  HealthCheck_TcpHealthCheckSchema,
  type HealthCheckSchema,
  type HealthCheck_HttpHealthCheck as HttpMessage,
  type HealthCheck as Message,
  type HealthCheck_Payload as Payload,
  type HealthCheck_TcpHealthCheck as TcpMessage,
} from './gen/envoy/config/core/v3/health_check_pb.ts';
import { CodecClientType } from './gen/envoy/type/v3/http_pb.ts';
import type { Int64Range } from './gen/envoy/type/v3/range_pb.ts';
import { decodeHeaderMutations, encodeHeaderMutations } from './header-mutation.ts';
import { decodeDuration, decodeUriText, encodeDuration, type StructReader } from './values.ts';

type MessageInit = MessageInitShape<typeof HealthCheckSchema>;

const NO_TRAFFIC_DEFAULT_MS = 60_000;
const PORT_MAX = 65_535;
const STATUS_END_MAX = 600;

export function encodeHealthCheck(check: HealthCheck): MessageInit {
  return {
    timeout: encodeDuration(check.timeoutMs),
    interval: encodeDuration(check.intervalMs),
    ...(check.initialJitterMs === 0 ? {} : { initialJitter: encodeDuration(check.initialJitterMs) }),
    ...(check.intervalJitterMs === 0 ? {} : { intervalJitter: encodeDuration(check.intervalJitterMs) }),
    intervalJitterPercent: check.intervalJitterPercent,
    unhealthyThreshold: check.unhealthyThreshold,
    healthyThreshold: check.healthyThreshold,
    ...(check.port === 0 ? {} : { altPort: check.port }),
    reuseConnection: check.reuseConnection,
    noTrafficInterval: encodeDuration(check.noTrafficIntervalMs),
    noTrafficHealthyInterval: encodeDuration(check.noTrafficHealthyIntervalMs),
    unhealthyInterval: encodeDuration(check.unhealthyIntervalMs),
    unhealthyEdgeInterval: encodeDuration(check.unhealthyEdgeIntervalMs),
    healthyEdgeInterval: encodeDuration(check.healthyEdgeIntervalMs),
    healthChecker: encodeProbe(check.probe),
  };
}

function encodeProbe(probe: HealthProbe): NonNullable<MessageInit['healthChecker']> {
  switch (probe.kind) {
    case 'http': {
      const { requestHeadersToAdd, requestHeadersToRemove } = encodeHeaderMutations(probe.headers, noMutation);
      return {
        case: 'httpHealthCheck',
        value: {
          method: RequestMethod[probe.method],
          path: probe.path,
          host: probe.host,
          requestHeadersToAdd,
          requestHeadersToRemove,
          codecClientType: probe.http2 ? CodecClientType.HTTP2 : CodecClientType.HTTP1,
          expectedStatuses: probe.expected.map(encodeRange),
          retriableStatuses: probe.retriable.map(encodeRange),
        },
      };
    }
    case 'grpc':
      return {
        case: 'grpcHealthCheck',
        value: {
          serviceName: probe.service,
          authority: probe.authority,
          initialMetadata: encodeHeaderMutations({ ...noMutation, add: probe.metadata }, noMutation)
            .requestHeadersToAdd,
        },
      };
    case 'tcp':
      return {
        case: 'tcpHealthCheck',
        value: create(HealthCheck_TcpHealthCheckSchema, {
          ...(probe.send === '' ? {} : { send: encodePayload(probe.send) }),
          receive: probe.receive.map(encodePayload),
        }),
      };
  }
}

const encodeRange = ({ start, end }: StatusRange) => ({ start: BigInt(start), end: BigInt(end) });

const encodePayload = (hex: string) => ({ payload: { case: 'text' as const, value: hex } });

/** What endpoints count as before their first check stands in the cluster. */
export function decodeHealthCheck(
  message: ClusterMessage,
  settings: StructReader,
  at: At,
): Pick<Cluster, 'healthCheck'> {
  const [first, second] = message.healthChecks;
  const early = settings.choice('health_initially', ['', 'healthy']);
  if (first === undefined) return {};
  const { clusterDiscoveryType: type } = message;
  if (type.case === 'type' && type.value === Cluster_DiscoveryType.ORIGINAL_DST) {
    return at.fail('is not for ORIGINAL_DST: the connection names its one endpoint', {});
  }
  if (second !== undefined) at.index(1).fail('only one health check of a cluster is possible', undefined);
  const ignored = message.commonLbConfig?.ignoreNewHostsUntilFirstHc ?? false;
  const initially = early === 'healthy' ? 'healthy' : ignored ? 'ignored' : 'failed';
  return { healthCheck: { ...decodeOne(first, at.index(0)), initially } };
}

function decodeOne(message: Message, at: At): Omit<HealthCheck, 'initially'> {
  const time = (value: Message['interval'], absentMs: number, field: string): number => {
    const ms = decodeDuration(value, absentMs, at.field(field));
    return ms > 0 ? ms : at.field(field).fail('has to be more than 0', 1);
  };
  const atLeastOne = (value: number | undefined, field: string): number =>
    value === undefined || value < 1 ? at.field(field).fail('is required, and has to be at least 1', 1) : value;
  const port = message.altPort ?? 0;
  if (port > PORT_MAX) at.field('alt_port').fail(`port ${port} is more than ${PORT_MAX}`, undefined);
  const intervalMs = time(message.interval, 0, 'interval');
  const noTrafficIntervalMs = time(message.noTrafficInterval, NO_TRAFFIC_DEFAULT_MS, 'no_traffic_interval');
  const unhealthyIntervalMs = time(message.unhealthyInterval, intervalMs, 'unhealthy_interval');
  return {
    probe: decodeProbe(message, at),
    timeoutMs: time(message.timeout, 0, 'timeout'),
    intervalMs,
    initialJitterMs: decodeDuration(message.initialJitter, 0, at.field('initial_jitter')),
    intervalJitterMs: decodeDuration(message.intervalJitter, 0, at.field('interval_jitter')),
    intervalJitterPercent: message.intervalJitterPercent,
    unhealthyThreshold: atLeastOne(message.unhealthyThreshold, 'unhealthy_threshold'),
    healthyThreshold: atLeastOne(message.healthyThreshold, 'healthy_threshold'),
    port,
    reuseConnection: message.reuseConnection ?? true,
    noTrafficIntervalMs,
    noTrafficHealthyIntervalMs: time(
      message.noTrafficHealthyInterval,
      noTrafficIntervalMs,
      'no_traffic_healthy_interval',
    ),
    unhealthyIntervalMs,
    unhealthyEdgeIntervalMs: time(message.unhealthyEdgeInterval, unhealthyIntervalMs, 'unhealthy_edge_interval'),
    healthyEdgeIntervalMs: time(message.healthyEdgeInterval, intervalMs, 'healthy_edge_interval'),
  };
}

function decodeProbe({ healthChecker }: Message, at: At): HealthProbe {
  switch (healthChecker.case) {
    case 'httpHealthCheck':
      return decodeHttp(healthChecker.value, at.field('http_health_check'));
    case 'grpcHealthCheck':
      return decodeGrpc(healthChecker.value, at.field('grpc_health_check'));
    case 'tcpHealthCheck':
      return decodeTcp(healthChecker.value, at.field('tcp_health_check'));
    default:
      return at.fail('http_health_check, grpc_health_check or tcp_health_check is required', {
        kind: 'tcp',
        send: '',
        receive: [],
      });
  }
}

function decodeHttp(message: HttpMessage, at: At): HealthProbe {
  if (message.path === '') at.field('path').fail('is required', undefined);
  if (message.codecClientType === CodecClientType.HTTP3) {
    at.field('codec_client_type').fail('HTTP3 is not supported by Weft', undefined);
  }
  const { requestHeaders: headers } = decodeHeaderMutations(
    {
      requestHeadersToAdd: message.requestHeadersToAdd,
      requestHeadersToRemove: message.requestHeadersToRemove,
      responseHeadersToAdd: [],
      responseHeadersToRemove: [],
    },
    at,
  );
  return {
    kind: 'http',
    method: decodeMethod(message.method, at.field('method')),
    path: decodeUriText(message.path, at.field('path')),
    host: decodeUriText(message.host, at.field('host')),
    headers,
    http2: message.codecClientType === CodecClientType.HTTP2,
    expected: decodeRanges(message.expectedStatuses, at.field('expected_statuses')),
    retriable: decodeRanges(message.retriableStatuses, at.field('retriable_statuses')),
  };
}

function decodeMethod(method: RequestMethod, at: At): HealthCheckMethod {
  if (method === RequestMethod.METHOD_UNSPECIFIED) return 'GET';
  return healthCheckMethods.find((name) => RequestMethod[name] === method) ?? at.fail('is not possible here', 'GET');
}

/** As Envoy: within 100 to 599, which is the end of a range at the latest. */
function decodeRanges(ranges: readonly Int64Range[], at: At): StatusRange[] {
  return ranges.map(({ start, end }, i) => {
    const range = { start: Number(start), end: Number(end) };
    const right = range.start >= 100 && range.start < range.end && range.end <= STATUS_END_MAX;
    return right ? range : at.index(i).fail('has to be from 100 to 600, its end not included', range);
  });
}

function decodeGrpc(message: GrpcMessage, at: At): HealthProbe {
  const { requestHeaders: metadata } = decodeHeaderMutations(
    {
      requestHeadersToAdd: message.initialMetadata,
      requestHeadersToRemove: [],
      responseHeadersToAdd: [],
      responseHeadersToRemove: [],
    },
    at,
  );
  if (metadata.set.length > 0) {
    at.field('initial_metadata').fail('has to be of APPEND_IF_EXISTS_OR_ADD: there is nothing to overwrite', undefined);
  }
  const authority = decodeUriText(message.authority, at.field('authority'));
  return { kind: 'grpc', service: message.serviceName, authority, metadata: metadata.add };
}

function decodeTcp(message: TcpMessage, at: At): HealthProbe {
  return {
    kind: 'tcp',
    send: message.send === undefined ? '' : decodePayload(message.send, at.field('send')),
    receive: message.receive.map((payload, i) => decodePayload(payload, at.field('receive').index(i))),
  };
}

function decodePayload({ payload }: Payload, at: At): string {
  switch (payload.case) {
    case 'text': {
      const hex = payload.value.toLowerCase();
      if (hex === '' || !/^(?:[0-9a-f]{2})+$/.test(hex)) return at.field('text').fail('has to be hexadecimal', '00');
      return hex;
    }
    case 'binary': {
      if (payload.value.length === 0) return at.field('binary').fail('is empty', '00');
      return Buffer.from(payload.value).toString('hex');
    }
    default:
      return at.fail('text or binary is required', '00');
  }
}
