import type { Clock } from '@weft/policies/kit/clock';
import { MESH_ALPN } from '@weft/policies/model/tls';
import { defaultUpstreamConnections, type UpstreamConnections } from '@weft/policies/model/upstream-connections';
import type { UpstreamTransport } from '../net/connection.ts';
import type { Recorder } from '../telemetry/record.ts';
import type { UpstreamConnection } from './exchange.ts';
import { connectHttp1 } from './h1/client.ts';
import { connectHttp2 } from './h2/client.ts';

interface HttpClientDeps {
  readonly clock: Clock;
  readonly recorder: Pick<Recorder, 'count'>;
}

/**
 * Speaks HTTP on an established transport: what was negotiated in TLS between sidecars or where it is left to that,
 * elsewhere what `wire` says.
 */
export function connectHttp(
  transport: UpstreamTransport,
  wire: 'http1' | 'http2' | 'negotiated',
  { clock, recorder }: HttpClientDeps,
  { http2, concurrentStreamsMax }: UpstreamConnections = defaultUpstreamConnections,
): UpstreamConnection {
  const mesh = transport.alpn === MESH_ALPN.http2;
  if (mesh || wire === 'http2' || (wire === 'negotiated' && transport.alpn === 'h2')) {
    return connectHttp2(transport, { clock, recorder, mesh, http2, concurrentStreamsMax });
  }
  return connectHttp1(transport, { recorder });
}
