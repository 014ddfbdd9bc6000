import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const module = JSON.stringify(new URL('./one-poll.ts', import.meta.url));

/** Of a process of its own, after a wait of 50 ms: what it did, and whether its loop was idle for any of that. */
function waited(prepare: string): string {
  const script = `
    const { performance } = require('node:perf_hooks');
    import(${module}).then(({ waitWithOnePoll }) => {
      const done = ${prepare};
      const before = performance.eventLoopUtilization();
      setTimeout(() => {
        const { idle } = performance.eventLoopUtilization(before);
        console.log(String(done), idle > 0 ? 'idle' : 'never idle');
      }, 50);
    });`;
  const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning', '--input-type=commonjs'];
  return execFileSync(process.execPath, [...flags, '-e', script], { encoding: 'utf8' }).trim();
}

test('the event loop of the runtime that ships waits with one poll, and once only is enough', () => {
  assert.equal(waited('undefined'), 'undefined idle');
  assert.equal(waited('waitWithOnePoll()'), 'true never idle');
  assert.equal(waited('[waitWithOnePoll(), waitWithOnePoll()]'), 'true,false never idle');
});

test('a libuv that is not known is left as it is', () => {
  const other = "(Object.defineProperty(process.versions, 'uv', { value: '2.0.0' }), waitWithOnePoll())";
  assert.equal(waited(other), 'false idle');
});
