import type { Socket } from 'node:net';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { SocketAddress } from '@weft/policies/model/address';
import { canonicalIp, socketIp } from './addresses.ts';
import { fileDescriptor, socketOption } from './socket-options.ts';

/** linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h: the same number at two levels. */
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;
function v6Text(memory: Buffer): string {
  let text = memory.readUInt16BE(8).toString(16);
  for (let at = 10; at < 24; at += 2) text += `:${memory.readUInt16BE(at).toString(16)}`;
  return canonicalIp(text) ?? text;
}

function ask(fd: number, v6: boolean): SocketAddress | undefined {
  const bytes = v6 ? SOCKADDR_IN6_BYTES : SOCKADDR_IN_BYTES;
  const memory = socketOption(fd, v6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, bytes);
  if (memory === undefined) return undefined;
  const port = memory.readUInt16BE(2);
  // sockaddr_in has the address behind the port, sockaddr_in6 behind the flow information.
  return { ip: v6 ? v6Text(memory) : `${memory[4]}.${memory[5]}.${memory[6]}.${memory[7]}`, port };
}

type OriginalDestination =
  | { readonly kind: 'redirected'; readonly address: SocketAddress }
  /** No translation happened: the connection came to this address itself. */
  | { readonly kind: 'direct'; readonly address: SocketAddress };

/**
 * Where a connection was going before it was redirected here. Call it while the socket is open, best as soon as it is
 * accepted. A connection that nothing redirected has its own address as destination; on a port of the proxy that is a
 * direct hit, which must be refused, or it would be forwarded to the proxy itself without end.
 */
export function originalDestination(socket: Socket): Result<OriginalDestination, string> {
  const fd = fileDescriptor(socket);
  const localIp = socketIp(socket.localAddress);
  if (fd < 0 || localIp === '') return err('the socket was closed before its original destination was read');
  const local: SocketAddress = { ip: localIp, port: socket.localPort ?? 0 };
  const original = ask(fd, localIp.includes(':'));
  if (original === undefined || (original.ip === local.ip && original.port === local.port)) {
    return ok({ kind: 'direct', address: local });
  }
  return ok({ kind: 'redirected', address: original });
}
