import { isIPv4, isIPv6, type Socket } from 'node:net';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { SocketAddress } from '@weft/policies/model/address';
import { canonicalIp } from '../net/addresses.ts';
import type { Deadlines, Timed } from '../net/deadlines.ts';

/** The PROXY protocol of HAProxy, versions 1 and 2 (proxy-protocol.txt, sections 2.1 and 2.2). */
interface ProxyHeader {
  /** Undefined: LOCAL or UNKNOWN; the addresses of the connection itself count. */
  readonly addresses: { readonly source: SocketAddress; readonly destination: SocketAddress } | undefined;
  /** Length of the header: what follows is the client's. */
  readonly bytes: number;
}

const SIGNATURE_V2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const SIGNATURE_V1 = Buffer.from('PROXY ', 'latin1');
const FIXED_BYTES_V2 = 16;
/** Section 2.1: the longest line, CRLF included. */
const LINE_BYTES_MAX_V1 = 107;

/** The header at the beginning of these bytes; `more` while it is not complete. */
export function parseProxyHeader(bytes: Buffer): Result<ProxyHeader, string> | 'more' {
  if (beginsWith(bytes, SIGNATURE_V2)) return bytes.length < FIXED_BYTES_V2 ? 'more' : parseV2(bytes);
  if (!beginsWith(bytes, SIGNATURE_V1)) return err('the connection does not begin with a PROXY protocol header');
  const end = bytes.indexOf('\r\n', 0, 'latin1');
  if (end === -1) return bytes.length < LINE_BYTES_MAX_V1 ? 'more' : err('the PROXY line does not end');
  if (end + 2 > LINE_BYTES_MAX_V1) return err('the PROXY line is too long');
  return parseV1(bytes.toString('latin1', 0, end), end + 2);
}

/** As far as there are bytes to compare. */
function beginsWith(bytes: Buffer, signature: Buffer): boolean {
  const compared = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, compared, 0, compared) === 0;
}

function parseV1(line: string, bytes: number): Result<ProxyHeader, string> {
  const [, family, source = '', destination = '', sourcePort = '', destinationPort = '', more] = line.split(' ');
  // Section 2.1: what follows UNKNOWN is to be ignored.
  if (family === 'UNKNOWN') return ok({ addresses: undefined, bytes });
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : undefined;
  if (isAddress === undefined) return err(`the PROXY line has family "${family ?? ''}"`);
  if (more !== undefined) return err('the PROXY line has more than six words');
  const ports = [portOf(sourcePort), portOf(destinationPort)];
  const [from, to] = ports;
  if (from === undefined || to === undefined) return err('the PROXY line has a port that is none');
  if (!isAddress(source) || !isAddress(destination)) return err('the PROXY line has an address that is none');
  return ok({
    addresses: {
      source: { ip: canonicalIp(source) ?? source, port: from },
      destination: { ip: canonicalIp(destination) ?? destination, port: to },
    },
    bytes,
  });
}

const isPlainIPv6 = (text: string): boolean => isIPv6(text) && !text.includes('%');

/** Section 2.1: decimal, without leading zeros. */
function portOf(text: string): number | undefined {
  const port = /^(?:0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : 65_536;
  return port <= 65_535 ? port : undefined;
}

function parseV2(bytes: Buffer): Result<ProxyHeader, string> | 'more' {
  const version = (bytes[12] ?? 0) >> 4;
  const command = (bytes[12] ?? 0) & 15;
  if (version !== 2) return err(`version ${version} of the PROXY protocol`);
  if (command > 1) return err(`command ${command} of the PROXY protocol`);
  const family = bytes[13] ?? 0;
  const length = bytes.readUInt16BE(14);
  const total = FIXED_BYTES_V2 + length;
  const addressBytes = family === 0x11 ? 4 : family === 0x21 ? 16 : 0;
  if (command === 1 && addressBytes * 2 + 4 > length && addressBytes > 0)
    return err('the PROXY header has no room for its addresses');
  if (bytes.length < total) return 'more';
  // Section 2.2: LOCAL, and families that are not TCP over IP, leave the real addresses. What follows the addresses are
  // type-length-value fields that nobody here asks for.
  if (command === 0 || addressBytes === 0) return ok({ addresses: undefined, bytes: total });
  const ports = FIXED_BYTES_V2 + 2 * addressBytes;
  return ok({
    addresses: {
      source: { ip: ipOf(bytes, FIXED_BYTES_V2, addressBytes), port: bytes.readUInt16BE(ports) },
      destination: {
        ip: ipOf(bytes, FIXED_BYTES_V2 + addressBytes, addressBytes),
        port: bytes.readUInt16BE(ports + 2),
      },
    },
    bytes: total,
  });
}

function ipOf(bytes: Buffer, at: number, length: number): string {
  if (length === 4) return bytes.subarray(at, at + 4).join('.');
  const groups: string[] = [];
  for (let group = at; group < at + 16; group += 2) groups.push(bytes.readUInt16BE(group).toString(16));
  const text = groups.join(':');
  return canonicalIp(text) ?? text;
}

interface ProxyHeaderRead {
  readonly addresses: ProxyHeader['addresses'];
  /** What came with the header of the client's own bytes. */
  readonly rest: Buffer | undefined;
}

/** Reads the header of an accepted connection. Calls back once, with the socket paused; not if it has closed. */
export function readProxyHeader(
  socket: Socket,
  options: { readonly deadlines: Deadlines; readonly nowMs: () => number; readonly timeoutMs: number },
  done: (result: Result<ProxyHeaderRead, string>) => void,
): void {
  let bytes: Buffer | undefined;
  const finish = (result: Result<ProxyHeaderRead, string>): void => {
    socket.pause();
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.removeListener('close', onClose);
    options.deadlines.remove(timer);
    done(result);
  };
  const onData = (chunk: Buffer): void => {
    bytes = bytes === undefined ? chunk : Buffer.concat([bytes, chunk]);
    const header = parseProxyHeader(bytes);
    if (header === 'more') return;
    if (!header.ok) {
      finish(header);
      return;
    }
    const rest = bytes.length > header.value.bytes ? bytes.subarray(header.value.bytes) : undefined;
    finish(ok({ addresses: header.value.addresses, rest }));
  };
  const onEnd = (): void => finish(err('the connection ended within its PROXY protocol header'));
  const onClose = (): void => options.deadlines.remove(timer);
  const timer: Timed = {
    deadlineMs: options.nowMs() + options.timeoutMs,
    onDeadline: () => finish(err(`no PROXY protocol header came within ${options.timeoutMs} ms`)),
  };
  options.deadlines.add(timer);
  socket.on('data', onData);
  socket.on('end', onEnd);
  socket.on('close', onClose);
  socket.resume();
}
