import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create, type DescMessage, fromJson, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { WIRE_ERRORS_MAX } from './decoding.ts';
import { BootstrapSchema } from './gen/envoy/config/bootstrap/v3/bootstrap_pb.ts';
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { registry } from './registry.ts';
import { decodeResource } from './resource.ts';
import { strictnessCases } from './strictness-cases.testing.ts';
import { strictnessClusterCases } from './strictness-cluster-cases.testing.ts';
import { strictnessJwtCases } from './strictness-jwt-cases.testing.ts';
import { strictnessLogCases } from './strictness-log-cases.testing.ts';
import {
  action,
  chain,
  cluster,
  decode,
  empty,
  endpoints,
  errorsOf,
  listener,
  manager,
  router,
  schemas,
} from './strictness-samples.testing.ts';
import { allSupportedFields } from './supported-fields.ts';
import { typeUrls } from './type-urls.ts';

describe('what Weft does not act on is refused by path', () => {
  const cases = [...strictnessCases, ...strictnessClusterCases, ...strictnessJwtCases, ...strictnessLogCases];
  for (const [what, kind, json, path] of cases) {
    test(what, () => {
      assert.deepEqual(
        errorsOf(kind, json).map((error) => error.path),
        [path],
      );
    });
  }

  test('every error at once, and no more than the bound', () => {
    const many = Array.from({ length: WIRE_ERRORS_MAX + 10 }, () => ({
      ...action,
      tracing: empty,
      decorator: empty,
    }));
    const errors = errorsOf('route', { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], routes: many }] });
    assert.equal(errors.length, WIRE_ERRORS_MAX);
  });

  test('an unknown extension is named by its type', () => {
    const json = listener();
    const message = fromJson(ListenerSchema, json, { registry });
    const filter = message.filterChains[0]?.filters[0];
    assert.ok(filter?.configType.case === 'typedConfig');
    filter.configType.value.typeUrl = 'type.googleapis.com/envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy';
    const decoded = decodeResource(typeUrls.listener, toBinary(ListenerSchema, message));
    assert.ok(!decoded.ok);
    assert.equal(decoded.error[0]?.path, chain);
    assert.match(decoded.error[0].message, /mongo_proxy\.v3\.MongoProxy" is not supported/);
  });
});

describe('what a later version says is passed over and counted', () => {
  test('field numbers, at any depth', () => {
    const later = new BinaryWriter().tag(20_000, WireType.Varint).uint32(1).finish();
    const bytes = toBinary(ClusterLoadAssignmentSchema, fromJson(ClusterLoadAssignmentSchema, endpoints({})));
    const assignment = create(ClusterLoadAssignmentSchema, {
      clusterName: 'c',
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: {} } }] }],
    });
    const known = decodeResource(typeUrls.endpoints, Uint8Array.of(...bytes, ...later));
    assert.ok(known.ok);
    assert.equal(known.value.unknownFields, 1);
    const group = assignment.endpoints[0];
    assert.ok(group !== undefined);
    group.$unknown = [{ no: 20_001, wireType: WireType.Varint, data: Uint8Array.of(1) }];
    group.lbEndpoints = fromJson(ClusterLoadAssignmentSchema, endpoints({})).endpoints[0]?.lbEndpoints ?? [];
    const nested = decodeResource(typeUrls.endpoints, toBinary(ClusterLoadAssignmentSchema, assignment));
    assert.ok(nested.ok);
    assert.equal(nested.value.unknownFields, 1);
  });

  test('settings of our own', () => {
    const decoded = decode(
      'cluster',
      cluster({ metadata: { filter_metadata: { 'weft.dev': { later: 1 }, other: { a: 1 } } } }),
    );
    assert.ok(decoded.ok);
    assert.equal(decoded.value.unknownFields, 1);
  });

  test('an HTTP filter that is optional', () => {
    const message = fromJson(ListenerSchema, listener(), { registry });
    const filter = message.filterChains[0]?.filters[0];
    assert.ok(filter?.configType.case === 'typedConfig');
    const withOptional = (isOptional: boolean) => decodeResource(typeUrls.listener, listenerWithFilter(isOptional));
    const optional = withOptional(true);
    assert.ok(optional.ok && optional.value.kind === 'listener');
    assert.equal(optional.value.unknownFields, 1);
    const terminal = optional.value.value.filterChains[0]?.terminal;
    assert.deepEqual(terminal?.kind === 'http' && terminal.filters, [{ kind: 'router' }]);
    assert.equal(withOptional(false).ok, false);
  });
});

/** A listener with an HTTP filter of a type that nobody knows, before the router. */
function listenerWithFilter(isOptional: boolean): Uint8Array {
  const text = JSON.stringify(
    listener(
      manager({
        http_filters: [{ name: 'later', is_optional: isOptional, typed_config: router.typed_config }, router],
      }),
    ),
  );
  const bytes = Buffer.from(toBinary(ListenerSchema, fromJson(ListenerSchema, JSON.parse(text), { registry })));
  const known = Buffer.from('envoy.extensions.filters.http.router.v3.Router');
  const at = bytes.indexOf(known);
  bytes.write('envoy.extensions.filters.http.router.v9.Router', at);
  return new Uint8Array(bytes);
}

test('every supported field is a field of its message', () => {
  const known = new Map<string, Set<string>>();
  const visit = (desc: DescMessage): void => {
    if (known.has(desc.typeName)) return;
    known.set(desc.typeName, new Set(desc.fields.map(({ name }) => name)));
    for (const field of desc.fields) if (field.message !== undefined) visit(field.message);
  };
  for (const schema of Object.values(schemas)) visit(schema);
  visit(BootstrapSchema);
  for (const item of registry) if (item.kind === 'message') visit(item);
  for (const [message, fields] of allSupportedFields()) {
    const all = known.get(message);
    assert.ok(all !== undefined, `${message} is reachable`);
    assert.deepEqual(
      [...fields].filter((field) => !all.has(field)),
      [],
      message,
    );
  }
});
