import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readBootstrap } from './read.ts';
import { settingsOf } from './telemetry.ts';

const listener = (name: string, port: number, settings?: Readonly<Record<string, unknown>>) => ({
  name,
  address: { socket_address: { address: '127.0.0.1', port_value: port } },
  filter_chains: [
    {
      filters: [
        {
          name: 'tcp',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
            stat_prefix: 'tcp',
            cluster: 'any',
          },
        },
      ],
    },
  ],
  ...(settings === undefined ? {} : { metadata: { filter_metadata: { 'weft.dev': { settings } } } }),
});

function settingsFor(...listeners: readonly ReturnType<typeof listener>[]) {
  const any = { name: 'any', type: 'STATIC', load_assignment: { cluster_name: 'any', endpoints: [] } };
  const text = JSON.stringify({ node: { id: 'edge', cluster: 'c' }, static_resources: { listeners, clusters: [any] } });
  const read = readBootstrap(text);
  assert.ok(read.ok, JSON.stringify(read));
  return settingsOf(read.value);
}

const tracing = (otlp_endpoint: string) => ({ otlp_endpoint, otlp_protocol: 'grpc', sampling_percent: 100 });

test('spans of one listener go out whatever another one says of its log', () => {
  const settings = settingsFor(
    listener('plain', 1),
    listener('traced', 2, { tracing: tracing('http://a:4317'), workload_name: 'shop/web' }),
    listener('logged', 3, { access_log: 'all' }),
  );
  assert.equal(settings.tracing?.otlpEndpoint, 'http://a:4317');
  assert.deepEqual([settings.accessLog, settings.workloadName, settings.serviceName], ['all', 'shop/web', 'edge']);
});

test('a listener with a log in its own form is heard first; without any, failures are logged', () => {
  const settings = settingsFor(
    listener('traced', 1, { tracing: tracing('http://a:4317') }),
    listener('both', 2, { tracing: tracing('http://b:4317'), access_log: 'errors' }),
  );
  assert.deepEqual([settings.tracing?.otlpEndpoint, settings.accessLog], ['http://b:4317', 'errors']);
  assert.deepEqual(settingsFor(listener('plain', 1)), {
    tracing: undefined,
    accessLog: 'errors',
    workloadName: 'edge',
    serviceName: 'edge',
  });
});
