import { dlopen, getRawPointer } from 'node:ffi';
import type { Duplex } from 'node:stream';

/** The largest option that is asked for is a sockaddr_in6. */
const OPTION_BYTES_MAX = 64;
const LENGTH_BYTES = 4;

interface Door {
  readonly getsockopt: (fd: number, level: number, option: number, value: bigint, length: bigint) => number;
  readonly setsockopt: (fd: number, level: number, option: number, value: bigint, length: number) => number;
  /** The kernel reads and writes here: the value, then its length. Kept for ever, since its address is. */
  readonly memory: Buffer;
  readonly pointer: bigint;
}

let door: Door | undefined;

/** At the first use, or before the process gives up the right to. */
export function openSocketOptions(): Door {
  if (door !== undefined) return door;
  const { functions } = dlopen(null, {
    getsockopt: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer', 'pointer'] },
    setsockopt: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer', 'uint32'] },
  });
  const memory = Buffer.allocUnsafeSlow(OPTION_BYTES_MAX + LENGTH_BYTES);
  door = { ...functions, memory, pointer: getRawPointer(memory) };
  return door;
}

/** The file descriptor of a connected socket, also below TLS; -1 if there is none. The runtime has no public way to it. */
export function fileDescriptor(socket: Duplex): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null) return -1;
  const fd: unknown = Reflect.get(handle, 'fd');
  return typeof fd === 'number' ? fd : -1;
}

/** What getsockopt(2) answers, in memory that the next call uses again; undefined if the kernel refuses. */
export function socketOption(fd: number, level: number, option: number, bytes: number): Buffer | undefined {
  const { getsockopt, memory, pointer } = openSocketOptions();
  memory.writeUInt32LE(bytes, OPTION_BYTES_MAX);
  return getsockopt(fd, level, option, pointer, pointer + BigInt(OPTION_BYTES_MAX)) === 0 ? memory : undefined;
}

/** setsockopt(2) of an option that is made of two ints. */
export function setSocketOption(fd: number, level: number, option: number, first: number, second: number): void {
  const { setsockopt, memory, pointer } = openSocketOptions();
  memory.writeInt32LE(first, 0);
  setsockopt(fd, level, option, pointer, memory.writeInt32LE(second, 4));
}
