/**
 * Generated sets of Gateway API objects and policies, translated and given to Weft and to a real Envoy: the same answers
 * to generated requests, but for what known-differences.ts lists. WEFT_SEED takes another seed.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { testFolder } from '../support/pair-sidecar.ts';
import { knownDifferences } from './known-differences.ts';
import { runPolicyCampaign } from './policy-campaign.ts';

/** The same traffic in every run; another seed looks for what this one does not meet. */
const SEED = 20_779;
const TIME_MS = 75_000;
/** To make what differs small. */
const EXPLAIN_MS = 150_000;
const SETS = Number(process.env['WEFT_DIFF_SETS'] ?? 72);
const REQUESTS_PER_LANE = 25;
const CASES_MIN = 1_000;
const SETS_MIN = 30;
const UNSTABLE_SHARE_MAX = 0.005;

const seed = Number(process.env['WEFT_SEED'] ?? SEED);
const folder = testFolder('policies');

after(() => rmSync(folder, { recursive: true, force: true }));

test(`the same policies on Weft and on Envoy, seed ${seed}`, { timeout: TIME_MS + EXPLAIN_MS }, async (t) => {
  const result = await runPolicyCampaign({
    seed,
    folder,
    timeMs: TIME_MS,
    sets: SETS,
    setsPerBootstrap: 12,
    requestsPerLane: REQUESTS_PER_LANE,
  });
  const { cases, sets, usage, unstable, failures } = result;
  t.diagnostic(`${cases} requests, ${sets} sets of policies, ${unstable.length} differences not seen again`);
  for (const { name } of knownDifferences) {
    const count = usage.counts.get(name);
    if (count !== undefined) t.diagnostic(`${name}: ${count}`);
  }
  if (failures.length > 0) assert.fail(failures.join('\n\n'));
  assert.ok(unstable.length <= 1 + cases * UNSTABLE_SHARE_MAX, JSON.stringify(unstable.slice(0, 10)));
  assert.ok(sets >= SETS_MIN, `${sets} sets`);
  assert.ok(cases >= CASES_MIN, `${cases} requests`);
});
