import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { DeltaDiscoveryRequestSchema } from './gen/envoy/service/discovery/v3/discovery_pb.ts';
import { SignRequestSchema } from './gen/weft/ca/v1/certificates_pb.ts';
import { aggregatedDiscovery, certificates } from './grpc.ts';
import { typeUrls } from './type-urls.ts';

test('discovery streams both ways, and its messages come back', () => {
  const { path, requestStream, responseStream, requestSerialize, requestDeserialize } =
    aggregatedDiscovery.DeltaAggregatedResources;
  assert.equal(path, '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources');
  assert.deepEqual([requestStream, responseStream], [true, true]);
  const request = create(DeltaDiscoveryRequestSchema, {
    node: { id: 'sidecar~10.0.0.1~a.b~cluster.local', clientFeatures: ['x'], metadata: { client_features: ['x'] } },
    typeUrl: typeUrls.cluster,
    resourceNamesSubscribe: ['a', 'b'],
    initialResourceVersions: { a: '1' },
    errorDetail: { code: 3, message: 'refused' },
  });
  assert.deepEqual(requestDeserialize(requestSerialize(request)), request);
});

test('signing is one call', () => {
  const { path, requestStream, requestSerialize, requestDeserialize } = certificates.Sign;
  assert.equal(path, '/weft.ca.v1.Certificates/Sign');
  assert.equal(requestStream, false);
  const request = create(SignRequestSchema, { csr: Uint8Array.of(1, 2), ttlSeconds: 60 });
  const back = requestDeserialize(requestSerialize(request));
  assert.deepEqual([...back.csr], [1, 2]);
  assert.equal(back.ttlSeconds, 60);
});
