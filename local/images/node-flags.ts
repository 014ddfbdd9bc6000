/**
 * How Node is started for each program that ships: what it may read, write and do besides (Node's permission model,
 * https://nodejs.org/api/permissions.html). One table for the images, the local mesh and `weft sidecar`.
 *
 * Nothing here may start a process, load a native addon or be debugged. What only one way of running needs (FFI, workers)
 * is dropped by the program itself once it knows which way it runs.
 */
export const PROGRAMS = ['sidecar', 'control-plane', 'injector'] as const;
export type ShippedProgram = (typeof PROGRAMS)[number];

interface Needs {
  readonly ffi?: boolean;
  readonly worker?: boolean;
  readonly read: readonly string[];
  readonly write?: readonly string[];
  /** Besides permissions. */
  readonly flags?: readonly string[];
}

/** Folders of mounts, as the injector and the chart make them. Others are allowed by NODE_OPTIONS=--allow-fs-read=... */
const MOUNTS = '/var/run/weft/*';
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/*';
const SYSTEM_TRUST = '/etc/ssl/certs/ca-certificates.crt';

const needs: Readonly<Record<ShippedProgram, Needs>> = {
  sidecar: {
    // getsockopt(SO_ORIGINAL_DST), malloc_trim, tgkill, statx.
    ffi: true,
    // Data threads, with a concurrency above 1.
    worker: true,
    // Limits of memory and descriptors: the overload monitor. Of folders below /proc none in which there are links.
    read: [
      MOUNTS,
      SYSTEM_TRUST,
      ...['cgroup', 'limits', 'fdinfo'].map((name) => `/proc/self/${name}`),
      '/sys/fs/cgroup/*',
    ],
    // The Workload API's socket, where it is switched on.
    write: [
      '/var/run/weft/state',
      '/var/run/weft/state/*',
      '/var/run/weft/workload-api',
      '/var/run/weft/workload-api/*',
    ],
    // Of V8's worker threads a sidecar gets one: each costs memory in every pod, and a sidecar has a fraction of a core.
    // V8's collection to save memory, 8 s after another unless there is much to do, clears the maps of objects that live as
    // long as a request, and throws away the code that was compiled for them: docs/decisions/025-code-outlives-a-pause.md.
    // So that a request does not wait for V8's other thread: less is inlined into a function, which is sooner compiled; the
    // first full collection is not in the first seconds (its limit is what V8 itself comes to after one); TurboFan rests for
    // 5 ms before each function, so that what has queued up meanwhile is served; and no scavenge needs a thread that may
    // have a lower priority: docs/decisions/027-requests-before-the-compiler.md.
    flags: [
      '--v8-pool-size=1',
      '--memory-reducer-delay-ms=600000',
      '--max-inlined-bytecode-size-cumulative=300',
      '--initial-old-space-size=32',
      '--concurrent-recompilation-delay=5',
      '--no-parallel-scavenge',
    ],
  },
  // Both only for a signing key on a token (PKCS#11).
  'control-plane': { ffi: true, worker: true, read: [MOUNTS, SERVICE_ACCOUNT, SYSTEM_TRUST] },
  // Netlink, for the init container.
  injector: { ffi: true, read: [SERVICE_ACCOUNT] },
};

/** Flags of every process of ours, whatever it does. */
const COMMON_FLAGS = [
  '--experimental-ffi',
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=16',
] as const;

export interface Where {
  /** Files and folders (`/folder/*`) that hold the code. */
  readonly code: readonly string[];
  /** The folder that has `sidecar/openssl.cnf`. */
  readonly root: string;
  readonly read?: readonly string[];
  readonly write?: readonly string[];
}

export function nodeFlags(program: ShippedProgram, where: Where): readonly string[] {
  const { ffi, worker, read, write = [], flags = [] } = needs[program];
  return [
    ...COMMON_FLAGS,
    ...flags,
    ...(program === 'sidecar' ? [`--openssl-config=${where.root}/sidecar/openssl.cnf`] : []),
    '--permission',
    '--allow-net',
    // Node warns that these two could be used to get round the model: docs/threat-model.md says what is left.
    ...(ffi === true ? ['--allow-ffi', '--disable-warning=PERM0003'] : []),
    ...(worker === true ? ['--allow-worker', '--disable-warning=PERM0006'] : []),
    ...[...where.code, ...read, ...(where.read ?? [])].map((path) => `--allow-fs-read=${path}`),
    ...[...write, ...(where.write ?? [])].map((path) => `--allow-fs-write=${path}`),
  ];
}

/** Code as it lies in the repository and in the npm package: the program's own folder and what it imports. */
export const projectCode = (root: string, program: ShippedProgram): readonly string[] => [
  `${root}/package.json`,
  ...[program, 'policies', 'node_modules'].map((folder) => `${root}/${folder}/*`),
];

const PLACEHOLDER = /^\{flags:(.+)\}$/;

/** Fills `{flags:<program>}` of an entry point in the image table. */
export function withFlags(word: string): readonly string[] {
  const name = PLACEHOLDER.exec(word)?.[1];
  const program = PROGRAMS.find((each) => each === name);
  return program === undefined
    ? [word]
    : nodeFlags(program, { code: projectCode('{project}', program), root: '{project}' });
}
