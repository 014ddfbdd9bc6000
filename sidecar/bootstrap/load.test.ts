import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WIRE_ERRORS_MAX } from '@weft/policies/wire/decoding';
import { clientBootstrap } from '@weft/test/support/bootstrap/client.yaml';
import { serverBootstrap } from '@weft/test/support/bootstrap/server.yaml';
import { parse, stringify } from 'yaml';
import { loadBootstrap } from './load.ts';

const files = { certificateFile: 'c.pem', keyFile: 'c.key', trustFile: 'ca.pem' };
const client = clientBootstrap({
  ...files,
  listenIp: '::1',
  listenPort: 1,
  upstreamIp: '127.0.0.1',
  upstreamPort: 2,
  serverId: 'spiffe://cluster.local/ns/shop/sa/server',
  adminPort: 3,
});
const server = serverBootstrap({
  ...files,
  listenIp: '127.0.0.1',
  listenPort: 2,
  applicationIp: '127.0.0.1',
  applicationPort: 4,
  trustDomain: 'cluster.local',
  clientId: 'spiffe://cluster.local/ns/shop/sa/client',
});

function pathsOf(text: string): readonly string[] {
  const loaded = loadBootstrap(text);
  assert.ok(!loaded.ok, 'was accepted');
  return loaded.error.map(({ path }) => path);
}

describe('the example pair', () => {
  test('client: mutual TLS to the server', () => {
    const loaded = loadBootstrap(client);
    assert.ok(loaded.ok, JSON.stringify(loaded));
    const { listeners, clusters, admin, node } = loaded.value;
    assert.deepEqual(node, { id: 'client', cluster: 'weft' });
    assert.deepEqual(admin, { ip: '127.0.0.1', port: 3 });
    assert.deepEqual(listeners[0]?.addresses, [{ ip: '::1', port: 1 }]);
    const [cluster] = clusters;
    assert.equal(cluster?.name, 'server');
    assert.deepEqual(cluster.tls?.alpn, ['weft-http/1.1']);
    assert.deepEqual(cluster.tls?.validation, {
      trust: { kind: 'inline', ca: { kind: 'file', path: 'ca.pem' } },
      subjectAltNames: [{ type: 'uri', match: { kind: 'exact', value: 'spiffe://cluster.local/ns/shop/sa/server' } }],
    });
    assert.ok(cluster.discovery.kind === 'static');
    assert.deepEqual(cluster.discovery.assignment.endpoints[0]?.address, { ip: '127.0.0.1', port: 2 });
  });

  test('server: client certificate and authorization', () => {
    const loaded = loadBootstrap(server);
    assert.ok(loaded.ok, JSON.stringify(loaded));
    const chain = loaded.value.listeners[0]?.filterChains[0];
    assert.equal(chain?.tls?.requireClientCertificate, true);
    assert.ok(chain.terminal.kind === 'http');
    assert.deepEqual(
      chain.terminal.filters.map((filter) => (filter.kind === 'rbac' ? filter.rbac.policies[0]?.name : filter.kind)),
      ['shop/allow-client/0', 'router'],
    );
  });
});

describe('errors name their path', () => {
  const hcm = 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config';
  const cases: [string, string, string, string][] = [
    ['unknown key', 'stat_prefix: outbound', 'stat_prefixx: outbound', `${hcm}.stat_prefixx`],
    ['unsupported field', 'codec_type: AUTO', 'append_x_forwarded_port: true', `${hcm}.append_x_forwarded_port`],
    ['unsupported message', 'codec_type: AUTO', 'tracing: { random_sampling: { value: 1 } }', `${hcm}.tracing`],
    ['unsupported wrapper', 'codec_type: AUTO', 'add_user_agent: false', `${hcm}.add_user_agent`],
    [
      'wrong type',
      'port_value: 2 ',
      'port_value: many ',
      'static_resources.clusters[0].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value',
    ],
    ['wrong duration', 'timeout: 10s', 'timeout: 10', `${hcm}.route_config.virtual_hosts[0].routes[0].route.timeout`],
    ['wrong enum', 'codec_type: AUTO', 'codec_type: HTTP7', `${hcm}.codec_type`],
    [
      'both of a choice',
      'match: { prefix: / }',
      'match: { prefix: /, path: /x }',
      `${hcm}.route_config.virtual_hosts[0].routes[0].match.path`,
    ],
    [
      'unknown extension',
      'filters.http.router.v3.Router',
      'filters.http.lua.v3.Lua',
      `${hcm}.http_filters[0].typed_config`,
    ],
    [
      'missing cluster',
      'cluster: server\n',
      'cluster: other\n',
      `${hcm}.route_config.virtual_hosts[0].routes[0].route`,
    ],
    ['unsupported top level', 'node: { id: client, cluster: weft }', 'layered_runtime: {}', 'layered_runtime'],
    ['a list that is none', 'domains: ["*"]', 'domains: "*"', `${hcm}.route_config.virtual_hosts[0].domains`],
    ['EDS', 'type: STATIC', 'type: EDS', 'static_resources.clusters[0].load_assignment'],
  ];
  for (const [what, from, to, path] of cases) {
    test(what, () => {
      assert.ok(client.includes(from), from);
      assert.equal(pathsOf(client.replace(from, to))[0], path);
    });
  }

  test('a default said aloud is no error', () => {
    const loaded = loadBootstrap(client.replace('codec_type: AUTO', 'merge_slashes: false'));
    assert.ok(loaded.ok, JSON.stringify(loaded));
  });

  test('all of them at once', () => {
    const text = client.replace('stat_prefix: outbound', 'a: 1').replace('type: STATIC', 'type: NONE');
    assert.deepEqual(pathsOf(text), [`${hcm}.a`, 'static_resources.clusters[0].type']);
  });

  test('endpoints come from a file, one for the name of a service', () => {
    const eds = (more: string, source: string): string =>
      client.replace(
        /\n {2}clusters:\n/,
        `\n  clusters:\n    - { name: more, type: EDS, eds_cluster_config: { ${more} eds_config: { ${source} } } }\n`,
      );
    const at = 'static_resources.clusters[0].eds_cluster_config';
    for (const source of [
      'path_config_source: { path: /e }',
      'path: /e',
      'path_config_source: { path: /e, watched_directory: { path: / } }',
    ]) {
      const loaded = loadBootstrap(eds('', source));
      assert.ok(loaded.ok, JSON.stringify(loaded));
      assert.deepEqual(loaded.value.clusters[0]?.discovery, {
        kind: 'eds',
        serviceName: 'more',
        source: { kind: 'file', path: '/e' },
      });
    }
    assert.deepEqual(pathsOf(eds('', 'ads: {}')), [`${at}.eds_config.ads`]);
    assert.deepEqual(pathsOf(eds('', '')), [`${at}.eds_config`]);
    assert.deepEqual(pathsOf(eds('', 'api_config_source: {}')), [`${at}.eds_config.api_config_source.api_type`]);
    assert.deepEqual(pathsOf(eds('', 'path_config_source: {}')), [`${at}.eds_config.path_config_source.path`]);
    const twice = eds('service_name: x,', 'path: /e').replace(
      /( +)(- \{ name: more.*)\n/,
      (line, indent, cluster) => `${line}${indent}${String(cluster).replace('more', 'again').replace('/e', '/f')}\n`,
    );
    assert.deepEqual(pathsOf(twice), ['static_resources.clusters[1].eds_cluster_config.service_name']);
  });

  test('endpoints come from a server that is a cluster of the file and speaks HTTP/2', () => {
    const server = (name: string, more = ''): string =>
      `{ api_type: GRPC, transport_api_version: V3, grpc_services: [{ envoy_grpc: { cluster_name: ${name} } }]${more} }`;
    const eds = (source: string, ads = ''): string =>
      `${ads}${client.replace(
        /\n {2}clusters:\n/,
        `\n  clusters:\n    - { name: more, type: EDS, eds_cluster_config: { eds_config: { ${source} } } }\n    - { name: xds, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED }\n`,
      )}`;
    const here = 'static_resources.clusters[0].eds_cluster_config.eds_config.api_config_source';
    const service = 'grpc_services[0].envoy_grpc.cluster_name';
    assert.deepEqual(pathsOf(eds(`api_config_source: ${server('none')}`)), [`${here}.${service}`]);
    assert.deepEqual(pathsOf(eds(`api_config_source: ${server('xds')}`)), [`${here}.${service}`]);
    assert.deepEqual(pathsOf(eds(`api_config_source: ${server('server')}`)), [`${here}.${service}`], 'HTTP/1');
    const ads = `dynamic_resources: { ads_config: ${server('none')} }\n`;
    assert.deepEqual(pathsOf(eds('ads: {}', ads)), [`dynamic_resources.ads_config.${service}`]);
    assert.deepEqual(pathsOf(eds(`api_config_source: ${server('server').replace('GRPC', 'REST')}`)), [
      `${here}.api_type`,
    ]);
    assert.deepEqual(pathsOf(eds(`api_config_source: ${server('server').replace('V3', 'V2')}`)), [
      `${here}.transport_api_version`,
    ]);
    assert.deepEqual(pathsOf(eds('ads: {}', 'dynamic_resources: { cds_config: { ads: {} } }\n')), [
      'dynamic_resources.cds_config',
    ]);
  });

  test('how long endpoints are waited for', () => {
    const xds = '{ api_type: GRPC, transport_api_version: V3, grpc_services: [{ envoy_grpc: { cluster_name: xds } }] }';
    const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
    const http2 = `{ ${options}: { '@type': type.googleapis.com/${options}, explicit_http_config: { http2_protocol_options: {} } } }`;
    const server = `{ name: xds, typed_extension_protocol_options: ${http2}, load_assignment: { cluster_name: xds } }`;
    const eds = (source: string): string =>
      `dynamic_resources: { ads_config: ${xds} }\n${client.replace(
        /\n {2}clusters:\n/,
        `\n  clusters:\n    - { name: more, type: EDS, eds_cluster_config: { eds_config: { ${source} } } }\n    - ${server}\n`,
      )}`;
    const timeoutMs = (source: string): number | undefined => {
      const loaded = loadBootstrap(eds(source));
      assert.ok(loaded.ok, JSON.stringify(loaded));
      const discovery = loaded.value.clusters[0]?.discovery;
      assert.ok(discovery?.kind === 'eds' && discovery.source?.kind === 'server');
      return discovery.source.fetchTimeoutMs;
    };
    for (const source of [`api_config_source: ${xds}`, 'ads: {}']) {
      assert.equal(timeoutMs(source), 15_000);
      assert.equal(timeoutMs(`${source}, initial_fetch_timeout: 0s`), 0);
      assert.equal(timeoutMs(`${source}, initial_fetch_timeout: 2.5s`), 2_500);
      assert.equal(timeoutMs(`${source}, initial_fetch_timeout: 0.0001s`), 1, 'a time never becomes none');
    }
    assert.ok(loadBootstrap(eds('path: /e, initial_fetch_timeout: 0s')).ok, 'a file is read at once');
    const at = 'static_resources.clusters[0].eds_cluster_config.eds_config.initial_fetch_timeout';
    for (const wrong of ['-1s', '5', '1m', '9999999999s', '[]']) {
      for (const source of ['ads: {}', 'path: /e']) {
        assert.deepEqual(pathsOf(eds(`${source}, initial_fetch_timeout: ${wrong}`)), [at], wrong);
      }
    }
  });

  test('a node says more of itself for servers that are asked', () => {
    const named = (more: string): string =>
      client.replace('node: { id: client, cluster: weft }', `node: { id: client, cluster: weft, ${more} }`);
    const loaded = loadBootstrap(
      named('metadata: { tenant: shop, weights: [1.5, { on: true }], none: ~ }, locality: { zone: eu-1 }'),
    );
    assert.ok(loaded.ok, JSON.stringify(loaded));
    assert.deepEqual(loaded.value.node, {
      id: 'client',
      cluster: 'weft',
      metadata: { tenant: 'shop', weights: [1.5, { on: true }], none: null },
      locality: { region: '', zone: 'eu-1', subZone: '' },
    });
    assert.deepEqual(pathsOf(named('metadata: [a]')), ['node.metadata']);
    assert.deepEqual(pathsOf(named('metadata: { a: [0, 1e999] }')), ['node.metadata.a[1]']);
    assert.deepEqual(pathsOf(named(`metadata: { a: ${'['.repeat(120)}${']'.repeat(120)} }`)), ['node.metadata']);
    assert.deepEqual(pathsOf(named('locality: { rack: 7 }')), ['node.locality.rack']);
  });

  test('what needs a control plane', () => {
    const rds = client.replace(
      /route_config:[\s\S]*?http_filters:/,
      'rds: { route_config_name: r, config_source: { ads: {} } }\n                http_filters:',
    );
    assert.deepEqual(pathsOf(rds), [`${hcm}.rds`]);
    assert.deepEqual(pathsOf(rds.replace('ads: {}', 'path: /r')), [`${hcm}.rds.config_source.path`]);
    const sds = server.replace(
      /tls_certificates:[\s\S]*?validation_context:/,
      'tls_certificate_sds_secret_configs: [{ name: weft.dev/identity }]\n                validation_context:',
    );
    assert.deepEqual(pathsOf(sds), [
      'static_resources.listeners[0].filter_chains[0].transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0]',
    ]);
    assert.deepEqual(
      pathsOf(sds.replace('identity }', 'identity, sds_config: { path_config_source: { path: /s } } }')),
      [
        'static_resources.listeners[0].filter_chains[0].transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0].sds_config.path_config_source',
      ],
    );
  });

  test('not YAML, too long, too deep, growing by aliases, empty', () => {
    const bomb = `a: &a [1,1,1,1,1,1,1,1,1,1]\n${'bcdefghi'
      .split('')
      .map((key, i) => `${key}: &${key} [${Array(10).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
      .join('\n')}`;
    let deep: unknown = { any: true };
    for (let i = 0; i < 300; i++) deep = { not_rule: deep };
    const nested = server.replace('{ any: true }', JSON.stringify(deep));
    const endless = server.replace('{ any: true }', '&p { and_rules: { rules: [*p, *p] } }');
    assert.ok(endless.includes('*p'));
    for (const text of ['{', 'a: 1\na: 2', bomb, nested, endless, '', '[]', `# ${'x'.repeat(5_000_000)}`, '{}']) {
      assert.equal(loadBootstrap(text).ok, false, text.slice(0, 20));
    }
  });
});

test('JSON and YAML, snake case and camel case are read alike', () => {
  const bootstrap = {
    staticResources: {
      listeners: [
        {
          address: { socketAddress: { address: '127.0.0.1', portValue: 1 } },
          filterChains: [
            {
              filters: [
                {
                  name: 'tcp',
                  typedConfig: {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
                    statPrefix: 't',
                    cluster: 'c',
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [{ name: 'c', type: 'ORIGINAL_DST', lbPolicy: 'CLUSTER_PROVIDED' }],
    },
  };
  const snake = JSON.stringify(bootstrap).replaceAll(/"[a-z][A-Za-z]+":/g, (key) =>
    key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  );
  const loaded = loadBootstrap(stringify(bootstrap));
  assert.ok(loaded.ok, JSON.stringify(loaded));
  assert.equal(loaded.value.listeners[0]?.name, 'listener-0');
  for (const text of [JSON.stringify(bootstrap), snake]) {
    const other = loadBootstrap(text);
    assert.ok(other.ok, JSON.stringify(other));
    assert.deepEqual(other.value.listeners, loaded.value.listeners);
  }
});

test('an error in the text quotes nothing of it: there may be keys', () => {
  const loaded = loadBootstrap('private_key: { inline_string: "THE-KEY", oops: [ }\n');
  assert.ok(!loaded.ok);
  const text = JSON.stringify(loaded.error);
  assert.match(text, /not YAML: .*line 1/);
  assert.doesNotMatch(text, /THE-KEY/);
});

test('errors of a text end somewhere', () => {
  const loaded = loadBootstrap('['.repeat(300));
  assert.ok(!loaded.ok);
  assert.equal(loaded.error.length, WIRE_ERRORS_MAX);
});

test('what was read is data alone, so that the code that read it can go', () => {
  for (const text of [client, server]) {
    const loaded = loadBootstrap(text);
    assert.ok(loaded.ok);
    assert.deepEqual(structuredClone(loaded.value), loaded.value);
  }
});

test('JSON and YAML of the same bootstrap say the same', () => {
  const loaded = loadBootstrap(JSON.stringify(parse(client)));
  assert.deepEqual(loaded, loadBootstrap(client));
});

test('a member that is there twice, and nesting without end, are errors in JSON too', () => {
  for (const text of [
    JSON.stringify(parse(client)).replace('{', '{"node":{},'),
    `{"node":{"metadata":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}}`,
  ]) {
    const loaded = loadBootstrap(text);
    assert.ok(!loaded.ok);
    assert.match(loaded.error[0]?.message ?? '', /^not YAML: /);
  }
});
