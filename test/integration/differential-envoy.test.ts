/** A few thousand cases of what test/differential does at length; always the same, unless WEFT_SEED says otherwise. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { runCampaign } from '../differential/campaign.ts';
import { testFolder } from '../support/pair-sidecar.ts';

const TIME_MS = 17_000;
const CASES = 3_000;
const CASES_MIN = 300;
const UNSTABLE_MAX = 8;

const seed = Number(process.env['WEFT_SEED'] ?? 4);
const folder = testFolder('differential');

after(() => rmSync(folder, { recursive: true, force: true }));

test(`Weft and Envoy treat generated traffic alike, seed ${seed}`, { timeout: 90_000 }, async (t) => {
  const result = await runCampaign({
    seed,
    folder,
    timeMs: TIME_MS,
    casesMax: CASES,
    tablesPerBootstrap: 4,
    runsPerLane: 60,
  });
  t.diagnostic(`${result.cases} cases, ${result.bootstraps} bootstraps, ${result.unstable.length} not seen again`);
  if (result.failure !== undefined) assert.fail(result.failure);
  assert.ok(result.unstable.length <= UNSTABLE_MAX, JSON.stringify(result.unstable));
  assert.ok(result.cases >= CASES_MIN, `${result.cases} cases`);
});
