import { dlopen, getRawPointer } from 'node:ffi';
import { readdirSync } from 'node:fs';

/** Of linux/fcntl.h and linux/stat.h. */
const AT_FDCWD = -100;
const STATX_SIZE = 0x200;
/** `struct statx` is the same on every architecture. */
const STATX_BYTES = 256;
const STX_SIZE_OFFSET = 40;

const FOLDER = Buffer.from('/proc/self/fd\0', 'latin1');

/**
 * Counts the open descriptors of the process. Since Linux 6.2 their number is the size of a folder (proc_pid_fd(5)), which
 * is asked for by statx(2): whoever may read that folder by the runtime's own functions may read what is below it, and a
 * descriptor of a folder leads to all that is above. Before 6.2, and without the right to native functions, their
 * descriptions are counted.
 */
export function descriptorCounter(): () => number {
  const size = folderSize();
  return () => {
    const count = size();
    return count > 0 ? count : readdirSync('/proc/self/fdinfo').length;
  };
}

/** 0: not known. */
function folderSize(): () => number {
  try {
    const { functions } = dlopen(null, {
      statx: { return: 'int32', arguments: ['int32', 'pointer', 'int32', 'uint32', 'pointer'] },
    });
    const answer = Buffer.allocUnsafeSlow(STATX_BYTES);
    const [path, pointer] = [getRawPointer(FOLDER), getRawPointer(answer)];
    return () =>
      functions.statx(AT_FDCWD, path, 0, STATX_SIZE, pointer) === 0
        ? Number(answer.readBigUInt64LE(STX_SIZE_OFFSET))
        : 0;
  } catch {
    return () => 0;
  }
}
