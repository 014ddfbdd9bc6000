import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Rbac } from '@weft/policies/model/authorization';
import { anyTraffic, type FilterChain, type HttpFilter, type Listener } from '@weft/policies/model/listener';
import { routes, testHcm } from '../filters/testing.ts';
import type { ConnectionFacts } from './filter-chain-match.ts';
import { ListenerRuntime } from './runtime.ts';

const rules: Rbac = { action: 'deny', policies: [] };
const reserved: HttpFilter = {
  kind: 'reservedHeaders',
  name: 'weft.dev/reserved-headers',
  reserved: { names: ['x-user'], prefixes: [] },
};
const tokens = (...headers: readonly string[]): HttpFilter => ({
  kind: 'jwt',
  name: 'jwt',
  jwt: {
    allowsMissing: true,
    providers: [
      {
        name: 'id',
        issuer: 'id',
        audiences: [],
        keys: '{"keys":[]}',
        locations: [],
        forward: false,
        claimHeaders: headers.map((header) => ({ header, claim: 'sub' })),
        clockSkewMs: 0,
      },
    ],
  },
});

function needsRequests(filters: readonly HttpFilter[], networkRbac: readonly Rbac[]): boolean {
  const http: FilterChain = {
    name: 'http',
    match: { ...anyTraffic, destinationPort: 80, applicationProtocols: ['http/1.1'] },
    tls: undefined,
    networkRbac: [],
    terminal: testHcm({ kind: 'inline', config: routes('r') }, { filters: [...filters, { kind: 'router' }] }),
  };
  const opaque: FilterChain = {
    name: 'tcp',
    match: { ...anyTraffic, destinationPort: 80 },
    tls: undefined,
    networkRbac,
    terminal: { kind: 'tcp', statPrefix: 'tcp', clusters: [], idleTimeoutMs: 0, accessLogs: [] },
  };
  const listener: Listener = {
    name: 'inbound',
    direction: 'inbound',
    addresses: [],
    useOriginalDst: true,
    proxyProtocol: false,
    detectTls: true,
    detectHttp: true,
    detectTimeoutMs: 100,
    filterChains: [http, opaque],
    defaultFilterChain: undefined,
    settings: undefined,
  };
  const facts: ConnectionFacts = {
    destinationIp: '10.0.0.1',
    destinationPort: 80,
    serverName: '',
    transport: 'raw_buffer',
    applicationProtocols: [],
  };
  return new ListenerRuntime(listener, () => assert.fail('nothing is served')).needsRequests(facts, opaque);
}

describe('opaque bytes to a port that carries HTTP are refused', () => {
  test('where headers are set that nobody else may send, whatever the rules about connections say', () => {
    for (const network of [[], [rules]]) {
      assert.equal(needsRequests([reserved], network), true, 'of an authorizer');
      assert.equal(needsRequests([tokens('x-user')], network), true, 'of a claim');
      assert.equal(needsRequests([tokens()], network), false, 'a token that becomes no header');
    }
  });

  test('where rules are about requests, and none about connections stands in for them', () => {
    const rbac: HttpFilter = { kind: 'rbac', name: 'rbac', rbac: rules };
    assert.equal(needsRequests([rbac], []), true);
    assert.equal(needsRequests([rbac], [rules]), false);
    assert.equal(needsRequests([], []), false);
  });
});
