/**
 * Generated requests against generated route tables, through Weft and through a real Envoy on the same bootstrap: the
 * same status, the same body, and the same request for the application, but for what known-differences.ts lists.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { testFolder } from '../support/pair-sidecar.ts';
import { arbitraryRequest, arbitraryRoutes } from './arbitrary-requests.ts';
import { compare, type Difference } from './compare.ts';
import { type ClientRequest, EnvoyPair } from './envoy-pair.ts';
import { knownDifferences } from './known-differences.ts';

const TABLES = 6;
const REQUESTS_PER_TABLE = 80;

const seed = Number(process.env['WEFT_SEED'] ?? Date.now() % 2 ** 31);
const folder = testFolder('differential');

after(() => rmSync(folder, { recursive: true, force: true }));

const unexplained = (differences: Iterable<Difference>, request: ClientRequest): readonly Difference[] =>
  [...differences].filter((difference) => !knownDifferences.some((known) => known.explains(difference, request)));

describe(`Weft and Envoy, seed ${seed} (WEFT_SEED repeats it)`, () => {
  const tables = fc.sample(arbitraryRoutes, { numRuns: TABLES, seed });
  for (const [i, routes] of tables.entries()) {
    test(`route table ${i}`, async () => {
      const pair = new EnvoyPair();
      try {
        await pair.start(folder, routes);
        await fc.assert(
          fc.asyncProperty(arbitraryRequest, async (request) => {
            const { weft, envoy } = await pair.ask(request);
            const found = unexplained(compare(weft, envoy), request);
            assert.deepEqual(found, [], `route table: ${JSON.stringify(routes)}`);
          }),
          { numRuns: REQUESTS_PER_TABLE, seed: seed + i },
        );
      } finally {
        await pair.stop();
      }
    });
  }
});
