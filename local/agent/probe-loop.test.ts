import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { decodeStatus, encodeRequest } from './grpc-health.ts';
import { LogFile } from './log-file.ts';
import { ProbeLoop } from './probe-loop.ts';

/** Runs a probe whose tries end as listed (the last one repeats) until it has a verdict. */
function verdictOf(
  tries: readonly boolean[],
  probe: object,
  eager: boolean,
): Promise<{ verdict: string; tries: number; failures: number }> {
  return new Promise((resolve) => {
    let count = 0;
    let failures = 0;
    const loop = new ProbeLoop({
      probe: { periodSeconds: 1, ...probe },
      once: true,
      eager,
      run: async () => {
        const ok = tries[Math.min(count, tries.length - 1)] ?? false;
        count += 1;
        return { ok, message: '' };
      },
      onFailure: () => {
        failures += 1;
      },
      onVerdict: (verdict) => {
        loop.stop();
        resolve({ verdict, tries: count, failures });
      },
    });
  });
}

describe('probes', () => {
  test('extra early tries make a start quick and never count as failures', async () => {
    const startedAt = performance.now();
    const result = await verdictOf([false, false, false, true], { failureThreshold: 2, periodSeconds: 10 }, true);
    assert.deepEqual(result, { verdict: 'success', tries: 4, failures: 1 });
    assert.ok(performance.now() - startedAt < 9_500, 'within the first period');
  });

  test('failures in a row by the period make the verdict', async () => {
    assert.deepEqual(await verdictOf([false], { failureThreshold: 2 }, false), {
      verdict: 'failure',
      tries: 2,
      failures: 2,
    });
  });
});

test('gRPC health messages', () => {
  assert.deepEqual([...encodeRequest('')], [0, 0, 0, 0, 0]);
  assert.deepEqual([...encodeRequest('ab')], [0, 0, 0, 0, 4, 0x0a, 2, 0x61, 0x62]);
  assert.equal(decodeStatus(Buffer.from([0, 0, 0, 0, 2, 8, 1])), 1);
  assert.equal(decodeStatus(Buffer.from([0, 0, 0, 0, 0])), 0);
  assert.equal(decodeStatus(Buffer.from([1])), undefined);
});

test('logs are CRI lines; a long line is cut into parts; the last line needs no newline', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-log-'));
  try {
    const path = join(directory, 'pod/0.log');
    const log = new LogFile(path);
    const stream = new PassThrough();
    log.follow(stream, 'stdout');
    stream.write('one\ntw');
    stream.write('o\n');
    stream.end(`${'x'.repeat(20_000)}\nend`);
    await log.close();
    const lines = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => /^(\S+) stdout ([FP]) (.*)$/.exec(line));
    assert.ok(lines.every((line) => line !== null && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(line[1] ?? '')));
    assert.deepEqual(
      lines.map((line) => `${line?.[2]} ${line?.[3]?.length}`),
      ['F 3', 'F 3', 'P 16384', 'F 3616', 'F 3'],
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});
