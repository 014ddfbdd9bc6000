import type { X509Certificate } from 'node:crypto';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { socketIp } from '../../net/addresses.ts';
import { hostPort } from '../../net/connection-record.ts';
import { parseSubjectAltNames, shownCertificate } from '../../net/peer.ts';

/** What a log may say of a connection; empty where there is nothing. */
export interface SocketFacts {
  /** No other connection of this process has it. */
  readonly id: number;
  readonly local: string;
  readonly tlsVersion: string;
  readonly tlsCipher: string;
  /** Of a client's side alone: a server is not told. */
  readonly tlsGroup: string;
  readonly serverName: string;
  readonly peer: CertificateFacts | undefined;
  /** Ours. */
  readonly own: CertificateFacts | undefined;
}

export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly uriSans: string;
  readonly dnsSans: string;
  readonly ipSans: string;
  readonly emailSans: string;
  readonly sha1: string;
  readonly notBeforeUnixMs: number;
  readonly notAfterUnixMs: number;
  /** In PEM, fit for a URL. */
  readonly text: string;
}

const known = new WeakMap<Duplex, SocketFacts>();
let count = 0;

/** Read once, while the socket is open: a closed one knows nothing any more. */
export function socketFacts(socket: Duplex): SocketFacts {
  let facts = known.get(socket);
  if (facts === undefined) {
    facts = read(socket);
    known.set(socket, facts);
  }
  return facts;
}

const plain = { tlsVersion: '', tlsCipher: '', tlsGroup: '', serverName: '', peer: undefined, own: undefined };

function read(socket: Duplex): SocketFacts {
  const id = ++count;
  const ip = socket instanceof Socket ? socketIp(socket.localAddress) : '';
  const local = socket instanceof Socket && ip !== '' ? hostPort(ip, socket.localPort ?? 0) : '';
  if (!(socket instanceof TLSSocket)) return { id, local, ...plain };
  const certificate = shownCertificate(socket);
  const own = socket.getX509Certificate();
  const name: unknown = Reflect.get(socket, 'servername');
  return {
    id,
    local,
    tlsVersion: socket.getProtocol() ?? '',
    tlsCipher: socket.getCipher()?.name ?? '',
    tlsGroup: groupOf(socket),
    serverName: typeof name === 'string' ? name : '',
    peer: certificate && describe(certificate),
    own: own && describe(own),
  };
}

function groupOf(socket: TLSSocket): string {
  const info: object | null = socket.getEphemeralKeyInfo();
  const name: unknown = info === null ? undefined : Reflect.get(info, 'name');
  return typeof name === 'string' ? name : '';
}

function describe(certificate: X509Certificate): CertificateFacts {
  const names = parseSubjectAltNames(certificate.subjectAltName);
  const of = (kind: (typeof names)[number]['type']): string =>
    names.flatMap(({ type, value }) => (type === kind ? [value] : [])).join(',');
  return {
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    serial: certificate.serialNumber.toLowerCase(),
    uriSans: of('uri'),
    dnsSans: of('dns'),
    ipSans: of('ip'),
    emailSans: of('email'),
    sha1: certificate.fingerprint.replaceAll(':', '').toLowerCase(),
    notBeforeUnixMs: certificate.validFromDate.getTime(),
    notAfterUnixMs: certificate.validToDate.getTime(),
    text: encodeURIComponent(certificate.toString()),
  };
}

/** RFC 2253 section 2.1: the last part first. The runtime has them a line each, in the order of the certificate. */
const distinguishedName = (lines: string | undefined): string => (lines ?? '').split('\n').reverse().join(',');
