import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { lowerCompilerWhenWarm } from './compiler.ts';

const LOOK_MS = 250;

/** Looks until now, with so much processor time used in each; says after how many the compiler was lowered. */
function lowered(
  usedMs: readonly number[],
  threads = 2,
): { readonly after: number; readonly events: readonly string[] } {
  const clock = new ManualClock();
  const events: string[] = [];
  let used = 10_000;
  let looks = 0;
  let after = 0;
  const lower = (): number => {
    assert.equal(after, 0, 'once only');
    after = looks;
    return threads;
  };
  const ports = { clock, count: (event: string) => void events.push(event) };
  const cancel = lowerCompilerWhenWarm(ports, { usedMs: () => used, lower });
  for (const more of usedMs) {
    used += more;
    looks++;
    clock.advance(LOOK_MS);
  }
  cancel();
  return { after, events };
}

describe('when requests go before the compiler', () => {
  test('after 350 ms of work, once, and what was before does not count', () => {
    assert.deepEqual(lowered([200, 149, 1, 0, 0, 100, 250, 250]), { after: 6, events: ['compiler.lowered'] });
  });

  test('never where it is nearly idle, however long', () => {
    assert.deepEqual(lowered(Array.from({ length: 1_000 }, () => 20)), { after: 0, events: [] });
  });

  test('nothing is counted where no thread can be lowered', () => {
    assert.deepEqual(lowered([250, 250, 250], 0), { after: 2, events: [] });
  });

  test('not after it was taken back', () => {
    const clock = new ManualClock();
    let used = 0;
    const lower = (): number => assert.fail('it was taken back');
    lowerCompilerWhenWarm({ clock, count: () => undefined }, { usedMs: () => used, lower })();
    used = 1_000;
    clock.advance(10 * LOOK_MS);
  });
});

interface Thread {
  readonly main: boolean;
  readonly name: string;
  readonly nice: number;
}

interface Lowered {
  readonly before: readonly Thread[];
  readonly after: readonly Thread[];
  readonly lowered: number;
  readonly gone: number;
}

/** Of a process of its own that is so much nicer than this one, with a worker beside it. */
function lowerThreadsOf(nicerBy: number): Lowered {
  const module = JSON.stringify(new URL('./compiler.ts', import.meta.url));
  const script = `
    const { readdirSync, readFileSync } = require('node:fs');
    // Of a thread: its name, and field 19 of proc_pid_stat(5), counted from behind the name.
    const threads = () => readdirSync('/proc/self/task').map((id) => {
      const [, name, rest] = /\\((.*)\\) (.*)/.exec(readFileSync('/proc/self/task/' + id + '/stat', 'utf8'));
      return { main: Number(id) === process.pid, name, nice: Number(rest.split(' ')[16]) };
    });
    import(${module}).then(({ lowerRuntimeThreads }) => {
      const worker = new (require('node:worker_threads').Worker)('setInterval(() => {}, 1000)', { eval: true });
      worker.once('online', () => {
        const before = threads();
        const lowered = lowerRuntimeThreads();
        console.log(JSON.stringify({ before, lowered, after: threads(), gone: lowerRuntimeThreads([2 ** 22 + 1]) }));
        process.exit(0);
      });
    });`;
  const flags = [
    '--experimental-ffi',
    '--disable-warning=ExperimentalWarning',
    '--v8-pool-size=1',
    '--input-type=commonjs',
  ];
  const command = ['-n', String(nicerBy), process.execPath, ...flags, '-e', script];
  return JSON.parse(execFileSync('nice', command, { encoding: 'utf8' })) as Lowered;
}

describe('of a process the runtime’s own threads are lowered; not the one that runs the program, nor those that it starts', () => {
  for (const nicerBy of [0, 5, 19]) {
    test(`nicer by ${nicerBy} than what runs this test`, () => {
      const { before, lowered, after, gone } = lowerThreadsOf(nicerBy);
      const own = before.find(({ main }) => main)?.nice ?? assert.fail('it has no main thread');
      assert.deepEqual([...new Set(before.map(({ nice }) => nice))], [own]);
      assert.equal(gone, 0, 'a thread that is not there is none');
      if (own === 19) {
        assert.equal(lowered, 0);
        assert.deepEqual(after, before);
        return;
      }
      const low = after.filter(({ nice }) => nice === Math.min(19, own + 10));
      assert.equal(low.length, lowered);
      assert.ok(low.some(({ name }) => name.includes('V8Worker')));
      assert.ok(low.every(({ main }) => !main));
      assert.ok(after.filter(({ nice }) => nice === own).length >= 2, 'the program and its worker');
    });
  }
});
