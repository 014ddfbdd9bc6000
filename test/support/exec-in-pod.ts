import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createReadStream, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** The user of a container that says nothing else. */
const NOBODY = '65534';

/** An application process of the pod: one in its network namespace that is not the proxy's. */
function applicationProcess(namespace: string): string {
  const inode = statSync(`/run/netns/${namespace}`).ino;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      if (readlinkSync(`/proc/${pid}/ns/net`) !== `net:[${inode}]`) continue;
      if (new RegExp(`^Uid:\\s+${NOBODY}\\b`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return pid;
    } catch {
      // It ended while it was looked at.
    }
  }
  throw new Error(`no application process runs in ${namespace}`);
}

/** The program of the pod's own application, wherever that is in its files: process 1 of its PID namespace. */
export const OWN_PROGRAM = '/proc/1/exe';

/** Runs a command as the application of a pod would: its network, files (resolv.conf) and user, so that redirection applies. */
export async function execInPod(mesh: string, podUid: string, command: readonly string[]): Promise<string> {
  const pid = applicationProcess(`weft-${mesh}-p-${podUid.slice(0, 8)}`);
  const { stdout } = await run(
    'nsenter',
    [
      '--target',
      pid,
      '--net',
      '--mount',
      'setpriv',
      '--reuid',
      NOBODY,
      '--regid',
      NOBODY,
      '--clear-groups',
      ...command,
    ],
    { maxBuffer: 16 * 1_024 * 1_024, timeout: 120_000 },
  );
  return stdout;
}

/** Puts a program of ours among the files of a pod's application, which sees none of the host's. */
export async function copyToPod(mesh: string, podUid: string, file: string, to: string): Promise<void> {
  const pid = applicationProcess(`weft-${mesh}-p-${podUid.slice(0, 8)}`);
  const copying = run('nsenter', ['--target', pid, '--mount', 'sh', '-c', `cat > ${to} && chmod 755 ${to}`]);
  createReadStream(file).pipe(copying.child.stdin ?? assert.fail('no stdin'));
  await copying;
}
