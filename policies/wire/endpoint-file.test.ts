import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '@bufbuild/protobuf';
import { decodeEndpointFile } from './endpoint-file.ts';
import { typeUrls } from './type-urls.ts';

const assignment = (cluster_name: string, port_value: JsonValue) => ({
  '@type': typeUrls.endpoints,
  cluster_name,
  endpoints: [
    {
      locality: { zone: 'a' },
      lb_endpoints: [
        { endpoint: { address: { socket_address: { address: '10.0.0.1', port_value } } }, load_balancing_weight: 3 },
      ],
    },
  ],
});

function errorsOf(json: JsonValue): readonly string[] {
  const read = decodeEndpointFile(json, ['cart']).get('cart');
  assert.ok(read?.ok === false, 'was accepted');
  return read.error.map(({ path, message }) => `${path}: ${message}`);
}

test('the endpoints of one service among others', () => {
  const read = decodeEndpointFile({ version_info: '7', resources: [assignment('web', 80), assignment('cart', 8080)] }, [
    'cart',
  ]).get('cart');
  assert.ok(read?.ok, JSON.stringify(read));
  assert.equal(read.value.clusterName, 'cart');
  assert.deepEqual(
    read.value.endpoints.map(({ address, weight, zone }) => ({ address, weight, zone })),
    [{ address: { ip: '10.0.0.1', port: 8080 }, weight: 3, zone: 'a' }],
  );
});

test('what is wrong is named with its path', () => {
  assert.match(errorsOf(null)[0] ?? '', /^: has to be an object/);
  assert.match(errorsOf({ resources: {} })[0] ?? '', /^resources: has to be a list/);
  assert.match(errorsOf({ resources: [{ cluster_name: 'cart' }] })[0] ?? '', /^resources\[0\]: .*"@type"/);
  assert.deepEqual(errorsOf({ resources: [assignment('web', 80)] }), [
    'resources: there is no ClusterLoadAssignment of cluster_name "cart"',
  ]);
  assert.deepEqual(errorsOf({ resources: [assignment('cart', 1), assignment('cart', 2)] }), [
    'resources: cluster_name "cart" occurs twice',
  ]);
  assert.deepEqual(errorsOf({ version: 1, resources: [assignment('cart', 1)] }), [
    'version: is not supported by Weft in a file of endpoints',
  ]);
  const where = 'resources[0].endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value';
  assert.ok(errorsOf({ resources: [assignment('cart', 'http')] })[0]?.startsWith(`${where}: `));
  assert.ok(
    errorsOf({ resources: [{ ...assignment('cart', 1), policy: {} }] })[0]?.startsWith('resources[0].policy: '),
  );
});

test('those of many services are decoded once', () => {
  const names = Array.from({ length: 50 }, (_, i) => `s${i}`);
  let decoded = 0;
  const json = {
    get resources() {
      decoded++;
      return names.map((name) => assignment(name, 80));
    },
  };
  const read = decodeEndpointFile(json, [...names, 'other']);
  assert.equal(decoded, 1);
  assert.deepEqual([...read.keys()], [...names, 'other']);
  assert.deepEqual(
    [...read].flatMap(([name, { ok }]) => (ok ? [] : [name])),
    ['other'],
  );
});
