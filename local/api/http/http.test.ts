import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { StatusError } from '../status.ts';
import { negotiate } from './negotiate.ts';
import { decodeProtobuf } from './protobuf.ts';
import { readRequest } from './request-info.ts';

describe('request paths', () => {
  for (const [method, target, want] of [
    ['GET', '/api/v1/namespaces/n/pods/p/log?follow=true', 'get  v1 n pods p log'],
    ['GET', '/api/v1/pods', 'list  v1  pods  '],
    ['GET', '/api/v1/pods?watch=true', 'watch  v1  pods  '],
    ['GET', '/api/v1/watch/namespaces/n/pods', 'watch  v1 n pods  '],
    ['GET', '/api/v1/namespaces/n', 'get  v1 n namespaces n '],
    ['PUT', '/api/v1/namespaces/n/finalize', 'update  v1 n namespaces n finalize'],
    ['DELETE', '/apis/apps/v1/namespaces/n/deployments', 'deletecollection apps v1 n deployments  '],
    ['PATCH', '/apis/g.k/v2/things/t/status', 'patch g.k v2  things t status'],
  ] as const) {
    test(`${method} ${target}`, () => {
      const at = readRequest(method, target)?.resource;
      assert.equal(
        `${at?.verb} ${at?.group} ${at?.version} ${at?.namespace} ${at?.plural} ${at?.name} ${at?.subresource}`,
        want,
      );
    });
  }
  test('documents are no resources', () => {
    for (const path of ['/api', '/apis/apps', '/apis/apps/v1', '/openapi/v3/api/v1', '/'])
      assert.equal(readRequest('GET', path)?.resource, undefined);
  });
  test('any target is read or refused', () => {
    fc.assert(fc.property(fc.string(), (target) => void readRequest('GET', target)));
    assert.equal(readRequest('GET', 'http://x/'), undefined);
    assert.equal(readRequest('GET', '/%zz'), undefined);
  });
});

describe('Accept', () => {
  const none = new URLSearchParams();
  test('forms', () => {
    assert.equal(negotiate('application/json;as=Table;v=v1;g=meta.k8s.io,application/json', none).form.kind, 'table');
    assert.equal(negotiate('application/vnd.kubernetes.protobuf,application/json', none).form.kind, 'object');
    assert.equal(
      negotiate('application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json', none).form
        .kind,
      'discovery',
    );
    assert.equal(negotiate('application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1', none).form.kind, 'metadata');
    assert.equal(negotiate(undefined, none).form.kind, 'object');
    assert.equal(negotiate('application/yaml', none).yaml, true);
  });
  test('nothing that we have', () => assert.throws(() => negotiate('text/html', none), StatusError));
});

describe('protobuf bodies', () => {
  const field = (number: number, bytes: Buffer | string): Buffer => {
    const value = Buffer.from(bytes);
    return Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), value]);
  };
  const envelope = (apiVersion: string, kind: string, raw: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from('k8s\0'),
      field(1, Buffer.concat([field(1, apiVersion), field(2, kind)])),
      field(2, raw),
    ]);
  test('texts, maps, pointers and zero values', () => {
    const meta = field(1, Buffer.concat([field(1, 'name'), field(2, ''), field(8, '')]));
    const data = field(2, Buffer.concat([field(1, 'k'), field(2, 'v')]));
    const immutable = Buffer.from([(4 << 3) | 0, 0]);
    const raw = Buffer.concat([meta, data, immutable]);
    assert.deepEqual(decodeProtobuf(envelope('v1', 'ConfigMap', raw)), {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'name' },
      data: { k: 'v' },
      immutable: false,
    });
  });
  test('an unknown kind is refused', () =>
    assert.throws(() => decodeProtobuf(envelope('x/v1', 'Y', Buffer.alloc(0))), /no kind "Y" is registered/));
  test('any bytes are decoded or refused', () => {
    const kinds = fc.constantFrom('Pod', 'ConfigMap', 'Event', 'Node', 'DeleteOptions');
    fc.assert(
      fc.property(kinds, fc.uint8Array({ maxLength: 200 }), (kind, bytes) => {
        try {
          decodeProtobuf(envelope('v1', kind, Buffer.from(bytes.slice(0, 127))));
        } catch (error) {
          assert.ok(error instanceof StatusError, String(error));
        }
      }),
    );
  });
});
