import { createHash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { serialOf } from '@weft/policies/identity/revocations';
import { parseSpiffeId, type SpiffeId } from '@weft/policies/identity/spiffe-id';
import { linearRegex } from '@weft/policies/kit/linear-regex';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { CertificatePins, PeerValidation, SanMatcher } from '@weft/policies/model/tls';
import type { PeerCertificateInfo } from './connection.ts';

interface SubjectAltName {
  readonly type: SanMatcher['type'];
  readonly value: string;
}

const TYPES = new Map<string, SanMatcher['type']>([
  ['URI', 'uri'],
  ['DNS', 'dns'],
  ['IP Address', 'ip'],
  ['email', 'email'],
]);

/**
 * Splits the runtime's text of the SANs (`DNS:a, URI:spiffe://b`). Values that could be taken for a separator are
 * quoted there as JSON strings, so that a forged `x, URI:spiffe://...` inside a DNS name stays one value.
 */
export function parseSubjectAltNames(text: string | undefined): SubjectAltName[] {
  const names: SubjectAltName[] = [];
  const pattern = /(URI|DNS|IP Address|email|[A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy;
  for (const [, kind = '', raw = ''] of (text ?? '').matchAll(pattern)) {
    const type = TYPES.get(kind);
    if (type === undefined) continue;
    const parsed: unknown = raw.startsWith('"') ? JSON.parse(raw) : raw;
    names.push({ type, value: String(parsed) });
  }
  return names;
}

/** A peer's leaf as its verifier sees it. */
export interface PeerCertificate {
  readonly info: PeerCertificateInfo;
  readonly names: readonly SubjectAltName[];
  readonly certificate: X509Certificate;
}

const CERTIFICATES_MAX = 1_024;
/** By SHA-256 of the leaf, the oldest goes first: what a certificate says is read once, however often its owner comes. */
const known = new Map<string, Result<PeerCertificate, string>>();

/** Reads a leaf whose chain was verified for this very connection. */
function describeCertificate(certificate: X509Certificate): Result<PeerCertificate, string> {
  const fingerprint = certificate.fingerprint256;
  let described = known.get(fingerprint);
  if (described !== undefined) return described;
  described = readCertificate(certificate, fingerprint);
  if (known.size >= CERTIFICATES_MAX) {
    for (const oldest of known.keys()) {
      known.delete(oldest);
      break;
    }
  }
  known.set(fingerprint, described);
  return described;
}

/** An X.509-SVID has exactly one URI SAN (X509-SVID section 2). */
function readCertificate(certificate: X509Certificate, fingerprint: string): Result<PeerCertificate, string> {
  const names = parseSubjectAltNames(certificate.subjectAltName);
  const uris = names.filter((name) => name.type === 'uri');
  let spiffeId: SpiffeId | undefined;
  if (uris.some((uri) => uri.value.startsWith('spiffe://'))) {
    if (uris.length > 1) return err('the peer certificate has more than one URI SAN (X509-SVID section 2)');
    const parsed = parseSpiffeId(uris[0]?.value ?? '');
    if (!parsed.ok) return err(`the peer certificate's SPIFFE ID is invalid: ${parsed.error}`);
    if (certificate.ca) return err('the peer certificate is a CA certificate (X509-SVID section 4.1)');
    spiffeId = parsed.value;
  }
  const info: PeerCertificateInfo = {
    spiffeId,
    subjectAltNames: names.filter((n) => n.type === 'uri' || n.type === 'dns').map((n) => n.value),
    fingerprint: fingerprint.replaceAll(':', ''),
    notBeforeUnixMs: certificate.validFromDate.getTime(),
    notAfterUnixMs: certificate.validToDate.getTime(),
    serialHex: serialOf(certificate.serialNumber),
  };
  return ok({ info, names, certificate });
}

/**
 * The verified peer of a connection whose handshake is complete. A resumed session brings the certificate of the first
 * handshake, so that its validity is looked at each time.
 */
export function peerOf(socket: TLSSocket, nowUnixMs: number): Result<PeerCertificate | undefined, string> {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return ok(undefined);
  const described = describeCertificate(certificate);
  if (described.ok && described.value.info.notAfterUnixMs < nowUnixMs) {
    return err(`the peer certificate expired at ${certificate.validTo}`);
  }
  return described;
}

/** The runtime forgets the certificate of a server whose session is resumed. */
const resumed = new WeakMap<TLSSocket, PeerCertificateInfo>();
export const rememberResumed = (socket: TLSSocket, peer: PeerCertificateInfo): unknown => resumed.set(socket, peer);

/** For logs: what the peer showed now, or when the session began that was resumed, as long as that is kept. */
export function shownCertificate(socket: TLSSocket): X509Certificate | undefined {
  const shown = socket.getPeerX509Certificate();
  const peer = resumed.get(socket);
  if (shown !== undefined || peer === undefined) return shown;
  const described = known.get(peer.fingerprint.replaceAll(/(?<=.)(?=(?:..)+$)/g, ':'));
  return described?.ok === true ? described.value.certificate : undefined;
}

function matchesSan(matcher: SanMatcher, name: SubjectAltName): boolean {
  if (matcher.type !== name.type) return false;
  // DNS names compare without case (RFC 4343).
  const value = name.type === 'dns' ? name.value.toLowerCase() : name.value;
  const wanted = name.type === 'dns' ? matcher.match.value.toLowerCase() : matcher.match.value;
  switch (matcher.match.kind) {
    case 'exact':
      return value === wanted || (name.type === 'dns' && wildcardMatches(value, wanted));
    case 'prefix':
      return value.startsWith(wanted);
    case 'suffix':
      return value.endsWith(wanted);
    case 'contains':
      return value.includes(wanted);
    case 'regex':
      return linearRegex(matcher.match.value).test(name.value);
  }
}

/** RFC 9525 section 6.3: a certificate's `*` stands for exactly one label, the leftmost. */
function wildcardMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return false;
  const dot = host.indexOf('.');
  return dot > 0 && host.slice(dot) === pattern.slice(1);
}

/** By itself or by its key, as in Envoy: one of either kind is enough. */
function isPinned({ info, certificate }: PeerCertificate, { certificates, keys }: CertificatePins): boolean {
  if (certificates.includes(info.fingerprint.toLowerCase())) return true;
  if (keys.length === 0) return false;
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return keys.includes(createHash('sha256').update(spki).digest('base64'));
}

/** Undefined if the peer may speak; else why not. */
export function refusePeer(
  peer: PeerCertificate | undefined,
  { subjectAltNames: matchers, pins }: Pick<PeerValidation, 'subjectAltNames' | 'pins'>,
): string | undefined {
  if (pins !== undefined && (peer === undefined || !isPinned(peer, pins))) {
    return 'the peer certificate is none of those that are asked for by hash';
  }
  if (matchers.length === 0) return undefined;
  if (peer === undefined) return 'no peer certificate';
  for (const name of peer.names) {
    if (matchers.some((matcher) => matchesSan(matcher, name))) return undefined;
  }
  const shown = peer.info.subjectAltNames.join(', ');
  const wanted = matchers.map((matcher) => `${matcher.type} ${matcher.match.kind} ${matcher.match.value}`).join(', ');
  return `the peer certificate names [${shown}], none of which matches [${wanted}]`;
}
