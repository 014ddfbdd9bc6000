import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp1Server, request } from 'node:http';
import { connect, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ManualClock, systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import type { HttpFilter } from '@weft/policies/model/listener';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import { ClusterManager } from '../cluster/manager.ts';
import { connectHttp } from '../http/client.ts';
import { TestRecorder, testConnection } from '../http/h1/testing.ts';
import { serveHttp } from '../http/server.ts';
import { createDial } from '../net/dial.ts';
import { createDispatch } from './chain.ts';
import {
  forwardTo,
  routes,
  TestIdentity,
  TestSource,
  testCluster,
  testEndpoint,
  testHcm,
  testRoute,
} from './testing.ts';

const filters: readonly HttpFilter[] = [
  { kind: 'reservedHeaders', name: 'reserved', reserved: { names: ['x-auth-user'], prefixes: ['x-group-'] } },
  {
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
          locations: [{ kind: 'header', name: 'authorization', prefix: 'Bearer ' }],
          forward: false,
          claimHeaders: [{ header: 'x-user', claim: 'sub' }],
          clockSkewMs: 0,
        },
      ],
    },
  },
  { kind: 'router' },
];
/** The codecs leave some of these out for themselves, as they do in every message. */
const OF_THE_CODECS = 2;
const forged = {
  'X-User': 'root',
  X_User: 'root',
  'X-Auth-User': 'root',
  x_auth_user: 'root',
  'X-Group-Id': 'wheel',
  'X-Forwarded-Client-Cert': 'URI=spiffe://cluster.local/ns/a/sa/b',
  x_forwarded_client_cert: 'URI=spiffe://cluster.local/ns/a/sa/b',
  'X-Forwarded-For': '10.0.0.1',
  'X-Forwarded-User': 'root',
};

/** Names of fields, in the head and in trailers, and how many bytes came between. */
interface Seen {
  readonly trailers: readonly string[];
  readonly bytes: number;
}

describe('names in trailers that a filter sets or takes off', () => {
  const recorder = new TestRecorder();
  const seen: Seen[] = [];
  const source = new TestSource(new ManualClock());
  const identity = new TestIdentity();
  const app1 = createHttp1Server((incoming, response) => {
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    incoming.on('end', () => {
      seen.push({ trailers: incoming.rawTrailers.filter((_, i) => i % 2 === 0), bytes });
      response.end('ok');
    });
  });
  const app2 = createHttp2Server();
  app2.on('stream', (stream: ServerHttp2Stream) => {
    let bytes = 0;
    let trailers: readonly string[] = [];
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on('trailers', (fields: object) => {
      trailers = Object.keys(fields);
    });
    stream.on('end', () => {
      seen.push({ trailers, bytes });
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
  });
  const clusters = new ClusterManager({
    source,
    dial: createDial({ certificates: identity, clock: systemClock, recorder }),
    connectHttp: (transport, _cluster, wire) => connectHttp(transport, wire, { clock: systemClock, recorder }),
    identity,
    recorder,
    clock: systemClock,
    prng: systemPrng,
    onDemandWaitMsMax: 100,
    resolveHost: (_host, done) => done({ error: 'none' }),
  });
  const byPath = ['/http1', '/http2'].map((path) =>
    testRoute(forwardTo(path.slice(1)).action, { path: { kind: 'prefix', value: path } }),
  );
  const dispatch = createDispatch({
    hcm: testHcm({ kind: 'inline', config: routes('r', ...byPath) }, { filters }),
    direction: 'inbound',
    settings: undefined,
    source,
    clusters,
    recorder,
    clock: systemClock,
    prng: systemPrng,
    onDemandWaitMsMax: 100,
    identity,
  });
  const sockets = new Set<Socket>();
  const proxy = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const limits = defaultHttpLimits;
    const clock = systemClock;
    serveHttp(socket, testConnection, {
      limits,
      dispatch,
      clock,
      recorder,
      direction: 'inbound',
      codec: 'auto',
      alpn: '',
    });
  });
  const portOf = (server: { address(): AddressInfo | string | null }): number => (server.address() as AddressInfo).port;

  before(async () => {
    for (const server of [app1, app2, proxy]) await once(server.listen(0, '127.0.0.1'), 'listening');
    for (const [name, app] of [
      ['http1', app1],
      ['http2', app2],
    ] as const) {
      source.cluster(testCluster(name, { protocol: name }));
      source.assignment(name, [testEndpoint('127.0.0.1', portOf(app))]);
    }
  });

  after(() => {
    for (const socket of sockets) socket.destroy();
    clusters.close();
    for (const server of [app1, app2, proxy]) server.close();
    app1.closeAllConnections();
  });

  async function byHttp1(path: string, trailers: Readonly<Record<string, string>>): Promise<void> {
    const sent = request({ host: '127.0.0.1', port: portOf(proxy), path, method: 'POST', agent: false });
    sent.write('four');
    sent.addTrailers(Object.entries(trailers));
    sent.end();
    const [response] = await once(sent, 'response');
    response.resume();
    await once(response, 'end');
  }

  async function byHttp2(path: string, trailers: Readonly<Record<string, string>>): Promise<void> {
    const session = connect(`http://127.0.0.1:${portOf(proxy)}`);
    const stream = session.request({ ':method': 'POST', ':path': path }, { waitForTrailers: true, endStream: false });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end('four');
    stream.resume();
    await once(stream, 'end');
    session.close();
  }

  for (const [client, send] of [
    ['HTTP/1', byHttp1],
    ['HTTP/2', byHttp2],
  ] as const) {
    for (const path of ['/http1', '/http2']) {
      test(`by ${client} to an application of ${path.slice(1)}`, { timeout: 10_000 }, async () => {
        const stripped = (): number => recorder.events.filter((event) => event === 'trailer.stripped').length;
        const before = stripped();
        await send(path, { ...forged, 'x-checksum': '1' });
        assert.deepEqual(seen.pop(), { trailers: ['x-checksum'], bytes: 4 });
        assert.equal(stripped() - before, Object.keys(forged).length - OF_THE_CODECS);
        await send(path, forged);
        assert.deepEqual(seen.pop(), { trailers: [], bytes: 4 }, 'and none are left of forged ones alone');
      });
    }
  }
});
