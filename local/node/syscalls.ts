import { dlopen, getInt32 } from 'node:ffi';
import { closeSync, openSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';

/**
 * The few Linux system calls that Node does not offer and a container needs: namespaces, mounts, capabilities, pipes. They act on
 * the calling thread, which is the main thread; worker-pool threads keep their old view, so callers use synchronous `fs` after them.
 */

export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWUTS = 0x04000000;
export const CLONE_NEWIPC = 0x08000000;
const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_REC = 16384;
export const MS_PRIVATE = 1 << 18;

export const MNT_DETACH = 2;

const PR_SET_PDEATHSIG = 1;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const CAPABILITY_LAST = 40;
const SIGPIPE = 13;
const SIGXFSZ = 25;
const O_CLOEXEC = 0o2000000;

const SYS_PIVOT_ROOT: Readonly<Record<string, number>> = { x64: 155, arm64: 41 };

const library = dlopen(null, {
  setns: { return: 'i32', arguments: ['i32', 'i32'] },
  unshare: { return: 'i32', arguments: ['i32'] },
  mount: { return: 'i32', arguments: ['string', 'string', 'string', 'u64', 'string'] },
  umount2: { return: 'i32', arguments: ['string', 'i32'] },
  syscall: { return: 'i64', arguments: ['i64', 'string', 'string'] },
  prctl: { return: 'i32', arguments: ['i32', 'u64', 'u64', 'u64', 'u64'] },
  sethostname: { return: 'i32', arguments: ['string', 'u64'] },
  signal: { return: 'u64', arguments: ['i32', 'u64'] },
  setsockopt: { return: 'i32', arguments: ['i32', 'i32', 'i32', 'buffer', 'u32'] },
  pipe2: { return: 'i32', arguments: ['buffer', 'i32'] },
  __errno_location: { return: 'pointer', arguments: [] },
});

const libc = library.functions;

// The address is fetched once: another FFI call between a failure and the read would clear the value.
const errnoAddress = libc.__errno_location();

/** The errno of the call just made; read at once, before anything else can call into libc. */
function errno(): number {
  return getInt32(errnoAddress, 0);
}

class SyscallError extends Error {
  constructor(call: string, code: number) {
    super(`${call}: ${getSystemErrorMap().get(-code)?.[1] ?? `errno ${code}`}`);
    this.name = 'SyscallError';
  }
}

function check(result: number | bigint, call: string): void {
  if (Number(result) < 0) throw new SyscallError(call, errno());
}

const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;

/** How long sent bytes may stay unacknowledged before the kernel gives a connection up (tcp(7)); keepalive only looks at idle ones. */
export function setTcpUserTimeout(fd: number, timeoutMs: number): void {
  const value = Buffer.alloc(4);
  value.writeUInt32LE(timeoutMs);
  check(libc.setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value, value.length), 'setsockopt TCP_USER_TIMEOUT');
}

export function enterNamespace(path: string, kind: number): void {
  const fd = openSync(path, 'r');
  try {
    check(libc.setns(fd, kind), `setns ${path}`);
  } finally {
    closeSync(fd);
  }
}

export function unshare(flags: number): void {
  check(libc.unshare(flags), 'unshare');
}

export function mount(source: string, target: string, type: string, flags: number, options = ''): void {
  check(libc.mount(source, target, type, BigInt(flags), options), `mount ${type || source} on ${target}`);
}

export function unmount(target: string, flags = MNT_DETACH): void {
  check(libc.umount2(target, flags), `umount ${target}`);
}

export function pivotRoot(newRoot: string, oldRoot: string): void {
  const number = SYS_PIVOT_ROOT[process.arch];
  if (number === undefined) throw new Error(`no pivot_root number for ${process.arch}`);
  check(libc.syscall(BigInt(number), newRoot, oldRoot), `pivot_root ${newRoot}`);
}

export function setHostname(name: string): void {
  check(libc.sethostname(name, BigInt(Buffer.byteLength(name))), 'sethostname');
}

/** The kernel sends SIGKILL when the thread that started us ends: a container never outlives its agent. */
export function dieWithParent(): void {
  check(libc.prctl(PR_SET_PDEATHSIG, 9n, 0n, 0n, 0n), 'prctl pdeathsig');
}

/** capabilities(7): what is not in the bounding set cannot come back by execve, whatever the file says. */
export function keepOnlyCapabilities(kept: readonly number[]): void {
  for (let capability = 0; capability <= CAPABILITY_LAST; capability++) {
    if (!kept.includes(capability)) libc.prctl(PR_CAPBSET_DROP, BigInt(capability), 0n, 0n, 0n);
  }
  libc.prctl(PR_CAP_AMBIENT, BigInt(PR_CAP_AMBIENT_CLEAR_ALL), 0n, 0n, 0n);
}

export function forbidNewPrivileges(): void {
  check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n), 'prctl no_new_privs');
}

/** Node ignores these two, and an ignored signal stays ignored over execve: programs expect the default. */
export function restoreDefaultSignals(): void {
  libc.signal(SIGPIPE, 0n);
  libc.signal(SIGXFSZ, 0n);
}

/**
 * A real pipe. Node's own `stdio: 'pipe'` is a socket pair, which a program cannot open again through /dev/stdout, as nginx does.
 */
export function pipe(): { readonly readFd: number; readonly writeFd: number } {
  const fds = Buffer.alloc(8);
  check(libc.pipe2(fds, O_CLOEXEC), 'pipe2');
  return { readFd: fds.readInt32LE(0), writeFd: fds.readInt32LE(4) };
}

/** Runs `start` so that the first process it forks becomes process 1 of a new PID namespace: when that one ends, all of it ends. */
export function inNewPidNamespace<T>(start: () => T): T {
  unshare(CLONE_NEWPID);
  try {
    return start();
  } finally {
    enterNamespace('/proc/self/ns/pid', CLONE_NEWPID);
  }
}

/** Runs `start` so that what it forks is in the PID namespace of a running process. */
export function inPidNamespaceOf<T>(pid: number, start: () => T): T {
  enterNamespace(`/proc/${pid}/ns/pid`, CLONE_NEWPID);
  try {
    return start();
  } finally {
    enterNamespace('/proc/self/ns/pid', CLONE_NEWPID);
  }
}

/** Runs `work` with this thread in another network namespace; `work` must be synchronous. */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  const home = openSync('/proc/self/ns/net', 'r');
  try {
    enterNamespace(path, CLONE_NEWNET);
    try {
      return work();
    } finally {
      check(libc.setns(home, CLONE_NEWNET), 'setns back');
    }
  } finally {
    closeSync(home);
  }
}
