import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { decode, errorsOf, listener, manager } from './strictness-samples.testing.ts';

const withLimits = (limits: JsonObject, filter: JsonObject = manager()): JsonObject =>
  listener(filter, {
    filter_chains: [
      {
        filters: [{ name: 'f', typed_config: filter }],
        metadata: { filter_metadata: { 'weft.dev': { request_limits: limits } } },
      },
    ],
  });

test('limits of lines and of content are those of the chain that says them', () => {
  const decoded = decode('listener', withLimits({ request_line_bytes_max: 2_000, request_body_bytes_max: 5 }));
  assert.ok(decoded.ok && decoded.value.kind === 'listener');
  const terminal = decoded.value.value.filterChains[0]?.terminal;
  assert.ok(terminal?.kind === 'http');
  const { requestLineBytesMax, fieldLineBytesMax, requestBodyBytesMax } = terminal.limits;
  assert.deepEqual([requestLineBytesMax, fieldLineBytesMax, requestBodyBytesMax], [2_000, 0, 5]);
});

test('what is no size, and limits of what is no HTTP, is refused by path', () => {
  const at = 'filter_chains[0].metadata.filter_metadata["weft.dev"].request_limits';
  const path = (json: JsonObject) => errorsOf('listener', json).map((error) => error.path);
  assert.deepEqual(path(withLimits({ field_line_bytes_max: -1 })), [`${at}.field_line_bytes_max`]);
  const tcp = { '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy' };
  const proxy = { ...tcp, stat_prefix: 's', cluster: 'c' };
  assert.deepEqual(path(withLimits({ field_line_bytes_max: 1 }, proxy)), [at]);
});
