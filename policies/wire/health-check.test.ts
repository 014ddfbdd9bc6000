import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.ts';
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { registry } from './registry.ts';
import { decodeResource } from './resource.ts';
import { typeUrls } from './type-urls.ts';

const decode = (json: JsonObject) =>
  decodeResource(typeUrls.cluster, toBinary(ClusterSchema, fromJson(ClusterSchema, json, { registry })));

const cluster = (...checks: readonly JsonObject[]): JsonObject => ({
  name: 'c',
  type: 'STATIC',
  load_assignment: { cluster_name: 'c' },
  health_checks: [...checks],
});
const often: JsonObject = { timeout: '1s', interval: '5s', unhealthy_threshold: 2, healthy_threshold: 3 };
const http = (fields: JsonObject): JsonObject => ({ ...often, http_health_check: { path: '/', ...fields } });

function checkOf(json: JsonObject): Cluster['healthCheck'] {
  const decoded = decode(json);
  if (!decoded.ok) assert.fail(JSON.stringify(decoded.error));
  assert.equal(decoded.value.kind, 'cluster');
  return decoded.value.kind === 'cluster' ? decoded.value.value.healthCheck : undefined;
}

test("what is not said is Envoy's default", () => {
  assert.deepEqual(checkOf(cluster(http({}))), {
    probe: {
      kind: 'http',
      method: 'GET',
      path: '/',
      host: '',
      headers: { set: [], add: [], remove: [] },
      http2: false,
      expected: [],
      retriable: [],
    },
    timeoutMs: 1_000,
    intervalMs: 5_000,
    initialJitterMs: 0,
    intervalJitterMs: 0,
    intervalJitterPercent: 0,
    unhealthyThreshold: 2,
    healthyThreshold: 3,
    port: 0,
    reuseConnection: true,
    noTrafficIntervalMs: 60_000,
    noTrafficHealthyIntervalMs: 60_000,
    unhealthyIntervalMs: 5_000,
    unhealthyEdgeIntervalMs: 5_000,
    healthyEdgeIntervalMs: 5_000,
    initially: 'failed',
  });
  const ignoring = { ...cluster(http({})), common_lb_config: { ignore_new_hosts_until_first_hc: true } };
  assert.equal(checkOf(ignoring)?.initially, 'ignored');
});

test('bytes, written either way', () => {
  const tcp = { send: { text: '50494E47' }, receive: [{ binary: Buffer.from('PONG').toString('base64') }] };
  assert.deepEqual(checkOf(cluster({ ...often, tcp_health_check: tcp }))?.probe, {
    kind: 'tcp',
    send: '50494e47',
    receive: ['504f4e47'],
  });
});

describe('what cannot be is refused by path', () => {
  const cases: readonly (readonly [string, JsonObject, string])[] = [
    ['two of them', cluster(http({}), http({})), 'health_checks[1]'],
    ['no kind', cluster(often), 'health_checks[0]'],
    ['no interval', cluster({ ...http({}), interval: '0s' }), 'health_checks[0].interval'],
    ['no threshold', cluster({ ...http({}), healthy_threshold: 0 }), 'health_checks[0].healthy_threshold'],
    ['no such port', cluster({ ...http({}), alt_port: 70_000 }), 'health_checks[0].alt_port'],
    [
      'no such status',
      cluster(http({ expected_statuses: [{ start: '200', end: '700' }] })),
      'health_checks[0].http_health_check.expected_statuses[0]',
    ],
    ['a blank in a path', cluster(http({ path: '/a b' })), 'health_checks[0].http_health_check.path'],
    ['CONNECT', cluster(http({ method: 'CONNECT' })), 'health_checks[0].http_health_check.method'],
    [
      'a look at bodies',
      cluster(http({ response_buffer_size: '' })),
      'health_checks[0].http_health_check.response_buffer_size',
    ],
    [
      'no bytes',
      cluster({ ...often, tcp_health_check: { send: { text: 'xy' } } }),
      'health_checks[0].tcp_health_check.send.text',
    ],
    [
      'an original destination',
      { name: 'c', type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED', health_checks: [http({})] },
      'health_checks',
    ],
  ];
  for (const [what, json, path] of cases) {
    test(what, () => {
      const decoded = decode(json);
      assert.ok(!decoded.ok, 'was accepted');
      assert.deepEqual(
        decoded.error.map((error) => error.path),
        [path],
      );
    });
  }
});
