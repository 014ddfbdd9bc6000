/** gRPC methods of port 15012, as the server sees them. */
import { aggregatedDiscovery, certificates, decisions, quotas } from '@weft/policies/wire/grpc';

/** Responses of discovery are bytes already: resources are encoded once for all streams. */
const bytes = {
  responseSerialize: (message: Buffer): Buffer => message,
  responseDeserialize: (message: Buffer): Buffer => message,
} as const;

export const discoveryService = {
  StreamAggregatedResources: { ...aggregatedDiscovery.StreamAggregatedResources, ...bytes },
  DeltaAggregatedResources: { ...aggregatedDiscovery.DeltaAggregatedResources, ...bytes },
} as const;

export const certificatesService = certificates;

export const quotasService = quotas;

export const decisionsService = decisions;
