/** Paths of the RPCs between sidecars and the control plane, for clients that load the messages later or never. */
export const methodPaths = {
  streamAggregatedResources: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  deltaAggregatedResources: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
  streamEndpoints: '/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints',
  deltaEndpoints: '/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints',
  sign: '/weft.ca.v1.Certificates/Sign',
  identify: '/weft.ca.v1.Certificates/Identify',
  signJwt: '/weft.ca.v1.Certificates/SignJwt',
  jwtBundle: '/weft.ca.v1.Certificates/JwtBundle',
  lease: '/weft.quota.v1.Quotas/Lease',
  report: '/weft.authorization.v1.Decisions/Report',
} as const;
