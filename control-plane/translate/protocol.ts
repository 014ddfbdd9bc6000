/** What a port speaks, from what its author says about it. */
import type { AppProtocol } from '@weft/policies/model/address';

/** KEP-3726's names and IANA's, in lower case. */
const byAppProtocol: Readonly<Record<string, AppProtocol>> = {
  http: 'http',
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'tls',
  ws: 'http',
  wss: 'tls',
  http2: 'http2',
  h2c: 'http2',
  grpc: 'grpc',
  'grpc-web': 'http',
  https: 'tls',
  tls: 'tls',
  tcp: 'tcp',
};

/** Prefixes of port names, up to a dash. Databases speak first or have handshakes of their own: opaque. */
const byNamePrefix: Readonly<Record<string, AppProtocol>> = {
  http: 'http',
  http2: 'http2',
  h2c: 'http2',
  grpc: 'grpc',
  ws: 'http',
  https: 'tls',
  tls: 'tls',
  tcp: 'tcp',
  mysql: 'tcp',
  postgres: 'tcp',
  postgresql: 'tcp',
  mongo: 'tcp',
  redis: 'tcp',
  amqp: 'tcp',
  kafka: 'tcp',
};

export function protocolOf(port: { readonly appProtocol: string; readonly name: string }): AppProtocol {
  const declared = byAppProtocol[port.appProtocol.toLowerCase()];
  if (declared !== undefined) return declared;
  // An application protocol of somebody else's is not ours to interpret.
  if (port.appProtocol !== '') return 'tcp';
  if (port.name.startsWith('grpc-web')) return 'http';
  return byNamePrefix[port.name.split('-', 1)[0] ?? ''] ?? 'detect';
}

/** Whether requests on the port can be told apart. */
export const carriesHttp = (protocol: AppProtocol): boolean => protocol !== 'tcp' && protocol !== 'tls';

/** Whether connections to the port may be carried as bytes that nobody looks into. */
export const mayBeOpaque = (protocol: AppProtocol): boolean => !carriesHttp(protocol) || protocol === 'detect';
