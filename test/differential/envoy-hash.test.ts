/** The same key picks the same endpoint on Weft and on a real Envoy; and Envoy takes what Weft says in its own words. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { startEnvoy } from '../support/envoy.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';

const folder = testFolder('hash');
const servers: Server[] = [];
const programs: Program[] = [];
const ports = { weft: 0, envoy: 0 };

const typed = (type: string, value: object = {}) => ({ '@type': `type.googleapis.com/${type}`, ...value });

const hashPolicy = [
  { header: { header_name: 'x-user' }, terminal: true },
  { cookie: { name: 'session', ttl: '60s', path: '/' } },
  { query_parameter: { name: 'user' } },
];

const ownPolicy = {
  typed_extension_config: {
    name: 'weft.dev/load-balancing',
    typed_config: typed('xds.type.v3.TypedStruct', {
      type_url: 'type.googleapis.com/weft.v1.LoadBalancing',
      value: { type: 'peak-ewma', decay_ms: 10_000, subset: { size: 2 } },
    }),
  },
};
const extension = (name: string, type: string, value: object = {}) => ({
  typed_extension_config: {
    name: `envoy.load_balancing_policies.${name}`,
    typed_config: typed(`envoy.extensions.load_balancing_policies.${type}`, value),
  },
});

const balancers = {
  ring: { lb_policy: 'RING_HASH' },
  'ring-small': { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 17, maximum_ring_size: 64 } },
  maglev: { lb_policy: 'MAGLEV' },
  'maglev-small': { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 251 } },
  'ring-list': { load_balancing_policy: { policies: [extension('ring_hash', 'ring_hash.v3.RingHash')] } },
  'maglev-list': { load_balancing_policy: { policies: [extension('maglev', 'maglev.v3.Maglev')] } },
};
const accepted = {
  own: {
    load_balancing_policy: {
      policies: [ownPolicy, extension('least_request', 'least_request.v3.LeastRequest', { choice_count: 2 })],
    },
  },
  reported: {
    load_balancing_policy: {
      policies: [
        extension(
          'client_side_weighted_round_robin',
          'client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin',
          { blackout_period: '1s' },
        ),
      ],
    },
  },
};
const weights = { even: [1, 1, 1, 1, 1, 1, 1], uneven: [1, 2, 3, 5, 1, 8, 1] } as const;

function clusters(backends: readonly number[]) {
  return Object.entries({ ...balancers, ...accepted }).flatMap(([name, settings]) =>
    Object.entries(weights).map(([kind, of]) => ({
      name: `${name}-${kind}`,
      type: 'STATIC',
      connect_timeout: '1s',
      ...settings,
      load_assignment: {
        cluster_name: `${name}-${kind}`,
        endpoints: [
          {
            lb_endpoints: backends.map((port, i) => ({
              load_balancing_weight: of[i],
              endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
            })),
          },
        ],
      },
    })),
  );
}

function bootstrap(port: number, admin: number, backends: readonly number[]): string {
  const all = clusters(backends);
  const manager = typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'hash',
    http_filters: [{ name: 'router', typed_config: typed('envoy.extensions.filters.http.router.v3.Router') }],
    route_config: {
      name: 'r',
      virtual_hosts: [
        {
          name: 'v',
          domains: ['*'],
          routes: all.map(({ name }) => ({
            match: { path_separated_prefix: `/${name}` },
            route: { cluster: name, hash_policy: hashPolicy },
          })),
        },
      ],
    },
  });
  return JSON.stringify({
    node: { id: 'hash', cluster: 'hash' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: admin } } },
    static_resources: {
      clusters: all,
      listeners: [
        {
          name: 'l',
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          filter_chains: [{ filters: [{ name: 'hcm', typed_config: manager }] }],
        },
      ],
    },
  });
}

interface Answer {
  readonly backend: string;
  readonly cookies: readonly string[];
}

const ask = (port: number, path: string, headers: Record<string, string | string[]> = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, timeout: 5_000 }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => {
        resolve({ backend: `${response.statusCode} ${text}`, cookies: response.headers['set-cookie'] ?? [] });
      });
    });
    sent.on('error', reject);
    sent.on('timeout', () => sent.destroy(new Error('timeout')));
    sent.end();
  });

async function same(path: string, headers: Record<string, string | string[]> = {}): Promise<string> {
  const [weft, envoy] = await Promise.all([ask(ports.weft, path, headers), ask(ports.envoy, path, headers)]);
  assert.equal(weft.backend, envoy.backend, `${path} ${JSON.stringify(headers)}`);
  return weft.backend;
}

before(async () => {
  const backends: number[] = [];
  for (const _ of weights.even) {
    const port = await freePort();
    const server = createServer((_request, response) => response.end(String(port)));
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    servers.push(server);
    backends.push(port);
  }
  const admins = { weft: await freePort(), envoy: await freePort() };
  ports.weft = await freePort();
  ports.envoy = await freePort();
  programs.push(await startSidecar(folder, bootstrap(ports.weft, admins.weft, backends)));
  programs.push(await startEnvoy(folder, bootstrap(ports.envoy, admins.envoy, backends), admins.envoy));
});

after(async () => {
  for (const program of programs) await program.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

for (const name of Object.keys(balancers)) {
  for (const kind of Object.keys(weights)) {
    describe(`${name}, ${kind} weights`, () => {
      const path = `/${name}-${kind}`;

      test('a header, whatever its length', async () => {
        const picked = new Set<string>();
        for (let i = 0; i < 60; i++) picked.add(await same(path, { 'x-user': `user ${i} ${'x'.repeat(i)}` }));
        assert.ok(picked.size > 3);
      });

      test('lines of a field, a cookie, a query parameter, and all of them together', async () => {
        for (let i = 0; i < 12; i++) {
          await same(path, { 'x-user': [`b${i}`, `a${i}`, 'c'] });
          await same(path, { cookie: `other=1; session="s${i}"; session=2` });
          await same(`${path}?a=b&user=u%20${i}&user=2`, { cookie: `session=s${i}` });
          await same(`${path}?user=u${i}`, { 'x-user': `u${i}`, cookie: 'session=1' });
        }
      });
    });
  }
}

test('a cookie is made for who has none, and leads back to the same endpoint', async () => {
  for (const port of [ports.weft, ports.envoy]) {
    const first = await ask(port, '/ring-even');
    const [made] = first.cookies;
    assert.match(made ?? '', /^session="[0-9a-f]{1,16}"; Max-Age=60; Path=\/; HttpOnly$/);
    const cookie = made?.split(';')[0] ?? '';
    for (let i = 0; i < 5; i++) {
      const again = await ask(port, '/ring-even', { cookie });
      assert.deepEqual(again, { backend: first.backend, cookies: [] });
    }
    // Either proxy finds the endpoint that the other one has chosen.
    assert.equal(await same('/ring-even', { cookie }), first.backend);
  }
});

test('an entry of a policy list that Envoy does not know is passed over, and reported load is known to both', async () => {
  for (const path of ['/own-even', '/own-uneven', '/reported-even']) {
    for (const port of [ports.weft, ports.envoy]) assert.match((await ask(port, path)).backend, /^200 /);
  }
  const used = new Set<string>();
  for (let i = 0; i < 40; i++) used.add((await ask(ports.weft, '/own-even')).backend);
  // Weft takes the entry: subsets of about two, of seven endpoints.
  assert.ok(used.size < 6, `${used.size}`);
});
