/** What the launcher does to become a container; written by the agent as one JSON file that only root can read. */
export interface LaunchPlan {
  readonly kind: 'container';
  readonly networkNamespace: string;
  /** The lower layer of the overlay that becomes `/`. */
  readonly lowerRoot: string;
  /** An empty folder on a tmpfs: upper layer, work folder and mount point are made in it. */
  readonly scratch: string;
  readonly hostname: string;
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly binds: readonly Bind[];
  readonly tmpfs: readonly string[];
  readonly readOnlyRoot: boolean;
  readonly process: ProcessPlan;
}

/** Joins a running container and runs a command there: exec probes and lifecycle hooks. */
export interface ExecPlan {
  readonly kind: 'exec';
  /** Process 1 of the container, as the agent sees it. */
  readonly targetPid: number;
  readonly process: ProcessPlan;
}

export interface Bind {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface ProcessPlan {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Capability numbers that survive; empty for every container but the injector's init container. */
  readonly capabilities: readonly number[];
  /** Whether the default profile of system calls is in force (`seccompProfile: RuntimeDefault`). */
  readonly seccomp: boolean;
}

/** Where the project and the Node binary appear inside containers, wherever they are on the host. */
export const PROJECT_IN_CONTAINER = '/opt/weft';
export const NODE_IN_CONTAINER = '/opt/weft-bin/node';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/weft-bin';
