import type { Socket } from 'node:net';
import { startTicksOf } from './process-start.ts';
import { fileDescriptor, socketOption } from './socket-options.ts';

/** unix(7): SO_PEERCRED answers with a struct ucred, of the moment at which the peer called connect(2). */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;

/** Who is at the other end of a Unix socket, by the kernel's word. */
export interface PeerCredentials {
  /** 0: of another PID namespace, whose processes we cannot see. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** When the process began, in clock ticks; undefined where it cannot be seen. */
  readonly startTicks: string | undefined;
}

export function peerCredentials(socket: Socket): PeerCredentials | undefined {
  const fd = fileDescriptor(socket);
  const answer = fd < 0 ? undefined : socketOption(fd, SOL_SOCKET, SO_PEERCRED, UCRED_BYTES);
  if (answer === undefined) return undefined;
  const [pid, uid, gid] = [answer.readInt32LE(0), answer.readUInt32LE(4), answer.readUInt32LE(8)];
  return { pid, uid, gid, startTicks: startTicksOf(pid) };
}
