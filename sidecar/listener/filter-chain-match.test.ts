import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { anyTraffic, type FilterChain, type FilterChainMatch } from '@weft/policies/model/listener';
import { type ConnectionFacts, FilterChainMatcher } from './filter-chain-match.ts';

const chain = (name: string, match: Partial<FilterChainMatch>): FilterChain => ({
  name,
  match: { ...anyTraffic, ...match },
  tls: undefined,
  networkRbac: [],
  terminal: { kind: 'tcp', statPrefix: name, clusters: [], idleTimeoutMs: 0, accessLogs: [] },
});

const facts = (fields: Partial<ConnectionFacts>): ConnectionFacts => ({
  destinationIp: '10.1.2.3',
  destinationPort: 80,
  serverName: '',
  transport: 'raw_buffer',
  applicationProtocols: [],
  ...fields,
});

const range = (ip: string, prefixBits: number) => ({ ip, prefixBits });

function find(chains: FilterChain[], fields: Partial<ConnectionFacts>, fallback?: FilterChain): string | undefined {
  return new FilterChainMatcher({ filterChains: chains, defaultFilterChain: fallback }).find(facts(fields))?.name;
}

describe('filter chain match', () => {
  test('the port decides first, without a way back', () => {
    const chains = [chain('port', { destinationPort: 80, transportProtocol: 'tls' }), chain('any', {})];
    assert.equal(find(chains, { transport: 'tls' }), 'port');
    assert.equal(find(chains, { destinationPort: 81 }), 'any');
    assert.equal(find(chains, {}), undefined);
    assert.equal(find(chains, {}, chain('default', {})), 'default');
  });

  test('the longest prefix', () => {
    const chains = [
      chain('none', {}),
      chain('wide', { destinationRanges: [range('10.0.0.0', 8)] }),
      chain('narrow', { destinationRanges: [range('192.0.2.0', 24), range('10.1.0.0', 16)] }),
      chain('all', { destinationRanges: [range('0.0.0.0', 0)] }),
      chain('six', { destinationRanges: [range('fd00::', 8)] }),
    ];
    assert.equal(find(chains, {}), 'narrow');
    assert.equal(find(chains, { destinationIp: '10.2.0.1' }), 'wide');
    assert.equal(find(chains, { destinationIp: '11.2.0.1' }), 'all');
    assert.equal(find(chains, { destinationIp: 'fd00::1' }), 'six');
    assert.equal(find(chains, { destinationIp: '2001:db8::1' }), 'none');
  });

  test('server names: exact, longest suffix, none', () => {
    const chains = [
      chain('none', {}),
      chain('suffix', { serverNames: ['*.example'] }),
      chain('longer', { serverNames: ['*.shop.example'] }),
      chain('exact', { serverNames: ['a.shop.example', 'b.example'] }),
    ];
    assert.equal(find(chains, { serverName: 'a.shop.example' }), 'exact');
    assert.equal(find(chains, { serverName: 'c.shop.example' }), 'longer');
    assert.equal(find(chains, { serverName: 'c.example' }), 'suffix');
    assert.equal(find(chains, { serverName: 'example' }), 'none');
    assert.equal(find(chains, {}), 'none');
  });

  test('transport and ALPN', () => {
    const chains = [
      chain('mesh', { transportProtocol: 'tls', applicationProtocols: ['weft-http/1.1', 'weft-h2'] }),
      chain('mesh-tcp', { transportProtocol: 'tls', applicationProtocols: ['weft-tcp'] }),
      chain('http', { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1'] }),
      chain('raw', { transportProtocol: 'raw_buffer' }),
    ];
    const fallback = chain('default', {});
    assert.equal(find(chains, { transport: 'tls', applicationProtocols: ['h2', 'weft-tcp'] }, fallback), 'mesh-tcp');
    assert.equal(find(chains, { transport: 'tls', applicationProtocols: ['weft-h2', 'weft-tcp'] }, fallback), 'mesh');
    assert.equal(find(chains, { transport: 'tls', applicationProtocols: ['h2'] }, fallback), 'default');
    assert.equal(find(chains, { applicationProtocols: ['http/1.1'] }, fallback), 'http');
    assert.equal(find(chains, {}, fallback), 'raw');
  });
});
