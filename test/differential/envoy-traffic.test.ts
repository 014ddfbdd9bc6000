/**
 * Generated requests, answers, faults and route tables through Weft and through a real Envoy, in all pairs of HTTP
 * versions: the same to the client, to the application and in the log, but for what known-differences.ts lists. The seed
 * is fixed, or WEFT_SEED; WEFT_DIFF_REPLAY repeats one mismatch; WEFT_DIFF_MINUTES gives it more time.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, describe, type TestContext, test } from 'node:test';
import { testFolder } from '../support/pair-sidecar.ts';
import { Applications } from './applications.ts';
import { replayOnce, runCampaign } from './campaign.ts';
import { knownOfTraffic } from './known-differences.ts';
import { mismatchText, type Replay } from './report.ts';

/** The same traffic in every run; another seed looks for what this one does not meet. */
const SEED = 20_779;
const MINUTES = 2.75;
/** Fewer would leave rare differences out, and would say nothing about those that were not met. */
const CASES_FOR_ALL = 60_000;
/** Of all cases; a difference that is gone when it is looked at again is of connections that meet, at best. */
const UNSTABLE_SHARE_MAX = 0.002;

const seed = Number(process.env['WEFT_SEED'] ?? SEED);
const minutes = Number(process.env['WEFT_DIFF_MINUTES'] ?? MINUTES);
const replayFile = process.env['WEFT_DIFF_REPLAY'];
const folder = testFolder('differential');

after(() => rmSync(folder, { recursive: true, force: true }));

describe(`Weft and Envoy, seed ${seed} (WEFT_SEED repeats it)`, () => {
  const generated = async (t: TestContext): Promise<void> => {
    const result = await runCampaign({
      seed,
      folder,
      timeMs: minutes * 60_000,
      casesMax: 200_000,
      tablesPerBootstrap: 4,
      runsPerLane: 120,
    });
    const { cases, bootstraps, usage, unstable } = result;
    t.diagnostic(`${cases} cases, ${bootstraps} bootstraps, seed ${seed}, ${unstable.length} not seen again`);
    for (const { name } of knownOfTraffic) t.diagnostic(`${name}: ${usage.counts.get(name) ?? 0}`);
    if (result.failure !== undefined) assert.fail(result.failure);
    assert.ok(unstable.length <= 1 + cases * UNSTABLE_SHARE_MAX, JSON.stringify(unstable.slice(0, 10)));
    if (cases < CASES_FOR_ALL) return;
    const dead = knownOfTraffic.filter(({ name }) => !usage.counts.has(name)).map(({ name }) => name);
    assert.deepEqual(dead, [], 'known differences that nothing met any more');
  };

  const replayed = async (file: string): Promise<void> => {
    const replay: Replay = JSON.parse(readFileSync(file, 'utf8'));
    const applications = new Applications();
    await applications.start();
    try {
      const { ran, found } = await replayOnce(applications, folder, replay);
      assert.deepEqual(found, [], mismatchText(found, replay, ran, `of ${file}`));
    } finally {
      applications.stop();
    }
  };

  if (replayFile === undefined) test('generated traffic', { timeout: (minutes + 2) * 60_000 }, generated);
  else test('replay of a mismatch', () => replayed(replayFile));
});
