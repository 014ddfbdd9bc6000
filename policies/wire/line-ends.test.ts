/** What a proxy writes into a head as it is configured: nothing of it may end a line there, and frame another message. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.ts';
import { registry } from './registry.ts';
import { decodeResource } from './resource.ts';
import { typeUrls } from './type-urls.ts';

function errorPaths(route: JsonObject): readonly string[] {
  const json = {
    name: 'r',
    virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, ...route }] }],
  };
  const bytes = toBinary(RouteConfigurationSchema, fromJson(RouteConfigurationSchema, json, { registry }));
  const decoded = decodeResource(typeUrls.route, bytes);
  return decoded.ok ? [] : decoded.error.map(({ path }) => path.replace('virtual_hosts[0].routes[0].', ''));
}

const toCluster = (action: JsonObject = {}): JsonObject => ({ route: { cluster: 'c', ...action } });
const withHeader = (key: string, value: string): JsonObject => ({
  ...toCluster(),
  request_headers_to_add: [{ header: { key, value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
});

describe('configured text that would end a line', () => {
  const cases: readonly (readonly [name: string, route: JsonObject, path: string])[] = [
    ['CR LF in a value', withHeader('x', 'a\r\nContent-Length: 9'), 'request_headers_to_add[0].header.value'],
    ['LF in a value', withHeader('x', 'a\nb'), 'request_headers_to_add[0].header.value'],
    ['NUL in a value', withHeader('x', 'a\0b'), 'request_headers_to_add[0].header.value'],
    ['a character whose low octet is LF', withHeader('x', 'a\u010ab'), 'request_headers_to_add[0].header.value'],
    ['a colon in a name', withHeader('x: y', 'a'), 'request_headers_to_add[0].header.key'],
    ['a line end in a name', withHeader('x\r\ny', 'a'), 'request_headers_to_add[0].header.key'],
    ['Host', withHeader('Host', 'b'), 'request_headers_to_add[0].header.key'],
    ['Content-Length', withHeader('content-length', '9'), 'request_headers_to_add[0].header.key'],
    ['Transfer-Encoding', withHeader('Transfer-Encoding', 'chunked'), 'request_headers_to_add[0].header.key'],
    ['a pseudo-field', withHeader(':path', '/'), 'request_headers_to_add[0].header.key'],
    ['a host with a blank', toCluster({ host_rewrite_literal: 'a b' }), 'route.host_rewrite_literal'],
    ['a prefix with a line end', toCluster({ prefix_rewrite: '/a\r\nb' }), 'route.prefix_rewrite'],
    ['a prefix with a fragment', toCluster({ prefix_rewrite: '/a#b' }), 'route.prefix_rewrite'],
    ['a redirect to a path with a line end', { redirect: { path_redirect: '/a\nb' } }, 'redirect.path_redirect'],
    ['a redirect to a host with a line end', { redirect: { host_redirect: 'a\r\nb' } }, 'redirect.host_redirect'],
  ];
  for (const [name, route, path] of cases) {
    test(name, () => assert.deepEqual(errorPaths(route), [path]));
  }
  test('what is right passes', () => {
    assert.deepEqual(errorPaths(withHeader('X-Any_1', 'caf\xe9, "a" \t b')), []);
    assert.deepEqual(errorPaths(toCluster({ host_rewrite_literal: '[::1]:80', prefix_rewrite: '/a?b' })), []);
  });
});
