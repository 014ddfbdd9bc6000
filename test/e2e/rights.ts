import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const words = (pid: string, file: string): readonly string[] => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
  } catch {
    // It has ended meanwhile.
    return [];
  }
};

/** What of the mesh runs in pods: the command line and the rights of each process. */
function ownProcesses(mesh: string) {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && words(pid, 'environ').includes(`WEFT_MESH=${mesh}`))
    .map((pid) => ({ pid, command: words(pid, 'cmdline') }))
    .filter(({ command }) => command.some((word) => /\/(sidecar|control-plane|injector)\/main\.[jt]s$/.test(word)))
    .map(({ pid, command }) => ({ pid, command, status: readFileSync(`/proc/${pid}/status`, 'utf8') }));
}

export function rightsTests(mesh: string, sidecars: number): void {
  test("sidecars, control plane and injector run with Node's permission model, without capabilities and not as root", () => {
    const processes = ownProcesses(mesh);
    assert.equal(processes.length, sidecars + 2, processes.map(({ command }) => command.join(' ')).join('\n'));
    for (const { command, status } of processes) {
      const what = command.join(' ');
      assert.ok(command.includes('--permission'), what);
      assert.ok(!command.some((word) => /^--allow-(child-process|addons|inspector)/.test(word)), what);
      assert.match(status, /^Uid:\t(1337|65532)\t/m, what);
      assert.match(status, /^CapEff:\t0+$/m, what);
      assert.match(status, /^CapBnd:\t0+$/m, what);
      assert.match(status, /^NoNewPrivs:\t1$/m, what);
      assert.match(status, /^Seccomp:\t2$/m, what);
    }
  });
}
