import type { Direction } from '@weft/policies/model/listener';
import type { DownstreamConnection } from '../http/exchange.ts';
import { emptyRecord, type RequestRecord } from '../telemetry/record.ts';

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
  const record = emptyRecord(direction);
  record.protocol = protocol;
  record.startUnixMs = startUnixMs;
  record.sourceIdentity = connection.peer?.spiffeId ?? '';
  record.remote = hostPort(connection.remoteIp, connection.remotePort);
  record.destination = hostPort(connection.destinationIp, connection.destinationPort);
  record.mtls = connection.peer !== undefined;
  return record;
}
