import { dlopen, getRawPointer } from 'node:ffi';

/**
 * What a container runtime's default profile (`seccompProfile: RuntimeDefault`) keeps from programs without capabilities:
 * calls that change the machine, make namespaces, or have been ways out of containers. All others pass.
 */

/** Numbers by architecture: x64, arm64 (asm-generic); undefined where there is no such call. */
const DENIED: Readonly<Record<string, readonly [number, number | undefined]>> = {
  _sysctl: [156, undefined],
  acct: [163, 89],
  add_key: [248, 217],
  bpf: [321, 280],
  clock_adjtime: [305, 266],
  clock_settime: [227, 112],
  create_module: [174, undefined],
  delete_module: [176, 106],
  fanotify_init: [300, 262],
  finit_module: [313, 273],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  init_module: [175, 105],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  ioperm: [173, undefined],
  iopl: [172, undefined],
  kcmp: [312, 272],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  keyctl: [250, 219],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  move_pages: [279, 239],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  perf_event_open: [298, 241],
  pivot_root: [155, 41],
  quotactl: [179, 60],
  reboot: [169, 142],
  request_key: [249, 218],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  settimeofday: [164, 170],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  umount2: [166, 39],
  unshare: [272, 97],
  userfaultfd: [323, 282],
  vhangup: [153, 58],
};

interface Architecture {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly audit: number;
  readonly seccomp: number;
  readonly clone: number;
  readonly clone3: number;
  readonly column: 0 | 1;
}

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: { audit: 0xc000003e, seccomp: 317, clone: 56, clone3: 435, column: 0 },
  arm64: { audit: 0xc00000b7, seccomp: 277, clone: 220, clone3: 435, column: 1 },
};

/** Calls of the x32 ABI have this bit (seccomp(2), "Caveats"). */
const X32_BIT = 0x40000000;
/** CLONE_NEW* of all kinds. */
const NEW_NAMESPACES = 0x7e020000;
const EPERM = 1;
const ENOSYS = 38;

// Of struct seccomp_data: the number, the architecture, the low half of the first argument.
const NUMBER = 0;
const ARCHITECTURE = 4;
const FIRST_ARGUMENT = 16;

const RET_ALLOW = 0x7fff0000;
const RET_ERRNO = 0x00050000;

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

const load = (offset: number): Instruction => [0x20, 0, 0, offset];
const end = (value: number): Instruction => [0x06, 0, 0, value];
const fail = (errno: number): Instruction => end(RET_ERRNO | errno);
/** Skips the next instruction where it does not hold. */
const ifEqual = (value: number): Instruction => [0x15, 0, 1, value];
const ifAtLeast = (value: number): Instruction => [0x35, 0, 1, value];
const ifAnyBit = (bits: number): Instruction => [0x45, 0, 1, bits];

/** The filter as classic BPF (linux/filter.h), for an architecture of Node's names; undefined where none is known. */
export function defaultFilter(name: string): Buffer | undefined {
  const architecture = ARCHITECTURES[name];
  if (architecture === undefined) return undefined;
  const denied = Object.values(DENIED).flatMap((row) => row[architecture.column] ?? []);
  const instructions: readonly Instruction[] = [
    load(ARCHITECTURE),
    // Another architecture's calls have other numbers.
    [0x15, 1, 0, architecture.audit],
    fail(EPERM),
    load(NUMBER),
    ...(name === 'x64' ? [ifAtLeast(X32_BIT), fail(EPERM)] : []),
    ...denied.flatMap((number) => [ifEqual(number), fail(EPERM)]),
    // Its flags are in memory, where a filter cannot look: C libraries then take clone.
    ifEqual(architecture.clone3),
    fail(ENOSYS),
    [0x15, 0, 3, architecture.clone],
    load(FIRST_ARGUMENT),
    ifAnyBit(NEW_NAMESPACES),
    fail(EPERM),
    end(RET_ALLOW),
  ];
  const program = Buffer.alloc(instructions.length * 8);
  for (const [at, [code, jumpTrue, jumpFalse, value]] of instructions.entries()) {
    program.writeUInt16LE(code, at * 8);
    program.writeUInt8(jumpTrue, at * 8 + 2);
    program.writeUInt8(jumpFalse, at * 8 + 3);
    program.writeUInt32LE(value >>> 0, at * 8 + 4);
  }
  return program;
}

const SECCOMP_SET_MODE_FILTER = 1n;
/** Without the mitigation of Spectre that older kernels switch on for every filtered process: containers run our own programs here. */
const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4n;

/** Of the calling thread and what it becomes by execve; wants no_new_privs. */
export function filterSyscalls(): void {
  const program = defaultFilter(process.arch);
  const architecture = ARCHITECTURES[process.arch];
  if (program === undefined || architecture === undefined) throw new Error(`no seccomp filter for ${process.arch}`);
  const { functions } = dlopen(null, { syscall: { return: 'i64', arguments: ['i64', 'u64', 'u64', 'pointer'] } });
  // struct sock_fprog: a length in instructions, and after padding the address.
  const description = Buffer.alloc(16);
  description.writeUInt16LE(program.length / 8, 0);
  description.writeBigUInt64LE(getRawPointer(program), 8);
  const result = functions.syscall(
    BigInt(architecture.seccomp),
    SECCOMP_SET_MODE_FILTER,
    SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    getRawPointer(description),
  );
  if (result !== 0n) throw new Error('seccomp: the kernel refused the filter');
}
