/**
 * The corpus of requests through a real sidecar: zero ambiguous forwardings. What leaves it reads the same to parsers
 * that each forgive something else, to nginx, and to Node's lenient parser.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RequestCase } from './http1-corpus/case.ts';
import { readRequests, styles } from './http1-corpus/lenient.ts';
import { RecordingOrigin } from './http1-corpus/origin.ts';
import { requestCases } from './http1-corpus/requests.ts';
import { runRequestCase } from './http1-corpus/run-request.ts';
import { type RealServer, startNginx, startNode } from './http1-corpus/servers.ts';
import { type CorpusSidecar, startCorpusSidecar } from './http1-corpus/sidecar.ts';

const CASES_MIN = 350;
const isWhole = (bytes: string): boolean => styles.every((style) => readRequests(bytes, style).rest === '');
const SENTINEL = { method: 'GET', target: '/sentinel', body: '' };

describe('requests of the corpus', () => {
  const origin = new RecordingOrigin((stream) => stream.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  let sidecar: CorpusSidecar;
  let servers: readonly RealServer[] = [];

  before(async () => {
    sidecar = await startCorpusSidecar('corpus-requests', (stream) => origin.accept(stream));
    servers = [await startNode(), await startNginx(join(sidecar.folder, 'nginx'))];
  });
  after(async () => {
    for (const server of servers) await server.stop();
    await sidecar.stop();
  });

  async function judgeByServers(one: RequestCase, streams: readonly string[]): Promise<void> {
    const requests = [...one.forwarded, SENTINEL];
    for (const server of servers) {
      if (!requests.every(({ method }) => server.handles(method))) continue;
      const seen: string[] = [];
      // A server that answers before it has the content would answer half a request as well.
      const whole = streams.filter((bytes) => server.readsContent || isWhole(bytes));
      for (const bytes of whole) seen.push(...(await server.read(bytes)));
      assert.deepEqual(seen.sort(), requests.map((request) => server.describe(request)).sort(), server.name);
    }
  }

  for (const one of requestCases) {
    test(`${one.rule} ${one.name}`, async () => {
      await judgeByServers(one, await runRequestCase(one, { origin, connect: () => sidecar.connect() }));
    });
  }
  test('there are as many cases as there should be, each with a name of its own', () => {
    assert.ok(requestCases.length >= CASES_MIN);
    assert.equal(new Set(requestCases.map(({ rule, name }) => `${rule} ${name}`)).size, requestCases.length);
  });
});
