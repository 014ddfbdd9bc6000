/**
 * The corpus of requests over HTTP/2 through a real sidecar, from outside and from another sidecar, to applications in
 * HTTP/1 and HTTP/2: zero ambiguous forwardings. What leaves in HTTP/1 reads the same to parsers that each forgive
 * something else.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Http1Application, Http2Application } from './http2-corpus/applications.ts';
import { requestCases } from './http2-corpus/requests.ts';
import { type Http2Rig, startHttp2Rig } from './http2-corpus/rig.ts';
import { runRequestCase } from './http2-corpus/run-request.ts';

const CASES_MIN = 400;

describe('requests over HTTP/2', () => {
  const applications = { http1: new Http1Application(), http2: new Http2Application() } as const;
  let rig: Http2Rig;

  before(async () => {
    rig = await startHttp2Rig({
      name: 'h2-requests',
      manager: { upgrade_configs: [{ upgrade_type: 'websocket' }], http2_protocol_options: { allow_connect: true } },
      http1: (stream) => applications.http1.accept(stream),
      http2: (stream) => applications.http2.accept(stream),
    });
  });
  after(() => rig.stop());

  for (const one of requestCases) {
    test(`${one.rule} ${one.name}`, async (t) => {
      for (const way of ['http2', 'mesh'] as const) {
        if (one.from !== 'both' && (one.from === 'mesh') !== (way === 'mesh')) continue;
        for (const behind of ['http1', 'http2'] as const) {
          await t.test(`${way} to ${behind}`, () =>
            runRequestCase(one, { application: applications[behind], connect: () => rig.connect(way, behind) }),
          );
        }
      }
    });
  }
  test('there are as many cases as there should be, each with a name of its own', () => {
    assert.ok(requestCases.length >= CASES_MIN, `${requestCases.length}`);
    const names = requestCases.map(({ rule, name }) => `${rule} ${name}`);
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
  });
});
