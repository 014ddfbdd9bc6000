import type { X509Certificate } from 'node:crypto';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { socketIp } from '../../net/addresses.ts';
import { hostPort } from '../../net/connection-record.ts';
import { parseSubjectAltNames } from '../../net/peer.ts';

/** What a log may say of a connection; empty where there is nothing. */
export interface SocketFacts {
  readonly local: string;
  readonly tlsVersion: string;
  readonly tlsCipher: string;
  readonly serverName: string;
  readonly peer: PeerFacts | undefined;
}

interface PeerFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly uriSans: string;
  readonly dnsSans: string;
}

const known = new WeakMap<Duplex, SocketFacts>();

/** Read once, while the socket is open: a closed one knows nothing any more. */
export function socketFacts(socket: Duplex): SocketFacts {
  let facts = known.get(socket);
  if (facts === undefined) {
    facts = read(socket);
    known.set(socket, facts);
  }
  return facts;
}

function read(socket: Duplex): SocketFacts {
  const ip = socket instanceof Socket ? socketIp(socket.localAddress) : '';
  const local = socket instanceof Socket && ip !== '' ? hostPort(ip, socket.localPort ?? 0) : '';
  if (!(socket instanceof TLSSocket)) return { local, tlsVersion: '', tlsCipher: '', serverName: '', peer: undefined };
  const certificate = socket.getPeerX509Certificate();
  const name: unknown = Reflect.get(socket, 'servername');
  return {
    local,
    tlsVersion: socket.getProtocol() ?? '',
    tlsCipher: socket.getCipher()?.name ?? '',
    serverName: typeof name === 'string' ? name : '',
    peer: certificate && readPeer(certificate),
  };
}

function readPeer(certificate: X509Certificate): PeerFacts {
  const names = parseSubjectAltNames(certificate.subjectAltName);
  const of = (kind: 'uri' | 'dns'): string =>
    names.flatMap(({ type, value }) => (type === kind ? [value] : [])).join(',');
  return {
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    serial: certificate.serialNumber.toLowerCase(),
    uriSans: of('uri'),
    dnsSans: of('dns'),
  };
}

/** RFC 2253 section 2.1: the last part first. The runtime has them a line each, in the order of the certificate. */
const distinguishedName = (lines: string | undefined): string => (lines ?? '').split('\n').reverse().join(',');
