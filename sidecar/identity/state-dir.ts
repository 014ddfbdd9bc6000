import { mkdirSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { err, ok, type Result } from '@weft/policies/kit/result';

/** statfs(2) f_type of tmpfs. */
const TMPFS_MAGIC = 0x0102_1994;

/** The files of one sidecar's state. */
type StateFile = 'key.pem' | 'chain.pem' | 'trust.pem' | 'snapshot.bin';

/**
 * The memory-backed volume of the proxy container: key, leaf and last good snapshot survive a restart of the
 * container, die with the pod, and never touch a disk.
 */
export class StateDir {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Refuses a folder on anything but tmpfs, unless `allowDisk`, which only a process outside a pod may ask for. */
  static open(path: string, allowDisk: boolean): Result<StateDir, string> {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      if (!allowDisk && statfsSync(path).type !== TMPFS_MAGIC) {
        return err(
          `${path} is not memory-backed: mount an emptyDir with medium Memory there, so that the key never touches a disk`,
        );
      }
    } catch (error) {
      return err(`${path} cannot be used: ${(error as Error).message}`);
    }
    return ok(new StateDir(path));
  }

  read(file: StateFile): Buffer | undefined {
    try {
      return readFileSync(join(this.path, file));
    } catch {
      return undefined;
    }
  }

  /** Whole or not at all: a reader never sees half a file. Undefined, or what went wrong. */
  write(file: StateFile, content: Uint8Array | string): string | undefined {
    const path = join(this.path, file);
    try {
      writeFileSync(`${path}.new`, content, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      return undefined;
    } catch (error) {
      // What was written of it takes room that the volume may not have.
      rmSync(`${path}.new`, { force: true });
      return `${path} cannot be written: ${(error as Error).message}`;
    }
  }
}
