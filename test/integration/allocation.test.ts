import assert from 'node:assert/strict';
import { Session } from 'node:inspector/promises';
import { test } from 'node:test';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import { warmUp } from '@weft/sidecar/warm-up';

/**
 * Through both sidecars of a pair and both ends, HTTP/1 to HTTP/2 to HTTP/1: about 20 KB when this was written, connections included, of which
 * the runtime's sockets are a third. Code that allocates for each request shows here before it shows as CPU time.
 */
const BYTES_A_REQUEST_MAX = 26_000;
const WARM_ROUNDS = 4;
const MEASURED_ROUNDS = 4;
const ROUND_MS = 20_000;
const SAMPLE_BYTES = 512;

interface SamplingNode {
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly selfSize: number;
  readonly children: readonly SamplingNode[];
}

/** Bytes by the function that allocated them. */
function byFunction(node: SamplingNode, found = new Map<string, number>()): Map<string, number> {
  const { functionName, url, lineNumber } = node.callFrame;
  const name = `${functionName} ${url.slice(url.lastIndexOf('/') + 1)}:${lineNumber + 1}`;
  if (node.selfSize > 0) found.set(name, (found.get(name) ?? 0) + node.selfSize);
  for (const child of node.children) byFunction(child, found);
  return found;
}

async function send(rounds: number): Promise<number> {
  let requests = 0;
  for (let round = 0; round < rounds; round++) {
    requests += await warmUp({ clock: systemClock, prng: systemPrng }, { budgetMs: ROUND_MS });
  }
  return requests;
}

test('what a request allocates', async () => {
  await send(WARM_ROUNDS);
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.enable');
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: SAMPLE_BYTES,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  const requests = await send(MEASURED_ROUNDS);
  const { profile } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  const functions = [...byFunction(profile.head)].sort(([, a], [, b]) => b - a);
  const total = functions.reduce((sum, [, bytes]) => sum + bytes, 0) / requests;
  const largest = functions.slice(0, 12).map(([name, bytes]) => `${Math.round(bytes / requests)} ${name}`);
  console.log(`# ${Math.round(total)} bytes a request`);
  assert.ok(requests > 0);
  assert.ok(total < BYTES_A_REQUEST_MAX, `${Math.round(total)} bytes a request, most of them:\n${largest.join('\n')}`);
});
