/**
 * The launcher: becomes the container. Started by the agent as process 1 of a new PID namespace, it enters the pod's network, builds the
 * container's view of the file system, gives up every right that the container must not have, and replaces itself by the program.
 *
 * usage: node launch.ts <plan.json>; on failure it writes one line to file descriptor 3, which is closed when the program starts.
 */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { filterSyscalls } from '../node/seccomp.ts';
import * as sys from '../node/syscalls.ts';
import type { Bind, ExecPlan, LaunchPlan, ProcessPlan } from './launch-plan.ts';
import { DEFAULT_PATH } from './launch-plan.ts';

const REPORT_FD = 3;
const OLD_ROOT = '/.weft-old';
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** An overlay of the image's root: the container sees the host's files and writes to its own tmpfs. */
function mountRoot(plan: LaunchPlan): string {
  const [upper, work, root] = ['upper', 'work', 'root'].map((name) => join(plan.scratch, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [upper, work, root]) mkdirSync(path, { recursive: true, mode: 0o755 });
  chmodSync(upper, 0o755);
  sys.mount('overlay', root, 'overlay', 0, `lowerdir=${plan.lowerRoot},upperdir=${upper},workdir=${work}`);
  return root;
}

function enterRoot(root: string): void {
  mkdirSync(join(root, OLD_ROOT), { mode: 0o700 });
  sys.pivotRoot(root, join(root, OLD_ROOT));
  process.chdir('/');
}

function tmpfs(path: string, mode: string, flags = 0): void {
  mkdirSync(path, { recursive: true });
  sys.mount('tmpfs', path, 'tmpfs', sys.MS_NOSUID | sys.MS_NODEV | flags, `mode=${mode},size=256m`);
}

function mountSystem(plan: LaunchPlan): void {
  for (const path of ['/proc', '/sys', '/dev']) mkdirSync(path, { recursive: true });
  sys.mount('proc', '/proc', 'proc', sys.MS_NOSUID | sys.MS_NODEV | sys.MS_NOEXEC);
  sys.mount('sysfs', '/sys', 'sysfs', sys.MS_NOSUID | sys.MS_NODEV | sys.MS_NOEXEC | sys.MS_RDONLY);
  sys.mount('tmpfs', '/dev', 'tmpfs', sys.MS_NOSUID, 'mode=755,size=64k');
  for (const name of DEVICES) {
    writeFileSync(`/dev/${name}`, '');
    sys.mount(`${OLD_ROOT}/dev/${name}`, `/dev/${name}`, '', sys.MS_BIND);
  }
  mkdirSync('/dev/shm');
  tmpfs('/dev/shm', '1777');
  symlinkSync('/proc/self/fd', '/dev/fd');
  for (const [fd, name] of ['stdin', 'stdout', 'stderr'].entries()) symlinkSync(`/proc/self/fd/${fd}`, `/dev/${name}`);
  const readOnly = plan.readOnlyRoot ? sys.MS_RDONLY : 0;
  // The host's temporary and runtime files are none of the container's business. Kubernetes images have empty ones.
  for (const [path, mode] of [
    ['/tmp', '1777'],
    ['/var/tmp', '1777'],
    ['/run', '755'],
  ] as const) {
    if (plan.tmpfs.includes(path)) continue;
    // Mount points below /run must be made before it turns read-only.
    tmpfs(path, mode, path === '/run' ? 0 : readOnly);
  }
  for (const path of plan.tmpfs) tmpfs(path, '1777');
}

function mountBind(bind: Bind): void {
  const source = `${OLD_ROOT}${bind.source}`;
  if (isDirectory(source)) mkdirSync(bind.target, { recursive: true });
  else {
    mkdirSync(dirname(bind.target), { recursive: true });
    if (!exists(bind.target)) writeFileSync(bind.target, '');
  }
  sys.mount(source, bind.target, '', sys.MS_BIND | sys.MS_REC);
  // A bind takes its flags only in a second step (mount(2), MS_REMOUNT | MS_BIND).
  if (bind.readOnly) sys.mount('', bind.target, '', sys.MS_REMOUNT | sys.MS_BIND | sys.MS_RDONLY);
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function writeFiles(plan: LaunchPlan): void {
  for (const file of plan.files) {
    mkdirSync(dirname(file.path), { recursive: true });
    // On many hosts /etc/resolv.conf is a link into /run: the container gets a file of its own.
    rmSync(file.path, { force: true });
    writeFileSync(file.path, file.content, { mode: 0o644 });
  }
}

function buildContainer(plan: LaunchPlan): void {
  sys.enterNamespace(plan.networkNamespace, sys.CLONE_NEWNET);
  sys.unshare(sys.CLONE_NEWNS | sys.CLONE_NEWUTS | sys.CLONE_NEWIPC);
  sys.mount('none', '/', '', sys.MS_REC | sys.MS_PRIVATE);
  process.umask(0o022);
  enterRoot(mountRoot(plan));
  mountSystem(plan);
  writeFiles(plan);
  // Outer mount points first, so that a volume inside another volume is not covered by it.
  for (const bind of [...plan.binds].sort((a, b) => a.target.length - b.target.length)) mountBind(bind);
  sys.unmount(OLD_ROOT);
  rmdirSync(OLD_ROOT);
  if (plan.readOnlyRoot) {
    sys.mount('', '/', '', sys.MS_REMOUNT | sys.MS_BIND | sys.MS_RDONLY);
    if (!plan.tmpfs.includes('/run')) sys.mount('', '/run', '', sys.MS_REMOUNT | sys.MS_BIND | sys.MS_RDONLY);
  }
  sys.setHostname(plan.hostname);
}

function joinContainer(plan: ExecPlan): void {
  const namespace = (name: string): string => `/proc/${plan.targetPid}/ns/${name}`;
  sys.enterNamespace(namespace('net'), sys.CLONE_NEWNET);
  sys.enterNamespace(namespace('uts'), sys.CLONE_NEWUTS);
  sys.enterNamespace(namespace('ipc'), sys.CLONE_NEWIPC);
  // The process shares its file-system state with the worker pool; a mount namespace may be entered only alone.
  sys.unshare(sys.CLONE_NEWNS);
  sys.enterNamespace(namespace('mnt'), sys.CLONE_NEWNS);
}

/** execvp's search, done here because process.execve wants a path and because "not found" deserves a message. */
function resolveProgram(name: string, env: Readonly<Record<string, string>>): string {
  const candidates = name.includes('/')
    ? [name]
    : (env['PATH'] ?? DEFAULT_PATH).split(':').map((directory) => join(directory === '' ? '.' : directory, name));
  let denied = false;
  for (const path of candidates) {
    try {
      if (!statSync(path).isFile()) continue;
      accessSync(path, constants.X_OK);
      return path;
    } catch (error) {
      denied ||= error instanceof Error && 'code' in error && error.code === 'EACCES';
    }
  }
  throw new Error(
    `exec: ${JSON.stringify(name)}: ${denied ? 'permission denied' : 'executable file not found in $PATH'}`,
  );
}

function become(plan: ProcessPlan): never {
  sys.keepOnlyCapabilities(plan.capabilities);
  process.setgroups?.([...plan.groups]);
  process.setgid?.(plan.gid);
  process.setuid?.(plan.uid);
  sys.forbidNewPrivileges();
  // After the change of user, which clears it (prctl(2)).
  sys.dieWithParent();
  if (plan.seccomp) filterSyscalls();
  process.chdir(plan.workingDir);
  const [program] = plan.argv;
  if (program === undefined) throw new Error('no command: neither the image nor the container names one');
  const path = resolveProgram(program, plan.env);
  sys.restoreDefaultSignals();
  process.umask(0o022);
  if (process.execve === undefined) throw new Error('this Node has no process.execve');
  closeSync(REPORT_FD);
  return process.execve(path, [...plan.argv], { ...plan.env });
}

function main(): void {
  try {
    const plan: LaunchPlan | ExecPlan = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
    if (plan.kind === 'container') buildContainer(plan);
    else joinContainer(plan);
    become(plan.process);
  } catch (error) {
    try {
      writeSync(REPORT_FD, error instanceof Error ? error.message : String(error));
    } catch {
      // The agent is gone: nobody is left to tell.
    }
    process.exit(127);
  }
}

main();
