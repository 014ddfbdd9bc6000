/** Anchors of other trust domains, looked at before TLS gets them together with our own: they must cost only their domain. */
import { X509Certificate } from 'node:crypto';
import { errorText } from '../kit/error-text.ts';
import { err, ok, type Result } from '../kit/result.ts';
import { parseCertificate } from './x509/certificate.ts';

export const FOREIGN_ANCHORS_MAX = 64;

/**
 * A server names all its anchors in each CertificateRequest, in at most 65,535 bytes (RFC 8446 section 4.2.4): beyond
 * that OpenSSL fails every handshake, also those of our own workloads. So much is room for 16 domains beside ours.
 */
export const ANCHOR_NAMES_BYTES_MAX = 3_072;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export interface ForeignAnchors {
  /** These certificates and nothing else that the text had. */
  readonly pem: string;
  /** Names of subjects, DER in hexadecimal, each with the fingerprints of the certificates that go by it. */
  readonly bySubject: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * What is wrong with one of them is wrong with all: a domain with half of its anchors fails now and then. `tls` is to
 * throw when TLS does not take them.
 */
export function readForeignAnchors(pem: string, tls: (ca: string) => unknown): Result<ForeignAnchors, string> {
  const texts = pem.match(CERTIFICATE) ?? [];
  if (texts.length === 0) return err('there is no certificate');
  if (texts.length > FOREIGN_ANCHORS_MAX) return err(`more than ${FOREIGN_ANCHORS_MAX} anchors`);
  const bySubject = new Map<string, Set<string>>();
  const certificates: string[] = [];
  let namesBytes = 0;
  for (const [i, text] of texts.entries()) {
    const read = readAnchor(text);
    if (!read.ok) return err(`anchor ${i + 1}: ${read.error}`);
    const { subjectDer, certificate } = read.value;
    certificates.push(certificate.toString());
    namesBytes += subjectDer.length;
    const subject = Buffer.from(subjectDer).toString('hex');
    const known = bySubject.get(subject);
    if (known === undefined) bySubject.set(subject, new Set([certificate.fingerprint256]));
    else known.add(certificate.fingerprint256);
  }
  if (namesBytes > ANCHOR_NAMES_BYTES_MAX)
    return err(`the names of its anchors have ${namesBytes} bytes, more than ${ANCHOR_NAMES_BYTES_MAX}`);
  const whole = certificates.join('');
  try {
    tls(whole);
  } catch (error) {
    return err(`TLS does not take its anchors: ${errorText(error)}`);
  }
  return ok({ pem: whole, bySubject });
}

/** By OpenSSL's reading, which TLS goes by, and by ours: neither knows all that the other refuses. */
function readAnchor(
  pem: string,
): Result<{ readonly subjectDer: Uint8Array; readonly certificate: X509Certificate }, string> {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
    // Read when it is first needed, which would be in the midst of somebody's handshake.
    void certificate.publicKey;
  } catch (error) {
    return err(errorText(error));
  }
  if (!certificate.ca) return err('it is not one of an authority');
  const parsed = parseCertificate(certificate.raw);
  return parsed.ok ? ok({ subjectDer: parsed.value.subjectDer, certificate }) : parsed;
}

/** Of two with one name that are not the same: OpenSSL looks issuers up by name, so one would stand in the other's way. */
export function areRivals(one: ForeignAnchors, other: ForeignAnchors): boolean {
  for (const [subject, ours] of one.bySubject) {
    const theirs = other.bySubject.get(subject);
    if (theirs !== undefined && !ours.isSubsetOf(theirs) && !theirs.isSubsetOf(ours)) return true;
  }
  return false;
}

export const shareName = (one: ForeignAnchors, subjects: ReadonlySet<string>): boolean =>
  [...one.bySubject.keys()].some((subject) => subjects.has(subject));

/** Names of subjects as `bySubject` has them; what cannot be read has none. */
export const subjectNames = (anchors: readonly Uint8Array[]): ReadonlySet<string> =>
  new Set(
    anchors.flatMap((der) => {
      const parsed = parseCertificate(der);
      return parsed.ok ? [Buffer.from(parsed.value.subjectDer).toString('hex')] : [];
    }),
  );
