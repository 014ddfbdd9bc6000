import type { Direction } from '@weft/policies/model/listener';
import type { DownstreamConnection } from '../http/exchange.ts';
import type { RequestRecord } from '../telemetry/record.ts';

export function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** A record with what is known of a connection alone: for TCP, and for requests that never became one. */
export function connectionRecord(
  direction: Direction,
  protocol: RequestRecord['protocol'],
  connection: DownstreamConnection,
  startUnixMs: number,
): RequestRecord {
  return {
    direction,
    protocol,
    startUnixMs,
    durationMs: 0,
    upstreamMs: 0,
    method: '',
    authority: '',
    path: '',
    status: 0,
    grpcStatus: -1,
    flag: '',
    detail: '',
    route: '',
    cluster: '',
    upstream: '',
    attempts: 0,
    sourceIdentity: connection.peer?.spiffeId ?? '',
    sourceWorkload: '',
    destinationIdentity: '',
    destinationWorkload: '',
    destinationService: '',
    remote: hostPort(connection.remoteIp, connection.remotePort),
    destination: hostPort(connection.destinationIp, connection.destinationPort),
    bytesReceived: 0,
    bytesSent: 0,
    rule: '',
    mtls: connection.peer !== undefined,
    requestId: '',
    traceId: '',
    spanId: '',
    parentSpanId: '',
    sampled: false,
  };
}
