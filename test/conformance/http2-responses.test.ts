/**
 * The corpus of responses in HTTP/2, of an application and of another sidecar, to clients in HTTP/1 and HTTP/2: no client
 * gets what belongs to another, or half of it as the whole.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { responseCases } from './http2-corpus/responses.ts';
import { type Http2Rig, startHttp2Rig } from './http2-corpus/rig.ts';
import { runOverHttp1, runOverHttp2, ScriptedApplication } from './http2-corpus/run-response.ts';

const CASES_MIN = 120;

describe('responses in HTTP/2', () => {
  const application = new ScriptedApplication();
  let rig: Http2Rig;

  before(async () => {
    const accept = application.accept.bind(application);
    rig = await startHttp2Rig({ name: 'h2-responses', http2: accept, mesh: accept });
  });
  after(() => rig.stop());

  for (const one of responseCases) {
    test(`${one.rule} ${one.name}`, async (t) => {
      for (const behind of ['http2', 'mesh'] as const) {
        if (one.from !== 'both' && (one.from === 'mesh') !== (behind === 'mesh')) continue;
        await t.test(`${behind} to HTTP/2`, () => runOverHttp2(one, rig.connect('http2', behind), application));
        await t.test(`${behind} to HTTP/1`, () => runOverHttp1(one, () => rig.connect('http1', behind), application));
      }
    });
  }
  test('there are as many cases as there should be, each with a name of its own', () => {
    assert.ok(responseCases.length >= CASES_MIN, `${responseCases.length}`);
    const names = responseCases.map(({ rule, name }) => `${rule} ${name}`);
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
  });
});
