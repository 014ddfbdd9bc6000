import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nodeFlags, PROGRAMS, projectCode } from './node-flags.ts';

const image = { code: ['/weft/*'], root: '/weft' };

describe('flags of Node for what ships', () => {
  for (const program of PROGRAMS) {
    test(`${program}: may start nothing, load nothing native, be debugged by nobody, and reads no file but its own`, () => {
      const flags = nodeFlags(program, image);
      assert.ok(flags.includes('--permission'));
      for (const right of ['child-process', 'addons', 'inspector', 'wasi', 'openssl-store', 'fs-vfs']) {
        assert.ok(!flags.some((flag) => flag.startsWith(`--allow-${right}`)), right);
      }
      const paths = flags.filter((flag) => flag.startsWith('--allow-fs-')).map((flag) => flag.replace(/^[^=]*=/, ''));
      assert.ok(paths.length > 0);
      for (const path of paths)
        assert.match(path, /^\/(weft|var\/run\/(weft|secrets)|proc\/self|sys\/fs\/cgroup|etc\/ssl\/certs)\//, path);
    });
  }

  test('only the sidecar writes, and only its state and the socket of the Workload API', () => {
    const writes = PROGRAMS.map((program) =>
      nodeFlags(program, image).filter((flag) => flag.startsWith('--allow-fs-write')),
    );
    assert.deepEqual(writes, [
      ['state', 'state/*', 'workload-api', 'workload-api/*'].map((path) => `--allow-fs-write=/var/run/weft/${path}`),
      [],
      [],
    ]);
  });

  test('of the repository a program sees itself and what it imports', () => {
    assert.deepEqual(projectCode('/p', 'injector'), [
      '/p/package.json',
      '/p/injector/*',
      '/p/policies/*',
      '/p/node_modules/*',
    ]);
  });
});
