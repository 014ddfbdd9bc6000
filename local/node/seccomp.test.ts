import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { defaultFilter } from './seccomp.ts';

const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;

/** Runs a filter as the kernel would. */
function run(
  program: Buffer,
  data: { readonly number: number; readonly audit: number; readonly flags?: number },
): number {
  const memory = new Map([
    [0, data.number],
    [4, data.audit],
    [16, data.flags ?? 0],
  ]);
  let value = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const code = program.readUInt16LE(at * 8);
    const k = program.readUInt32LE(at * 8 + 4);
    if (code === 0x06) return k;
    if (code === 0x20) {
      value = memory.get(k) ?? assert.fail(`offset ${k}`);
      continue;
    }
    const holds = code === 0x15 ? value === k : code === 0x35 ? value >= k : (value & k) !== 0;
    at += program.readUInt8(at * 8 + (holds ? 2 : 3));
  }
  return assert.fail('it runs off the end');
}

describe('the default filter of system calls', () => {
  const x64 = defaultFilter('x64') ?? assert.fail('none');
  const of = (number: number, flags = 0): number => run(x64, { number, audit: AUDIT.x64, flags });

  test('what programs do every day passes', () => {
    // read, write, mmap, socket, execve, getsockopt, epoll_wait, openat, prctl
    for (const number of [0, 1, 9, 41, 59, 55, 232, 257, 157]) assert.equal(of(number), ALLOW, String(number));
  });

  test('what changes the machine or makes namespaces is refused', () => {
    // mount, unshare, setns, bpf, init_module, keyctl, io_uring_setup, reboot
    for (const number of [165, 272, 308, 321, 175, 250, 425, 169]) assert.equal(of(number), ERRNO | 1, String(number));
  });

  test('threads and processes may be made, but not in namespaces of their own; clone3 is not there', () => {
    assert.equal(of(56, 0x003d0f00), ALLOW, 'as pthread_create');
    assert.equal(of(56, 0x01200011), ALLOW, 'as fork');
    assert.equal(of(56, 0x10000011), ERRNO | 1, 'a user namespace');
    assert.equal(of(435), ERRNO | 38);
  });

  test('numbers of another architecture or ABI are refused', () => {
    assert.equal(run(x64, { number: 0, audit: 0x40000003 }), ERRNO | 1);
    assert.equal(of(0x40000000), ERRNO | 1);
    assert.equal(run(defaultFilter('arm64') ?? assert.fail('none'), { number: 97, audit: AUDIT.arm64 }), ERRNO | 1);
    assert.equal(defaultFilter('s390x'), undefined);
  });

  test('the kernel takes it, and a program under it runs and gets no namespace', () => {
    const seccomp = new URL('./seccomp.ts', import.meta.url).href;
    const syscalls = new URL('./syscalls.ts', import.meta.url).href;
    const script = `
      const { forbidNewPrivileges } = await import(${JSON.stringify(syscalls)});
      const { filterSyscalls } = await import(${JSON.stringify(seccomp)});
      forbidNewPrivileges();
      filterSyscalls();
      process.execve('/bin/sh', ['sh', '-c', 'grep ^Seccomp: /proc/self/status; unshare --user true || echo refused'], process.env);`;
    const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
    const { stdout, stderr } = spawnSync(process.execPath, flags, { encoding: 'utf8', timeout: 20_000 });
    assert.match(stdout, /^Seccomp:\s+2\n/, stderr);
    assert.match(stdout, /refused\n$/, stderr);
  });
});
