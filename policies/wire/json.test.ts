import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DescMessage, equals, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import type { ResourceKind, ResourceMap } from '../model/snapshot.ts';
import { arbitraryResources } from './arbitrary-resources.testing.ts';
import { Decoding } from './decoding.ts';
import { BootstrapSchema } from './gen/envoy/config/bootstrap/v3/bootstrap_pb.ts';
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from './gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.ts';
import { RouterSchema } from './gen/envoy/extensions/filters/http/router/v3/router_pb.ts';
import { messageFromJson } from './json.ts';
import { registry } from './registry.ts';
import { encodeResource } from './resource.ts';

const schemas = {
  listener: ListenerSchema,
  route: RouteConfigurationSchema,
  cluster: ClusterSchema,
  endpoints: ClusterLoadAssignmentSchema,
} satisfies Partial<Record<ResourceKind, DescMessage>>;

type Shown = keyof typeof schemas;

const shownKinds: readonly Shown[] = ['listener', 'route', 'cluster', 'endpoints'];

function read(schema: DescMessage, json: JsonValue) {
  const decoding = new Decoding(true);
  const message = messageFromJson(schema, json, decoding.at(''));
  return { message, errors: decoding.errors, decoding };
}

describe('a message is read from JSON as the library reads it', () => {
  for (const kind of shownKinds) {
    for (const useProtoFieldName of [true, false]) {
      test(`${kind}, ${useProtoFieldName ? 'names of the .proto file' : 'names of JSON'}`, () => {
        const schema: DescMessage = schemas[kind];
        fc.assert(
          fc.property<[ResourceMap[Shown]]>(arbitraryResources[kind], (value) => {
            const { bytes } = encodeResource(kind, 'name', value);
            const json = toJson(schema, fromBinary(schema, bytes), { registry, useProtoFieldName });
            const { message, errors } = read(schema, json);
            assert.deepEqual(errors, []);
            assert.ok(message !== undefined);
            const measure = fromJson(schema, json, { registry });
            assert.deepEqual(toBinary(schema, message), toBinary(schema, measure));
            assert.ok(equals(schema, message, measure, { registry }));
          }),
          { numRuns: 50 },
        );
      });
    }
  }
});

describe('what is packed', () => {
  const json = {
    name: 'a',
    typedConfig: { '@type': `type.googleapis.com/${RouterSchema.typeName}`, suppressEnvoyHeaders: true },
  };
  const listener = { filterChains: [{ filters: [json] }] };

  test('is unpacked as it was read, and has bytes for who asks', () => {
    const decoding = new Decoding(true);
    const message = messageFromJson(ListenerSchema, listener, decoding.at(''));
    const config = message?.filterChains[0]?.filters[0]?.configType;
    assert.ok(config?.case === 'typedConfig');
    const any = config.value;
    assert.deepEqual(decoding.unpack(any), fromJson(RouterSchema, { suppressEnvoyHeaders: true }));
    assert.equal(decoding.unpack(any), decoding.unpack(any));
    assert.deepEqual(new Decoding().unpack(any), decoding.unpack(any));
  });

  test('is refused by path', () => {
    const wrong = { ...json, typedConfig: { ...json.typedConfig, suppressEnvoyHeaders: 'yes' } };
    const { message, errors } = read(ListenerSchema, { filterChains: [{ filters: [wrong] }] });
    assert.equal(message, undefined);
    assert.deepEqual(
      errors.map(({ path }) => path),
      ['filter_chains[0].filters[0].typed_config.suppress_envoy_headers'],
    );
  });
});

test('each value that is wrong is named by its place', () => {
  const cluster = {
    name: 1,
    connectTimeout: '2 seconds',
    lbPolicy: 'NONE',
    metadata: { filterMetadata: { a: 'b', c: {} } },
    loadAssignment: { endpoints: [{ locality: [] }, 7] },
  };
  const json = { node: { clientFeatures: ['a', 2, 'c'] }, static_resources: { clusters: [cluster] } };
  const { message, errors } = read(BootstrapSchema, json);
  assert.equal(message, undefined);
  const found = errors.map(
    ({ path, message: text }) => `${path.replace('static_resources.clusters[0]', 'cluster')}: ${text}`,
  );
  assert.deepEqual(found.sort(), [
    'cluster.connect_timeout: has to be a duration in seconds, such as "1.5s", not "2 seconds"',
    'cluster.lb_policy: has to be one of ROUND_ROBIN, LEAST_REQUEST, RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, LOAD_BALANCING_POLICY_CONFIG, not "NONE"',
    'cluster.load_assignment.endpoints[0].locality: has to be an object (Locality)',
    'cluster.load_assignment.endpoints[1]: has to be an object (LocalityLbEndpoints)',
    'cluster.metadata.filter_metadata["a"]: cannot decode message google.protobuf.Struct from JSON "b"',
    'cluster.name: expected string, got 1',
    'node.client_features: Node.client_features is not supported by Weft',
  ]);
});

test('a default said aloud is taken where it changes nothing, if it is one of its type', () => {
  const { message, errors } = read(ListenerSchema, { name: 'a', transparent: null, stat_prefix: '' });
  assert.deepEqual(errors, []);
  assert.deepEqual(message, fromJson(ListenerSchema, { name: 'a' }));
  const address = { socket_address: { address: '::1', named_port: '' } };
  const wrong = read(ListenerSchema, { stat_prefix: 0, address });
  assert.deepEqual(
    wrong.errors.map(({ path, message: text }) => `${path}: ${text}`),
    [
      'stat_prefix: expected string, got 0',
      'address.socket_address.named_port: SocketAddress.named_port is not supported by Weft',
    ],
  );
});

test('an enum value is named in any case, as Envoy reads it', () => {
  const named = { type: 'strict_dns', lbPolicy: 'Random' };
  const { message, errors } = read(ClusterSchema, named);
  assert.deepEqual(errors, []);
  assert.deepEqual(message, fromJson(ClusterSchema, { type: 'STRICT_DNS', lbPolicy: 'RANDOM' }));
});

test('durations and numbers are read whole or not at all', () => {
  for (const text of ['1s500ms', '1s\n', '2 seconds', '1.s', '.5s', '1.0000000001s', '1S', '', '315576000001s']) {
    const { errors } = read(ClusterSchema, { connect_timeout: text });
    const message = `has to be a duration in seconds, such as "1.5s", not ${JSON.stringify(text)}`;
    assert.deepEqual(errors, [{ path: 'connect_timeout', message }]);
  }
  const others: readonly (readonly [JsonValue, string])[] = [
    [Infinity, 'Infinity'],
    [[{ a: 1 }], 'a list'],
    [{ inline_string: 'a key' }, 'an object'],
    ['k'.repeat(41), 'a longer text'],
  ];
  for (const [json, said] of others) {
    const { errors } = read(ClusterSchema, { connect_timeout: json, lb_policy: json });
    assert.equal(errors.length, 2);
    for (const { message } of errors) assert.ok(message.endsWith(`, not ${said}`), message);
  }
  for (const text of ['0x10', '1 ', '', '01', 'NaN', '1e']) {
    const { errors } = read(ListenerSchema, { per_connection_buffer_limit_bytes: text });
    assert.equal(errors[0]?.path, 'per_connection_buffer_limit_bytes', text);
  }
  for (const text of ['0s', '1s', '0.25s', '12.000000001s'])
    assert.deepEqual(read(ClusterSchema, { connect_timeout: text }).errors, [], text);
});

test('half of a surrogate pair is refused wherever it stands, also in what is packed', () => {
  const half = 'a\ud800';
  const router = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' };
  const metadata = { filter_metadata: { a: { b: ['\u{1f600}', half], [half]: 1 } } };
  const filters = [{ name: 'f', typed_config: { ...router, x: half } }];
  const cases: readonly (readonly [JsonValue, string])[] = [
    [{ name: half }, 'name'],
    [{ metadata }, 'metadata.filter_metadata.a.b[1]'],
    [{ filter_chains: [{ filters }] }, 'filter_chains[0].filters[0].typed_config.x'],
  ];
  for (const [json, path] of cases) {
    const found = read(ListenerSchema, json).errors.find(({ message }) => message === 'holds half of a surrogate pair');
    assert.equal(found?.path, path);
  }
  assert.equal(read(ListenerSchema, { metadata: { filter_metadata: { [half]: {} } } }).message, undefined);
});

test('nesting has an end', () => {
  let permission: JsonValue = { any: true };
  for (let i = 0; i < 60; i++) permission = { and_rules: { rules: [permission] } };
  const rbac = { '@type': 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC' };
  const rules = { policies: { deep: { permissions: [permission], principals: [{ any: true }] } } };
  const filters = [{ name: 'rbac', typed_config: { ...rbac, rules } }];
  const { errors } = read(ListenerSchema, { filter_chains: [{ filters }] });
  assert.equal(errors.length, 1);
  assert.equal(errors[0]?.message, 'is nested too deeply');
});
