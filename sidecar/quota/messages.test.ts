import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { LeaseRequestSchema, LeaseResponseSchema } from '@weft/policies/wire/gen/weft/quota/v1/quotas_pb';
import { decodeLeaseResponse, encodeLeaseRequest } from './messages.ts';

test('what is written by hand is what the schema reads, and the other way', () => {
  const usages = [
    { limit: 'shop/limits/all', demandPerSecond: 12.5, leasedPerSecond: 0 },
    { limit: 'ä', demandPerSecond: 0, leasedPerSecond: 1e9 },
  ];
  const request = fromBinary(LeaseRequestSchema, encodeLeaseRequest('sidecar~1', usages));
  assert.equal(request.node, 'sidecar~1');
  assert.deepEqual(
    request.usages.map(({ limit, demandPerSecond, leasedPerSecond }) => ({ limit, demandPerSecond, leasedPerSecond })),
    usages,
  );
  const leases = [
    { limit: 'shop/limits/all', tokensPerSecond: 3.25, validMs: 10_000, holders: 3 },
    { limit: 'b', tokensPerSecond: 0, validMs: 1, holders: 0 },
  ];
  const bytes = toBinary(LeaseResponseSchema, create(LeaseResponseSchema, { leases }));
  assert.deepEqual(decodeLeaseResponse(Buffer.from(bytes)), leases);
});

test('what is cut off is no message', () => {
  const bytes = toBinary(
    LeaseResponseSchema,
    create(LeaseResponseSchema, { leases: [{ limit: 'a', tokensPerSecond: 1, validMs: 1_000, holders: 300 }] }),
  );
  for (let length = 1; length < bytes.length; length++) {
    assert.throws(() => decodeLeaseResponse(Buffer.from(bytes.subarray(0, length))));
  }
});
