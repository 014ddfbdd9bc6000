import { type DynamicLibraryResult, dlopen, getInt32 } from 'node:ffi';
import { getSystemErrorMap } from 'node:util';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { type DecodedMessage, decodeMessages, hostU16, hostU32 } from './attributes.ts';

/**
 * A netlink socket of the netfilter family through `node:ffi`: socket, bind, send, recv of the C library that Node itself runs on. The socket
 * belongs to the network namespace of this process. Nothing here waits: the kernel has answered a request before `send` returns.
 */

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_DONTWAIT = 0x40;
/** A refused transaction may bring one answer a message. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const DATAGRAM_BYTES_MAX = 256 * 1024;
/** A transaction is one datagram; about 100,000 rules. */
export const SEND_BYTES_MAX = 64 * 1024 * 1024;

const SIGNATURES = {
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  bind: { arguments: ['int32', 'buffer', 'uint32'], return: 'int32' },
  setsockopt: { arguments: ['int32', 'int32', 'int32', 'buffer', 'uint32'], return: 'int32' },
  send: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
  recv: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
  close: { arguments: ['int32'], return: 'int32' },
  __errno_location: { arguments: [], return: 'pointer' },
} as const;

export interface SystemCallError {
  readonly kind: 'system-call';
  readonly call: string;
  readonly code: string;
  readonly message: string;
}

/** The name and text of an errno, from Node's own table. */
export function describeErrno(errno: number): { code: string; text: string } {
  const known = getSystemErrorMap().get(-errno);
  return known === undefined ? { code: `errno ${errno}`, text: 'unknown error' } : { code: known[0], text: known[1] };
}

let library: DynamicLibraryResult<typeof SIGNATURES> | undefined;

/** Without a path: the symbols of the running program, which is the C library, be it glibc or musl. */
function libc(): DynamicLibraryResult<typeof SIGNATURES>['functions'] {
  library ??= dlopen(null, SIGNATURES);
  return library.functions;
}

function failure(call: string): SystemCallError {
  const { code, text } = describeErrno(getInt32(libc().__errno_location()));
  return { kind: 'system-call', call, code, message: `${call}: ${text} (${code})` };
}

export interface NetlinkSocket {
  /** Sends one datagram and answers every message the kernel has queued for it. */
  request(datagram: Buffer): Result<DecodedMessage[], SystemCallError>;
  close(): void;
}

function enlargeBuffer(fd: number, force: number, plain: number, bytes: number): void {
  // The forced variant passes the sysctl limit and needs CAP_NET_ADMIN; without it the plain one does what it can.
  if (libc().setsockopt(fd, SOL_SOCKET, force, hostU32(bytes), 4) !== 0)
    libc().setsockopt(fd, SOL_SOCKET, plain, hostU32(bytes), 4);
}

function receiveAll(fd: number): Result<DecodedMessage[], SystemCallError> {
  const buffer = Buffer.allocUnsafe(DATAGRAM_BYTES_MAX);
  const messages: DecodedMessage[] = [];
  for (;;) {
    const bytes = Number(libc().recv(fd, buffer, BigInt(buffer.length), MSG_DONTWAIT));
    if (bytes < 0) {
      const error = failure('recv');
      return error.code === 'EAGAIN' ? ok(messages) : err(error);
    }
    const decoded = decodeMessages(Buffer.from(buffer.subarray(0, bytes)));
    if (decoded === undefined)
      return err({ kind: 'system-call', call: 'recv', code: 'EBADMSG', message: 'recv: malformed netlink message' });
    messages.push(...decoded);
  }
}

/** Opens a socket to the kernel's netfilter in this process's network namespace. */
export function openNetfilterSocket(): Result<NetlinkSocket, SystemCallError> {
  const fd = libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) return err(failure('socket'));
  const address = Buffer.concat([hostU16(AF_NETLINK), Buffer.alloc(10)]);
  if (libc().bind(fd, address, address.length) !== 0) {
    const error = failure('bind');
    libc().close(fd);
    return err(error);
  }
  enlargeBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
  // Errors without the whole request, but with the kernel's own words: both optional, older kernels lack them.
  libc().setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, hostU32(1), 4);
  libc().setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, hostU32(1), 4);
  return ok({
    request: (datagram) => {
      // The kernel charges its own bookkeeping on top of the bytes.
      enlargeBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, datagram.length + 64 * 1024);
      const sent = Number(libc().send(fd, datagram, BigInt(datagram.length), 0));
      return sent < 0 ? err(failure('send')) : receiveAll(fd);
    },
    close: () => {
      libc().close(fd);
    },
  });
}
