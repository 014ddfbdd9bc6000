import { dlopen, getRawPointer } from 'node:ffi';
import type { Duplex } from 'node:stream';
import { fileDescriptor } from './original-dst.ts';

/** asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_LINGER = 13;
/** struct linger { int l_onoff; int l_linger; } */
const LINGER_BYTES = 8;

type SetSockOpt = (fd: number, level: number, option: number, value: bigint, length: number) => number;

interface Door {
  readonly setsockopt: SetSockOpt;
  /** Kept for ever, since the kernel reads at its address. */
  readonly memory: Buffer;
  readonly pointer: bigint;
}

let door: Door | undefined;

function open(): Door {
  if (door !== undefined) return door;
  const { functions } = dlopen(null, {
    setsockopt: { return: 'int32', arguments: ['int32', 'int32', 'int32', 'pointer', 'uint32'] },
  });
  const memory = Buffer.allocUnsafeSlow(LINGER_BYTES);
  memory.writeInt32LE(1, 0);
  memory.writeInt32LE(0, 4);
  door = { setsockopt: functions.setsockopt, memory, pointer: getRawPointer(memory) };
  return door;
}

/**
 * Closes a connection with RST: what was sent is not the whole, and its receiver must not take it for that. The runtime
 * can do so for plain sockets only; a TLS connection that ends with FIN and no close_notify (RFC 8446 section 6.1) looks
 * whole to many receivers, the runtime's own among them. socket(7): closing with a linger time of zero resets.
 */
export function resetConnection(socket: Duplex): void {
  if (socket.destroyed) return;
  const fd = fileDescriptor(socket);
  if (fd >= 0) {
    const { setsockopt, pointer } = open();
    setsockopt(fd, SOL_SOCKET, SO_LINGER, pointer, LINGER_BYTES);
  }
  socket.destroy();
}
