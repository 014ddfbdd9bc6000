/** Every case of h2spec against a sidecar in front of an application that speaks HTTP/1.1. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type ConformanceCase, runH2spec } from '../support/h2spec.ts';
import { bootstrap, cluster, httpListener, route } from '../support/pair-bootstrap.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';

/** With the strict ones. */
const CASES = 146;
/** For an answer that is due: more than a busy machine may hold one up. */
const SECONDS_PER_CASE = 5;
/** Cases about windows need a body of some octets. */
const BODY = 'hello '.repeat(20);

const folder = testFolder('h2spec');
const origin = createServer((request, response) => {
  request.resume().on('end', () => response.end(BODY));
});
let sidecar: Program;
let http2Port: number;
let autoPort: number;

const listener = (name: string, port: number, codec: 'HTTP2' | 'AUTO') =>
  httpListener({
    name,
    at: { ip: '127.0.0.1', port },
    direction: 'INBOUND',
    routes: [route('all', '/', 'application')],
    manager: { codec_type: codec },
  });

before(async () => {
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  http2Port = await freePort();
  autoPort = await freePort();
  const application = { ip: '127.0.0.1', port: (origin.address() as AddressInfo).port };
  sidecar = await startSidecar(
    folder,
    bootstrap({
      id: 'h2spec',
      adminPort: await freePort(),
      clusters: [cluster({ name: 'application', endpoints: [application] })],
      listeners: [listener('http2', http2Port, 'HTTP2'), listener('auto', autoPort, 'AUTO')],
    }),
  );
});

after(async () => {
  await sidecar.stop();
  origin.closeAllConnections();
  origin.close();
  rmSync(folder, { recursive: true, force: true });
});

const say = ({ section, name, outcome, detail }: ConformanceCase): string =>
  `${section} ${name}: ${outcome}${detail === '' ? '' : `\n${detail}`}`;

async function failing(port: number): Promise<readonly ConformanceCase[]> {
  const cases = await runH2spec(port, SECONDS_PER_CASE);
  assert.equal(cases.length, CASES);
  assert.ok(!sidecar.ended, sidecar.stderr);
  return cases.filter(({ outcome }) => outcome !== 'passed');
}

describe('h2spec', () => {
  test('every case passes on a listener of HTTP/2', { timeout: 300_000 }, async () => {
    const rest = await failing(http2Port);
    assert.equal(rest.length, 0, `${rest.length} of ${CASES} did not pass:\n${rest.map(say).join('\n')}`);
  });

  test('on one that tells the version by the first octets, what is no preface is HTTP/1', {
    timeout: 300_000,
  }, async () => {
    const rest = await failing(autoPort);
    const names = rest.map(({ section, name }) => `${section} ${name}`);
    // The case wants GOAWAY or the end of the connection; RFC 9112 section 3 wants 400 before the end.
    assert.deepEqual(names, ['http2/3.5 Sends invalid connection preface'], rest.map(say).join('\n'));
  });
});
