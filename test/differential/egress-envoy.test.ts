/** The chains, routes and clusters for hosts outside of the mesh on a real Envoy: it lets out and refuses what the sidecar does. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ClusterState } from '@weft/control-plane/index/state';
import { parseObjects } from '@weft/control-plane/static/objects';
import { clusterNamesOf } from '@weft/control-plane/translate/external/status';
import { translateResource } from '@weft/control-plane/translate/resource';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Cluster } from '@weft/policies/model/cluster';
import type { FilterChain, Listener } from '@weft/policies/model/listener';
import type { RouteConfiguration } from '@weft/policies/model/route';
import { clusterJson, listenerJson } from '@weft/policies/wire/resource-json';
import { EgressNamespace, egressCertificates, egressWorld } from '../support/egress.ts';
import { findEnvoy } from '../support/envoy.ts';
import { waitFor } from '../support/wait.ts';

const folder = mkdtempSync(join(tmpdir(), 'weft-egress-envoy-'));
const net = new EgressNamespace(`weft-ee-${process.pid}`);
/** What `ip netns exec` puts in the place of files in /etc. */
const etc = `/etc/netns/${net.name}`;
const servers = fileURLToPath(new URL('../integration/egress.fixture.ts', import.meta.url));
const programs: ChildProcess[] = [];
const at = (host: string, port: number, address: string): string[] => ['--resolve', `${host}:${port}:${address}`];
const status = (...args: string[]): Promise<string> => net.curl('-o', '/dev/null', '-w', '%{http_code}', ...args);

const client = { namespace: 'shop', podKey: 'shop/client', features: { http2: true, locality: true, connect: true } };

/** The listener with nothing but what is for the outside, its routes inside of it, and all clusters that these name. */
function bootstrap(objects: string): string {
  const parsed = parseObjects(objects);
  const trustDomain = parseTrustDomain('cluster.local');
  if (!parsed.ok || !trustDomain.ok) throw new Error('the world is not valid');
  const state = new ClusterState('weft-system');
  for (const object of parsed.value) state.apply(object);
  const context = { state, trustDomain: trustDomain.value, isDrained: () => false };
  const routes = (name: string): RouteConfiguration => {
    const made = translateResource(context, 'route', name, client);
    if (made?.kind !== 'route') throw new Error(`there are no routes ${name}`);
    return made.value;
  };
  const inline = (chain: FilterChain): FilterChain => {
    const { terminal } = chain;
    if (terminal.kind !== 'http' || terminal.route.kind !== 'rds') return chain;
    return { ...chain, terminal: { ...terminal, route: { kind: 'inline', config: routes(terminal.route.name) } } };
  };
  const made = translateResource(context, 'listener', 'outbound', client);
  if (made?.kind !== 'listener') throw new Error('there is no listener');
  const outside = made.value.filterChains.filter((chain) => chain.outside !== undefined).map(inline);
  const listener: Listener = {
    ...made.value,
    filterChains: outside.filter(({ match }) => match.destinationPort !== undefined),
    defaultFilterChain: outside.find(({ match }) => match.destinationPort === undefined),
  };
  const names = [...state.externalServices.values()].flatMap(clusterNamesOf);
  const clusters = [...names, 'blackhole', 'passthrough'].flatMap((name): Cluster[] => {
    const one = translateResource(context, 'cluster', name, client);
    return one?.kind === 'cluster' ? [{ ...one.value, meshTls: false }] : [];
  });
  return JSON.stringify({
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 15_999 } } },
    static_resources: { listeners: [listenerJson(listener)], clusters: clusters.map(clusterJson) },
  });
}

before(async () => {
  const ca = await egressCertificates(folder);
  const file = join(folder, 'bootstrap.json');
  // Envoy reads the types of resources from where they stand.
  writeFileSync(
    file,
    bootstrap(egressWorld(ca)).replaceAll(
      /"@type":"type\.googleapis\.com\/envoy\.config\.(listener|cluster)\.v3\.(Listener|Cluster)",/g,
      '',
    ),
  );
  mkdirSync(etc, { recursive: true });
  const v4 = 'api secure x.tls a.wild b.wild'.split(' ').map((name) => `10.88.0.1 ${name}.example.com`);
  writeFileSync(`${etc}/hosts`, [...v4, '10.88.0.1 misnamed.example.org', 'fd88::1 v6.example.com', ''].join('\n'));
  net.create();
  const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
  const fixture = spawn('ip', ['netns', 'exec', net.name, process.execPath, ...flags, servers, folder], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  programs.push(fixture);
  await once(fixture, 'message');
  // The folder of the test is nobody else's to read.
  chmodSync(folder, 0o755);
  const run = ['setpriv', '--reuid=1337', '--regid=1337', '--clear-groups', await findEnvoy()];
  const options = ['--config-path', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
  programs.push(
    spawn('ip', ['netns', 'exec', net.name, ...run, ...options], { stdio: ['ignore', 'inherit', 'inherit'] }),
  );
  await waitFor('Envoy', async () => {
    const ready = net.inside(
      'setpriv',
      '--reuid=1337',
      '--clear-groups',
      '--regid=1337',
      'curl',
      '-s',
      'http://127.0.0.1:15999/ready',
      '-m',
      '1',
      '--retry',
      '0',
      '-o',
      '-',
      '--fail-early',
      '-w',
      ' ',
    );
    return ready.startsWith('LIVE') ? true : undefined;
  });
});

after(async () => {
  for (const program of programs) {
    if (program.exitCode !== null) continue;
    program.kill('SIGKILL');
    await once(program, 'exit');
  }
  net.delete();
  rmSync(etc, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

test('hosts are found by Host and by server name, and by nothing else', async () => {
  assert.equal(
    await net.curl(...at('api.example.com', 80, '10.88.0.66'), 'http://api.example.com/'),
    '10.88.0.1 api.example.com plain\n',
  );
  assert.equal(
    await net.curl(...at('v6.example.com', 80, '[fd88::66]'), 'http://v6.example.com/'),
    'fd88::1 v6.example.com plain\n',
  );
  const tls = await net.curl('-k', ...at('api.example.com', 443, '10.88.0.66'), 'https://api.example.com/');
  assert.equal(tls, '10.88.0.1 api.example.com tls api.example.com\n');
});

test('wildcards', async () => {
  assert.equal(
    await net.curl(...at('a.wild.example.com', 80, '10.88.0.66'), 'http://a.wild.example.com/'),
    '10.88.0.1 a.wild.example.com plain\n',
  );
  const tls = await net.curl('-k', ...at('b.wild.example.com', 443, '10.88.0.66'), 'https://b.wild.example.com/');
  assert.equal(tls, '10.88.0.1 b.wild.example.com tls b.wild.example.com\n');
});

test('TLS begun by the proxy, with the right server alone', async () => {
  const secure = await net.curl(...at('secure.example.com', 8080, '10.88.0.66'), 'http://secure.example.com:8080/');
  assert.equal(secure, '10.88.0.1 secure.example.com:8080 tls secure.example.com\n');
  const misnamed = at('misnamed.example.org', 8080, '10.88.0.1');
  assert.equal(await status(...misnamed, 'http://misnamed.example.org:8080/'), '503');
});

test('everything else is refused', async () => {
  assert.equal(await status('-H', 'Host: evil.example.org', 'http://10.88.0.66/'), '502');
  assert.equal(await status('-H', 'Host: 10.88.0.1', 'http://10.88.0.66/'), '502');
  const refused = /^exit (35|52|56)$/;
  assert.match(
    await net.curl('-k', ...at('evil.example.org', 443, '10.88.0.66'), 'https://evil.example.org/'),
    refused,
  );
  assert.match(await net.curl('-k', 'https://10.88.0.1/'), refused);
  assert.match(await net.curl('http://10.88.0.66:9999/'), refused);
  assert.equal(net.raw('10.88.0.1', 3306, ''), 'db at 10.88.0.1\n');
  assert.equal(net.raw('10.88.0.66', 3306, ''), '');
});
