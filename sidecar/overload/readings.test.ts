import assert from 'node:assert/strict';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { collector, descriptorReader, heapReading, memoryReader } from './readings.ts';

function mount(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'weft-cgroup-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test('version 2: a limit of any group on the way up counts, without the file cache', (t) => {
  const root = mount(t, {
    'a/memory.max': '1000\n',
    'a/memory.current': '900\n',
    'a/memory.stat': 'anon 500\ninactive_file 200\nactive_file 10\n',
    'a/b/memory.max': 'max\n',
    'a/b/memory.current': '300\n',
  });
  assert.deepEqual(memoryReader(root, '0::/a/b\n')(), [{ what: 'memory', used: 700, max: 1_000 }]);
});

test('version 2 in a container: the group is the root, and its own path does not exist', (t) => {
  const root = mount(t, { 'memory.max': '1000\n', 'memory.current': '400\n', 'memory.stat': 'inactive_file 0\n' });
  assert.deepEqual(memoryReader(root, '0::/../../kubepods/pod1\n')(), [{ what: 'memory', used: 400, max: 1_000 }]);
});

test('version 1', (t) => {
  const root = mount(t, {
    'memory/pod/memory.limit_in_bytes': '2000\n',
    'memory/pod/memory.usage_in_bytes': '1800\n',
    'memory/pod/memory.stat': 'inactive_file 1\ntotal_inactive_file 100\n',
    'memory/memory.limit_in_bytes': '9223372036854771712\n',
    'memory/memory.usage_in_bytes': '5000\n',
  });
  const groups = '12:cpu,cpuacct:/pod\n3:memory:/pod\n';
  assert.deepEqual(memoryReader(root, groups)(), [{ what: 'memory', used: 1_700, max: 2_000 }]);
});

test('without a limit, or when the files are gone, nothing is read', (t) => {
  const root = mount(t, { 'a/memory.max': 'max\n', 'a/memory.current': '300\n' });
  assert.deepEqual(memoryReader(root, '0::/a\n')(), []);
  assert.deepEqual(memoryReader(join(root, 'nowhere'), '0::/a\n')(), []);
  const limited = mount(t, { 'memory.max': '1000\n', 'memory.current': '400\n' });
  const read = memoryReader(limited, '0::/\n');
  rmSync(join(limited, 'memory.current'));
  assert.deepEqual(read(), []);
});

test('a limit that is changed, set or lifted is noticed', (t) => {
  const root = mount(t, { 'memory.max': 'max\n', 'memory.current': '400\n', 'memory.stat': 'inactive_file 0\n' });
  const read = memoryReader(root, '0::/\n');
  const change = (max: string): readonly number[] => {
    writeFileSync(join(root, 'memory.max'), max);
    for (let i = 1; i < 20; i++) read();
    return read().map((reading) => reading.max);
  };
  assert.deepEqual(read(), []);
  assert.deepEqual(change('1000\n'), [1_000]);
  assert.deepEqual(change('2000\n'), [2_000]);
  assert.deepEqual(change('max\n'), []);
});

test('a limit that cannot be read for a while stays as it was', (t) => {
  const root = mount(t, { 'memory.max': '1000\n', 'memory.current': '400\n', 'memory.stat': 'inactive_file 0\n' });
  const read = memoryReader(root, '0::/\n');
  assert.equal(read()[0]?.max, 1_000);
  rmSync(join(root, 'memory.max'));
  for (let i = 0; i < 40; i++) assert.equal(read()[0]?.max, 1_000);
});

test('descriptors and heap are those of this process', () => {
  const read = descriptorReader();
  const [before] = read();
  const opened = Array.from({ length: 10 }, () => openSync('/dev/null', 'r'));
  const [after] = read();
  for (const fd of opened) closeSync(fd);
  // A process whose limit is "unlimited" has nothing to read.
  if (before !== undefined && after !== undefined)
    assert.ok(after.used - before.used >= 8, `${before.used} ${after.used}`);
  const heap = heapReading();
  assert.ok(heap.used > 0 && heap.used < heap.max);
});

test('garbage is collected when asked for', () => {
  let garbage: unknown[] | undefined = Array.from({ length: 200_000 }, (_, i) => ({ i }));
  assert.equal(garbage.length, 200_000);
  const before = heapReading().used;
  garbage = undefined;
  collector()();
  assert.ok(heapReading().used < before - 2_000_000);
});

test('collecting leaves no flag of V8 changed, with which it would take no code that was compiled ahead', () => {
  collector()();
  assert.equal(runInNewContext('typeof gc'), 'undefined');
});
