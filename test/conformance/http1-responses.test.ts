/** The corpus of responses through a real sidecar: no client gets what belongs to another, or half of it as the whole. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { responseCases } from './http1-corpus/responses.ts';
import { runResponseCase, ScriptedOrigin } from './http1-corpus/run-response.ts';
import { type CorpusSidecar, startCorpusSidecar } from './http1-corpus/sidecar.ts';

const CASES_MIN = 120;

describe('responses of the corpus', () => {
  const origin = new ScriptedOrigin();
  let sidecar: CorpusSidecar;

  before(async () => {
    sidecar = await startCorpusSidecar('corpus-responses', (stream) => origin.accept(stream));
  });
  after(() => sidecar.stop());

  for (const one of responseCases) {
    test(`${one.rule} ${one.name}`, () => runResponseCase(one, { connect: () => sidecar.connect() }, origin));
  }
  test('there are as many cases as there should be, each with a name of its own', () => {
    assert.ok(responseCases.length >= CASES_MIN);
    assert.equal(new Set(responseCases.map(({ rule, name }) => `${rule} ${name}`)).size, responseCases.length);
  });
});
