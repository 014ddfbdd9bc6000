import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import {
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  ResourceSchema,
} from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { encodeResource } from '@weft/policies/wire/resource';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { controlWire } from './codec.ts';

const { bytes } = encodeResource('endpoints', 'cart', { clusterName: 'cart', endpoints: [] });

test('endpoints under another name than their own are refused', () => {
  const effect = (name: string) =>
    controlWire.decodeEffect('endpoints', typeUrls.endpoints, {
      upserts: [{ name, version: '1', bytes }],
      removals: [],
    });
  assert.deepEqual(effect('cart').errors, []);
  const { accepted, changes, errors } = effect('basket');
  assert.deepEqual([accepted, changes, errors], [[], [], ['basket: cluster_name: is "cart"']]);
});

test('without increments, a resource of another type than its response has no name', () => {
  const namesOf = (type: string): readonly string[] => {
    const resource = create(AnySchema, { typeUrl: type, value: bytes });
    const wrapped = toBinary(ResourceSchema, create(ResourceSchema, { name: 'cart', resource }));
    const response = create(DiscoveryResponseSchema, {
      typeUrl: typeUrls.endpoints,
      resources: [
        resource,
        create(AnySchema, {
          typeUrl: 'type.googleapis.com/envoy.service.discovery.v3.Resource',
          value: wrapped,
        }),
      ],
    });
    const message = Buffer.from(toBinary(DiscoveryResponseSchema, response));
    return controlWire.decodeStateResponse(message).resources.map(({ name }) => name);
  };
  assert.deepEqual(namesOf(typeUrls.endpoints), ['cart', 'cart']);
  assert.deepEqual(namesOf(typeUrls.cluster), ['', '']);
});

test('who asks is told with its metadata and its place, value by value', () => {
  const metadata = { tenant: 'shop', weights: [1.5, -0, 2 ** 60], deep: { on: true, off: null }, '': '' };
  const locality = { region: 'eu', zone: 'eu-1', subZone: 'rack-7' };
  const node = { id: 'edge-1', cluster: 'edge', metadata, locality, clientFeatures: [] };
  const asked = { typeUrl: typeUrls.endpoints, nonce: '', refusal: '' };
  const delta = controlWire.encodeRequest({ ...asked, subscribe: ['cart'], unsubscribe: [], heldVersions: {} }, node);
  const state = controlWire.encodeStateRequest({ ...asked, names: ['cart'], version: '' }, node);
  for (const sent of [fromBinary(DeltaDiscoveryRequestSchema, delta), fromBinary(DiscoveryRequestSchema, state)]) {
    assert.deepEqual(sent.node?.metadata, metadata);
    const { region, zone, subZone } = sent.node?.locality ?? {};
    assert.deepEqual({ region, zone, subZone }, locality);
  }
});
