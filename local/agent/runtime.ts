import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fchownSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { errorText } from '@weft/policies/kit/error-text';
import { inNewPidNamespace, inPidNamespaceOf, pipe } from '../node/syscalls.ts';
import type { ExecPlan, LaunchPlan } from './launch-plan.ts';
import type { LogFile } from './log-file.ts';

export interface ExitStatus {
  readonly exitCode: number;
  readonly signal?: number;
}

export interface RunningContainer {
  readonly pid: number;
  readonly startedAt: string;
  readonly exited: Promise<ExitStatus>;
  signal(name: NodeJS.Signals): void;
}

type LaunchResult =
  | { readonly ok: true; readonly container: RunningContainer }
  | { readonly ok: false; readonly message: string };

export interface ExecResult {
  readonly exitCode: number;
  readonly output: string;
  readonly timedOut: boolean;
}

const LAUNCHER = fileURLToPath(new URL(`./launch${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
const NODE_FLAGS = ['--experimental-ffi', '--disable-warning=ExperimentalWarning', '--max-semi-space-size=1'];
const LAUNCH_MS_MAX = 20_000;
const EXEC_OUTPUT_BYTES_MAX = 10_240;

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGTERM: 15,
};

function exitOf(child: ChildProcess): Promise<ExitStatus> {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ exitCode: 128 }));
    child.once('exit', (code, signal) => {
      if (signal === null) return resolve({ exitCode: code ?? 0 });
      const number = SIGNAL_NUMBERS[signal] ?? 0;
      resolve({ exitCode: 128 + number, signal: number });
    });
  });
}

/** What the launcher writes to descriptor 3: nothing when the program took over, else the reason why not. */
function launchReport(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    const stream = child.stdio[3];
    if (stream === undefined || stream === null || !('on' in stream)) return resolve('no report pipe');
    let report = '';
    const timer = setTimeout(() => resolve(`not started in ${LAUNCH_MS_MAX} ms`), LAUNCH_MS_MAX);
    stream.on('data', (chunk: Buffer) => {
      report = (report + chunk.toString('utf8')).slice(0, 2048);
    });
    const finish = (): void => {
      clearTimeout(timer);
      resolve(report);
    };
    stream.on('end', finish);
    stream.on('error', finish);
    child.once('error', (error) => {
      clearTimeout(timer);
      resolve(error.message);
    });
  });
}

function openOutput(uid: number, gid: number): { readonly writeFd: number; readonly stream: Readable } {
  const { readFd, writeFd } = pipe();
  // A program that opens /dev/stdout anew needs the right to: the pipe belongs to its user.
  fchownSync(writeFd, uid, gid);
  return { writeFd, stream: new Socket({ fd: readFd, readable: true, writable: false }) };
}

/** Starts a container; resolves when its program runs, or with the reason why it does not. */
export async function launchContainer(plan: LaunchPlan, planFile: string, log: LogFile): Promise<LaunchResult> {
  writeFileSync(planFile, JSON.stringify(plan), { mode: 0o600 });
  const out = openOutput(plan.process.uid, plan.process.gid);
  const err = openOutput(plan.process.uid, plan.process.gid);
  let child: ChildProcess;
  try {
    child = inNewPidNamespace(() =>
      spawn(process.execPath, [...NODE_FLAGS, LAUNCHER, planFile], {
        cwd: '/',
        env: {},
        stdio: ['ignore', out.writeFd, err.writeFd, 'pipe'],
        // A session of its own, so that a terminal's Ctrl-C reaches the agent and not the containers.
        detached: true,
      }),
    );
  } finally {
    closeSync(out.writeFd);
    closeSync(err.writeFd);
  }
  log.follow(out.stream, 'stdout');
  log.follow(err.stream, 'stderr');
  const exited = exitOf(child);
  const report = await launchReport(child);
  if (report !== '' || child.pid === undefined) {
    child.kill('SIGKILL');
    await exited;
    return { ok: false, message: report };
  }
  return {
    ok: true,
    container: {
      pid: child.pid,
      startedAt: new Date().toISOString(),
      exited,
      signal: (name) => {
        child.kill(name);
      },
    },
  };
}

let execSequence = 0;

/** Runs a command inside a running container and collects its output, bounded in time and bytes. */
export async function execInContainer(plan: ExecPlan, timeoutMs: number): Promise<ExecResult> {
  execSequence += 1;
  const planFile = join(tmpdir(), `.weft-exec-${process.pid}-${execSequence}.json`);
  writeFileSync(planFile, JSON.stringify(plan), { mode: 0o600 });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(0, EXEC_OUTPUT_BYTES_MAX);
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    const child = inPidNamespaceOf(plan.targetPid, () =>
      spawn(process.execPath, [...NODE_FLAGS, LAUNCHER, planFile], {
        cwd: '/',
        env: {},
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
        detached: true,
      }),
    );
    let timedOut = false;
    timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    const [report, exit] = await Promise.all([launchReport(child), exitOf(child)]);
    return { exitCode: exit.exitCode, output: report === '' ? output : report, timedOut };
  } catch (error) {
    return { exitCode: 126, output: errorText(error), timedOut: false };
  } finally {
    clearTimeout(timer);
    rmSync(planFile, { force: true });
  }
}
