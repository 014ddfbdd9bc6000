import type { ResponseFlag } from '../../http/errors.ts';
import type { RequestRecord } from '../record.ts';
import type { LogEntry, LoggedExchange } from './entry.ts';

/** Envoy's long names of its flags. */
export const LONG_FLAGS: Readonly<Record<ResponseFlag, string>> = {
  UF: 'UpstreamConnectionFailure',
  UO: 'UpstreamOverflow',
  UH: 'NoHealthyUpstream',
  UC: 'UpstreamConnectionTermination',
  UR: 'UpstreamRemoteReset',
  UT: 'UpstreamRequestTimeout',
  UMSDR: 'UpstreamMaxStreamDurationReached',
  UPE: 'UpstreamProtocolError',
  NR: 'NoRouteFound',
  NC: 'NoClusterFound',
  URX: 'UpstreamRetryLimitExceeded',
  DC: 'DownstreamConnectionTermination',
  DPE: 'DownstreamProtocolError',
  DT: 'DurationTimeout',
  SI: 'StreamIdleTimeout',
  UAEX: 'UnauthorizedExternalService',
  RL: 'RateLimited',
  FI: 'FaultInjected',
  DI: 'DelayInjected',
  OM: 'OverloadManagerTerminated',
  DR: 'DroppedRequest',
};

const reset = (reason: string): string => `upstream_reset_before_response_started{${reason}}`;
const join = (text: string): string => text.replaceAll(/\s+/g, '_');

const unread: Pick<LoggedExchange, 'localReply'> = { localReply: true };

/** The same of an entry; a request that could not be read has its reason, too. */
export function detailsOf({ record, http }: LogEntry, joined = true): string | undefined {
  if (http !== undefined) return codeDetails(record, http, joined);
  return record.protocol === 'tcp' || record.detail === '' ? undefined : codeDetails(record, unread, joined);
}

/** How Envoy names the reason of a response, as far as our own reason tells. */
function codeDetails(
  record: RequestRecord,
  http: Pick<LoggedExchange, 'localReply'>,
  joined = true,
): string | undefined {
  const underscored = joined ? join : (text: string): string => text;
  switch (record.flag) {
    case '':
      if (!http.localReply) return record.status === 0 ? undefined : 'via_upstream';
      return record.detail === '' ? 'direct_response' : underscored(record.detail);
    case 'DI':
      return http.localReply ? underscored(record.detail) : 'via_upstream';
    case 'FI':
      return 'fault_filter_abort';
    case 'NR':
      return 'route_not_found';
    case 'NC':
      return 'cluster_not_found';
    case 'UH':
      return 'no_healthy_upstream';
    case 'UO':
      return reset('overflow');
    case 'UF':
      return reset(`remote_connection_failure|${underscored(record.detail)}`);
    case 'UC':
      return reset('connection_termination');
    case 'UR':
      return reset('remote_reset');
    case 'UPE':
      return reset('protocol_error');
    case 'UT':
      return 'response_timeout';
    case 'UMSDR':
      return 'upstream_max_stream_duration_reached';
    case 'DT':
      return record.detail === 'downstream duration timeout' ? 'max_duration_timeout' : underscored(record.detail);
    case 'SI':
      return 'stream_idle_timeout';
    case 'DC':
      return 'downstream_remote_disconnect';
    case 'URX':
      return http.localReply ? reset(underscored(record.detail)) : 'via_upstream';
    case 'UAEX':
      return `rbac_access_denied_matched_policy[${record.rule === '' ? 'none' : underscored(record.rule)}]`;
    default:
      return underscored(record.detail);
  }
}

/** Names of gRPC's codes (grpc/doc/statuscodes), in both spellings of Envoy's. */
const GRPC_NAMES: readonly string[] = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

export function grpcName(code: number, format: 'camel' | 'snake' | 'number'): string | number | undefined {
  if (code < 0) return undefined;
  const name = GRPC_NAMES[code];
  if (format === 'number') return code;
  if (name === undefined) return String(code);
  if (format === 'camel' || code === 0) return name;
  return name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
}

/** Why a connection was ended as such: Envoy's words where it has some for what we do. */
export function terminationDetails({ protocol, flag, rule }: RequestRecord): string | undefined {
  if (protocol !== 'tcp' || flag !== 'UAEX') return undefined;
  return `rbac_access_denied_matched_policy[${rule === '' ? 'none' : join(rule)}]`;
}
