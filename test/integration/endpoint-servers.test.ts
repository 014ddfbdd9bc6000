/** Clusters whose endpoints come by xDS from a cluster of the same bootstrap, on Weft and on a real Envoy. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { methodPaths } from '@weft/policies/wire/method-paths';
import { CertificateFolder } from '../support/certs.ts';
import { runEnvoy, startEnvoy } from '../support/envoy.ts';
import { type Asked, ManagementServer } from '../support/management-server.ts';
import { type At, cluster, type JsonObject, route, upstreamTls } from '../support/pair-bootstrap.ts';
import { curl } from '../support/pair-curl.ts';
import { adminPage, runSidecar } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { answer, answers, application, type Made, made, ofCart, serving } from './endpoint-discovery.fixture.ts';
import { httpOptions, Surface } from './envoy-surface.fixture.ts';

const PROXY = 'spiffe://cluster.local/ns/shop/sa/proxy';
const SERVER = 'spiffe://cluster.local/ns/infra/sa/xds';

/** The name of a ClusterLoadAssignment, and a second field, its endpoints, that ends too early. */
const BROKEN = Buffer.concat([Buffer.from([0x0a, 4]), Buffer.from('cart'), Buffer.from([0x12, 100])]);

const surface = new Surface('endpoint-servers');
let [first, second]: [At, At] = [
  { ip: '', port: 0 },
  { ip: '', port: 0 },
];

before(async () => {
  [first, second] = [await application(surface, 'first'), await application(surface, 'second')];
});
after(() => surface.close());

const http2 = httpOptions({ explicit_http_config: { http2_protocol_options: {} } });

const source = (apiType: string): JsonObject => ({
  api_type: apiType,
  transport_api_version: 'V3',
  grpc_services: [{ envoy_grpc: { cluster_name: 'xds' }, initial_metadata: [{ key: 'x-tenant', value: 'shop' }] }],
});

const node = {
  id: 'edge-1',
  cluster: 'weft',
  metadata: { tenant: 'shop', weights: [1.5, -7, 1e21, 2 ** 60], deep: { on: true, none: null, '': [] } },
  locality: { region: 'eu', zone: 'eu-1', sub_zone: 'rack-7' },
};

/** What a proxy says of itself, as a bootstrap writes it. */
const told = (asked: Asked | undefined) => {
  const { id, cluster: name, metadata, locality } = asked?.node ?? {};
  const { region, zone, subZone } = locality ?? {};
  return { id, cluster: name, metadata, locality: { region, zone, sub_zone: subZone } };
};

const asking = (xds: JsonObject, edsConfig: JsonObject, more: JsonObject = {}): Promise<Made> =>
  made([xds, ofCart({ ...edsConfig, resource_api_version: 'V3' })], { node, ...more });

/** What a server takes away stays, also over its absence, until it says something else. */
async function removedAndBack(server: ManagementServer, ports: readonly number[]): Promise<void> {
  const acknowledged = (nonce: string): Promise<unknown> => {
    const answers = () => server.asked.filter((asked) => asked.nonce === nonce && asked.refusal === '');
    return waitFor('the removal, acknowledged by both', () => answers().length >= 2 || undefined);
  };
  await acknowledged(server.remove('cart'));
  await answers(ports, 'second 200');
  server.close();
  const before = server.asked.length;
  await server.listen();
  await acknowledged(server.remove('cart'));
  const again = server.asked.slice(before).filter(({ nonce }) => nonce === '');
  assert.deepEqual(
    again.map(({ heldVersions }) => heldVersions),
    [{}, {}],
    'a server that has it again by then sends it',
  );
  await answers(ports, 'second 200');
  server.set('cart', first);
  await answers(ports, 'first 200');
  server.set('cart', second);
  await answers(ports, 'second 200');
}

describe('endpoints are those that the server says', () => {
  const ways = [
    ['GRPC', methodPaths.streamEndpoints, false],
    ['DELTA_GRPC', methodPaths.deltaEndpoints, false],
    ['GRPC', methodPaths.streamAggregatedResources, true],
    ['DELTA_GRPC', methodPaths.deltaAggregatedResources, true],
  ] as const;
  for (const [apiType, path, aggregated] of ways) {
    test(`${aggregated ? 'ADS, ' : ''}${apiType}, as for Envoy`, async (t) => {
      const server = await ManagementServer.start();
      t.after(() => server.close());
      server.set('cart', first);
      const xds = cluster({ name: 'xds', endpoints: [{ ip: '127.0.0.1', port: server.port }], fields: http2 });
      const make = (): Promise<Made> =>
        aggregated
          ? asking(xds, { ads: {} }, { dynamic_resources: { ads_config: source(apiType) } })
          : asking(xds, { api_config_source: source(apiType) });
      const [own, other] = [await make(), await make()];
      const weft = await serving(surface, own.text);
      const [asked] = server.asked;
      assert.deepEqual([asked?.path, asked?.metadata.get('x-tenant')], [path, ['shop']]);
      // The listeners have waited for it.
      assert.equal(await answer(own.port), 'first 200');
      surface.programs.push(await startEnvoy(surface.folder, other.text, other.adminPort));
      const ports = [own.port, other.port];
      await answers(ports, 'first 200');
      const theirs = server.asked.find(({ node }) => node?.userAgentName === 'envoy');
      assert.deepEqual(told(asked), told(theirs));
      assert.deepEqual(told(asked), node);
      server.set('cart', second);
      await answers(ports, 'second 200');
      assert.match(
        (await adminPage(own.adminPort, '/clusters')).text,
        new RegExp(`of-cart::127.0.0.1:${second.port}::`),
      );

      if (apiType === 'DELTA_GRPC') await removedAndBack(server, ports);

      const before = server.asked.length;
      server.setBytes('cart', BROKEN);
      const refused = () => server.asked.slice(before).filter(({ refusal }) => refusal !== '');
      await waitFor('refusals of both', () => refused().length >= 2 || undefined);
      assert.match(weft.stderr, /xds: refused/);
      await answers(ports, 'second 200');

      server.close();
      await waitFor('the loss', () => weft.stderr.includes('xds: stream lost') || undefined);
      await answers(ports, 'second 200');
      server.set('cart', first);
      await server.listen();
      await answers(ports, 'first 200');
    });
  }
});

for (const concurrency of ['1', '2']) {
  test(`a proxy that still waits for its first endpoints ends when it is told to, with ${concurrency} threads`, async (t) => {
    const server = await ManagementServer.start();
    t.after(() => server.close());
    const xds = cluster({ name: 'xds', endpoints: [{ ip: '127.0.0.1', port: server.port }], fields: http2 });
    const { text } = await asking(xds, { api_config_source: source('GRPC') });
    const program = runSidecar(surface.folder, text, '--concurrency', concurrency);
    surface.programs.push(program);
    await program.until('its question', () => server.asked.length > 0);
    program.child.kill('SIGTERM');
    assert.equal(await program.exitCode(), 0);
    assert.doesNotMatch(program.stderr, /serving/);
  });
}

test('listeners wait no longer for a first answer that is refused', async (t) => {
  for (const apiType of ['GRPC', 'DELTA_GRPC']) {
    const server = await ManagementServer.start();
    t.after(() => server.close());
    server.setBytes('cart', BROKEN);
    const xds = cluster({ name: 'xds', endpoints: [{ ip: '127.0.0.1', port: server.port }], fields: http2 });
    const { text, port } = await asking(xds, { api_config_source: source(apiType) });
    const program = await serving(surface, text);
    assert.match(program.stderr, /xds: refused/);
    assert.doesNotMatch(program.stderr, /not known yet/, 'it has not waited for all of the time');
    assert.match(await answer(port), / 503$/);
    server.set('cart', first);
    await answers([port], 'first 200');
  }
});

test('two data threads are told alike', async (t) => {
  const server = await ManagementServer.start();
  t.after(() => server.close());
  server.set('cart', first);
  const xds = cluster({ name: 'xds', endpoints: [{ ip: '127.0.0.1', port: server.port }], fields: http2 });
  const { text, port } = await asking(xds, { api_config_source: source('DELTA_GRPC') });
  await serving(surface, text, '--concurrency', '2');
  // Each connection is one thread's, chosen by the kernel.
  const many = Array.from({ length: 12 }, () => port);
  await answers(many, 'first 200');
  server.set('cart', second);
  await answers(many, 'second 200');
});

test('the server is asked with the TLS of its cluster, and believed under its name alone', async (t) => {
  const authority = await CertificateFolder.make(surface.folder);
  const [ours, theirs] = [await authority.issue('proxy', PROXY), await authority.issue('server', SERVER)];
  const [root, key, chain] = [theirs.trustFile, theirs.keyFile, theirs.certificateFile].map((file) =>
    readFileSync(file),
  );
  assert.ok(root && key && chain);
  const credentials = ServerCredentials.createSsl(root, [{ private_key: key, cert_chain: chain }], true);
  const server = await ManagementServer.start(credentials);
  t.after(() => server.close());
  server.set('cart', first);
  const under = (name: string): Promise<Made> =>
    asking(
      cluster({
        name: 'xds',
        endpoints: [{ ip: '127.0.0.1', port: server.port }],
        tls: upstreamTls(ours, name, 'h2'),
        fields: http2,
      }),
      { api_config_source: source('GRPC') },
    );
  const good = await under(SERVER);
  await serving(surface, good.text);
  await answers([good.port], 'first 200');
  const stranger = runSidecar(surface.folder, (await under(PROXY)).text);
  surface.programs.push(stranger);
  await stranger.until('its refusal', () => /xds: stream lost \(.*none of which matches/.test(stranger.stderr));
  assert.doesNotMatch(stranger.stderr, /serving/);
});

test('listeners wait no longer for a first answer that there is nothing, as for Envoy', async (t) => {
  const server = await ManagementServer.start();
  t.after(() => server.close());
  server.remove('cart');
  const xds = cluster({ name: 'xds', endpoints: [{ ip: '127.0.0.1', port: server.port }], fields: http2 });
  const make = (): Promise<Made> => asking(xds, { api_config_source: source('DELTA_GRPC') });
  const [own, other] = [await make(), await make()];
  const program = await serving(surface, own.text);
  assert.doesNotMatch(program.stderr, /not known yet/, 'it has not waited for all of the time');
  surface.programs.push(await startEnvoy(surface.folder, other.text, other.adminPort));
  const ports = [own.port, other.port];
  for (const port of ports) assert.match(await answer(port), / 503$/);
  server.set('cart', first);
  await answers(ports, 'first 200');
});

describe('listeners wait for as long as each cluster says', () => {
  const ways = [
    ['GRPC', { api_config_source: source('GRPC') }, {}],
    ['ADS, DELTA_GRPC', { ads: {} }, { dynamic_resources: { ads_config: source('DELTA_GRPC') } }],
  ] as const;
  for (const [way, from, more] of ways) {
    test(`${way}, as for Envoy`, async (t) => {
      const server = await ManagementServer.start();
      t.after(() => server.close());
      const xds = cluster({ name: 'xds', endpoints: [{ ip: '127.0.0.1', port: server.port }], fields: http2 });
      const edsConfig = { ...from, resource_api_version: 'V3' };
      const cart = ofCart({ ...edsConfig, initial_fetch_timeout: '0s' });
      const eds = { service_name: 'shop', eds_config: { ...edsConfig, initial_fetch_timeout: '0.3s' } };
      const shop = { ...cart, name: 'of-shop', eds_cluster_config: eds };
      const routes = [route('shop', '/shop', 'of-shop')];
      const make = (): Promise<Made> => made([xds, cart, shop], { node, ...more }, routes);
      const [own, other] = [await make(), await make()];
      const startedMs = performance.now();
      const weft = runSidecar(surface.folder, own.text);
      const envoy = await runEnvoy(surface.folder, other.text);
      surface.programs.push(weft, envoy);
      await weft.until('the time of one', () => /endpoints of shop are not known yet/.test(weft.stderr));
      const overdue = 'cluster.of-shop.init_fetch_timeout: 1';
      await envoy.until('the time of one', () => pageHas(other.adminPort, '/stats', overdue));
      assert.ok(performance.now() - startedMs < 15_000, 'what is waited for by default');
      for (const { adminPort } of [own, other]) assert.equal((await adminPage(adminPort, '/ready')).status, 503);
      server.set('cart', first);
      const ports = [own.port, other.port];
      await answers(ports, 'first 200');
      for (const port of ports) assert.match((await curl('-i', `http://127.0.0.1:${port}/shop`)).stdout, / 503 /);
    });
  }
});

/** False as well while nobody listens there. */
async function pageHas(adminPort: number, path: string, text: string): Promise<boolean> {
  try {
    return (await adminPage(adminPort, path)).text.includes(text);
  } catch {
    return false;
  }
}
