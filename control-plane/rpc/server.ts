/** The gRPC server of port 15012: discovery, certificates and quotas. */
import { Server, type ServerCredentials } from '@grpc/grpc-js';
import type { ListenAddress } from '../config.ts';
import { type CertificatesParts, certificatesHandlers } from './certificates.ts';
import { type ConnectionGate, listenThrough } from './connection-gate.ts';
import { type DecisionParts, decisionHandlers } from './decisions.ts';
import { type DiscoveryParts, discoveryHandlers } from './discovery.ts';
import { certificatesService, decisionsService, discoveryService, quotasService } from './methods.ts';
import { type QuotaParts, quotaHandlers } from './quotas.ts';

interface RpcServerOptions {
  readonly address: ListenAddress;
  readonly gate: ConnectionGate;
  readonly credentials: ServerCredentials;
  readonly requestBytesMax: number;
  /** Streams end after this time and come back with a fresh credential, spread over the replicas. */
  readonly connectionAgeMsMax: number;
}

interface RpcServer {
  readonly port: number;
  /** Lets calls in flight end for `graceMs`, then cuts them. */
  stop(graceMs: number): Promise<void>;
}

const keepaliveMs = 30_000;
const keepaliveTimeoutMs = 10_000;
const ageGraceMs = 5_000;
/** Of one connection; a sidecar has one for discovery, and now and then one for a certificate. */
const concurrentCallsMax = 100;

export async function startRpcServer(
  options: RpcServerOptions,
  discovery: DiscoveryParts,
  certificates: CertificatesParts,
  quotas: QuotaParts,
  decisions: DecisionParts,
): Promise<RpcServer> {
  const server = new Server({
    'grpc.max_receive_message_length': options.requestBytesMax,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': concurrentCallsMax,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
    'grpc.max_connection_age_ms': options.connectionAgeMsMax,
    'grpc.max_connection_age_grace_ms': ageGraceMs,
    'grpc.max_connection_idle_ms': options.gate.limits.idleMsMax,
    // Nobody can ask for these statistics, and each connection and call would be entered.
    'grpc.enable_channelz': 0,
  });
  server.addService(discoveryService, discoveryHandlers(discovery));
  server.addService(certificatesService, certificatesHandlers(certificates));
  server.addService(quotasService, quotaHandlers(quotas));
  server.addService(decisionsService, decisionHandlers(decisions));
  const injector = server.createConnectionInjector(options.credentials);
  const listener = await listenThrough(options.gate, options.address, (socket) => injector.injectConnection(socket));
  const bound = listener.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : options.address.port,
    stop: (graceMs) =>
      new Promise((resolve) => {
        listener.close();
        const timer = setTimeout(() => server.forceShutdown(), graceMs);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}
