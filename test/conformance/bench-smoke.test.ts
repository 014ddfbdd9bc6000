/** Every benchmark starts, gives numbers, and notices what fails. How good the numbers are is not for a test. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bodyBytes, grpcMessage, grpcPath, grpcResponseBytes } from '../bench/backend.ts';
import { Field } from '../bench/field.ts';
import { h2load } from '../bench/load/h2load.ts';
import { Loadgen } from '../bench/load/loadgen.ts';
import { buildLoadgen, installPrograms } from '../bench/load/programs.ts';
import { wrk } from '../bench/load/wrk.ts';
import type { Row } from '../bench/report.ts';
import { buildPackage } from '../support/package.ts';
import { Program } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';

const folder = testFolder('bench-smoke');
const dist = join(folder, 'dist');
const main = join(import.meta.dirname, '..', 'bench', 'main.ts');
const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
const testMs = 170_000;

before(
  async () => {
    await installPrograms();
    await buildPackage(dist);
  },
  { timeout: testMs },
);
after(() => rmSync(folder, { recursive: true, force: true }));

async function quick(name: string): Promise<{ readonly rows: readonly Row[]; readonly code: number | null }> {
  const program = new Program(process.execPath, [...flags, main, name, '--quick', '--json', '--dist', dist]);
  try {
    const code = await program.exitCode();
    const lines = program.stdout.split('\n').filter((line) => line !== '');
    const rows = lines.map((line): Row => JSON.parse(line));
    const failed = rows.flatMap(({ error }) => error ?? []);
    assert.deepEqual(failed, [], program.stderr);
    assert.equal(code, 0, program.stderr);
    return { rows, code };
  } finally {
    await program.stop();
  }
}

/** What Weft is compared by, as metric, load and wire. */
const expected: Readonly<Record<string, readonly (readonly [metric: string, load?: string, wire?: string])[]>> = {
  'mtls-h1': [
    ...(['default', 'h1', 'h2'] as const).flatMap((wire) => [
      ['cpu_us_per_request', 'saturated', wire] as const,
      ['cpu_us_per_request', '1000 rps', wire] as const,
      ['p50_ms', 'open loop', wire] as const,
      ['p99_ms', 'open loop', wire] as const,
      ['p999_ms', 'open loop', wire] as const,
    ]),
  ],
  'mtls-grpc': [
    ['cpu_us_per_request', 'saturated', 'h2'],
    ['cpu_us_per_request', '1000 rps', 'h2'],
  ],
  'h1-plain': [['cpu_us_per_request'], ['requests_per_second']],
  'h2-plain': [['cpu_us_per_request'], ['requests_per_second']],
  'tcp-mtls': [
    ['cpu_s_per_gb', 'down'],
    ['cpu_s_per_gb', 'up'],
  ],
  handshakes: [
    ['connections_per_core_second', 'server side, X25519'],
    ['connections_per_core_second', 'both sidecars'],
  ],
  authz: [
    ['cpu_us_per_request', 'distinct identities and prefixes'],
    ['cpu_us_per_request', 'the prefixes of one identity'],
  ],
  idle: [
    ['rss_anon_mb', 'ready, static bootstrap'],
    ['rss_anon_mb', 'ready, joined by xDS'],
    ['rss_anon_kb_per_connection'],
  ],
  start: [['ready_ms']],
  scale: [['cpu_us_per_request'], ['least_loaded_thread_share']],
};

describe('benchmarks', () => {
  for (const [name, metrics] of Object.entries(expected)) {
    test(`${name} gives its numbers`, { timeout: testMs }, async () => {
      const { rows } = await quick(name);
      for (const [metric, load = '', wire] of metrics) {
        const row = rows.find(
          (one) =>
            one.subject.startsWith('weft') &&
            one.metric === metric &&
            (one.load ?? '').startsWith(load) &&
            one.wire === wire,
        );
        assert.ok(row !== undefined, `no row ${metric} ${load} ${wire ?? ''}`);
        assert.equal(row.bench, name);
        for (const value of [row.subject_value, row.peer_value, row.ratio])
          assert.ok(Number(value) > 0, JSON.stringify(row));
      }
    });
  }

  test('an unknown name prints what there is', async () => {
    const program = new Program(process.execPath, [...flags, main, 'h3']);
    assert.equal(await program.exitCode(), 64);
    assert.match(program.stderr, /mtls-grpc/);
  });
});

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** One answer in this many is a bad one. */
const badEvery = 50;

describe('loads notice failures', () => {
  let loadgen: Loadgen;
  before(
    async () => {
      loadgen = new Loadgen(await buildLoadgen());
    },
    { timeout: testMs },
  );

  const rate = (port: number, protocol: 'h1' | 'h2' | 'grpc', path: string) =>
    loadgen.rate({ port, protocol, path, rate: 500, connections: 4, seconds: 1 });

  test('a status of 503 over HTTP/1.1', async (t) => {
    let count = 0;
    const server = createHttp1Server((_, response) => {
      count++;
      response.statusCode = count % badEvery === 0 ? 503 : 200;
      response.end('x');
    });
    const port = await listening(server);
    t.after(() => server.close().closeAllConnections());
    await assert.rejects(wrk({ port, path: '/', seconds: 1, connections: 4 }), /Non-2xx/);
    await assert.rejects(rate(port, 'h1', '/'), /503/);
  });

  test('connections that break', async (t) => {
    let count = 0;
    const server = createHttp1Server((request, response) => {
      count++;
      if (count % badEvery === 0) request.socket.destroy();
      else response.end('x');
    });
    const port = await listening(server);
    t.after(() => server.close().closeAllConnections());
    await assert.rejects(wrk({ port, path: '/', seconds: 1, connections: 4 }), /Socket errors/);
    await assert.rejects(rate(port, 'h1', '/'), /closed a connection|reset/);
  });

  test('a gRPC error, whose HTTP status is 200, and a good call', async (t) => {
    let failing = false;
    let count = 0;
    const server = createHttp2Server();
    server.on('stream', (stream: ServerHttp2Stream) => {
      count++;
      stream.resume();
      if (failing && count % badEvery === 0) {
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' },
          { endStream: true },
        );
        return;
      }
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(grpcMessage());
    });
    const port = await listening(server);
    t.after(() => void server.close());
    const file = join(folder, 'message');
    writeFileSync(file, grpcMessage());
    assert.equal(readFileSync(file).length, grpcResponseBytes);
    const call = { port, path: grpcPath, seconds: 1, connections: 2, streams: 4, grpcMessage: file };
    const good = await rate(port, 'grpc', grpcPath);
    assert.equal(good.completed, 500);
    assert.ok(good.p50_ms > 0 && good.p50_ms <= good.p99_ms && good.p99_ms <= good.p999_ms);
    assert.ok((await h2load({ ...call, responseBytes: grpcResponseBytes })).requests > 0);
    failing = true;
    await assert.rejects(rate(port, 'grpc', grpcPath), /grpc-status 0 false/);
    await assert.rejects(h2load({ ...call, responseBytes: grpcResponseBytes }), /not every request/);
    await assert.rejects(h2load({ ...call, responseBytes: bodyBytes }), /not every request/);
  });

  test('an answer that comes late counts from when it was asked for', async (t) => {
    let count = 0;
    const server = createHttp1Server((_, response) => {
      count++;
      // One stall of a single connection: a closed loop would see one slow request, an open loop sees those behind it.
      setTimeout(() => response.end('x'), count === 100 ? 300 : 0);
    });
    const port = await listening(server);
    t.after(() => server.close().closeAllConnections());
    const { p99_ms, counted } = await loadgen.rate({
      port,
      protocol: 'h1',
      path: '/',
      rate: 200,
      connections: 1,
      seconds: 1,
    });
    assert.equal(counted, 200);
    assert.ok(p99_ms > 200, `p99 ${p99_ms} ms`);
  });

  test('a proxy that does not start has an error in its row, and no number', async () => {
    const field = await Field.start([
      { key: 'good', name: 'good', start: async () => ({ port: 1, programs: [] }) },
      { key: 'bad', name: 'bad', start: () => Promise.reject(new Error('refuses the bootstrap')) },
    ]);
    const samples = await field.measure(2, async () => ({ cpu: 3 }));
    const row = samples.row({ bench: 'b', metric: 'cpu', subject: 'bad', peer: 'good' });
    assert.deepEqual([row.subject_value, row.peer_value, row.ratio], [null, 3, null]);
    assert.equal(row.error, 'bad: refuses the bootstrap');
  });
});
