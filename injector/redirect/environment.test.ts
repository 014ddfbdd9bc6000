import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseEnvironment } from './environment.ts';
import { parseCidrList, parseEndpointList, parsePortList } from './options.ts';

describe('environment of weft-init', () => {
  test('nothing set is nothing excluded', () => {
    const parsed = parseEnvironment({});
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value.options.apiServers, []);
    assert.equal(parsed.value.apiServerName, undefined);
  });

  test('the API server by address, in both families, beside the list', () => {
    const parsed = parseEnvironment({
      KUBERNETES_SERVICE_HOST: 'fd00::1',
      KUBERNETES_SERVICE_PORT: '6443',
      WEFT_API_SERVERS: '10.0.0.1:443, [fd00::2]:443',
    });
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value.options.apiServers, [
      { address: 'fd00::1', port: 6443 },
      { address: '10.0.0.1', port: 443 },
      { address: 'fd00::2', port: 443 },
    ]);
  });

  test('an API server by name is resolved later', () => {
    const parsed = parseEnvironment({ KUBERNETES_SERVICE_HOST: 'api.example' });
    assert.deepEqual(parsed.ok && parsed.value.apiServerName, { host: 'api.example', port: 443 });
  });

  test('a wrong value names its variable', () => {
    for (const [name, value] of [
      ['WEFT_EXCLUDE_INBOUND_PORTS', '0'],
      ['WEFT_EXCLUDE_OUTBOUND_PORTS', '65536'],
      ['WEFT_EXCLUDE_OUTBOUND_CIDRS', '10.0.0.0/33'],
      ['WEFT_API_SERVERS', '10.0.0.1'],
      ['KUBERNETES_SERVICE_PORT', 'https'],
    ] as const) {
      const parsed = parseEnvironment({ [name]: value });
      assert.ok(!parsed.ok && parsed.error.startsWith(`${name}: `), name);
    }
  });
});

test('lists of ports, ranges and endpoints', () => {
  assert.deepEqual(parsePortList(' 80, 443 '), { ok: true, value: [80, 443] });
  assert.deepEqual(parsePortList(''), { ok: true, value: [] });
  for (const wrong of ['80,', '-1', '1e3', '80-90', '080080', ' , '])
    assert.equal(parsePortList(wrong).ok, false, wrong);
  assert.equal(parsePortList(Array.from({ length: 257 }, () => '1').join(',')).ok, false);
  assert.deepEqual(parseCidrList('10.0.0.1, fd00::/8'), { ok: true, value: ['10.0.0.1/32', 'fd00::/8'] });
  for (const wrong of ['10.0.0/8', 'fd00::/129', '10.0.0.0/8/8', 'fe80::1%eth0', 'a'])
    assert.equal(parseCidrList(wrong).ok, false, wrong);
  for (const wrong of ['fd00::1:443', '[10.0.0.1]:443', '10.0.0.1:0', 'host:443'])
    assert.equal(parseEndpointList(wrong).ok, false, wrong);
});
