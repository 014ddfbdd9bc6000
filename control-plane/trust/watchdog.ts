/** When certificates of the mesh itself end, and whether the key that signs is the one that is stored. Pure. */
import { parseCertificate } from '@weft/policies/identity/x509/certificate';
import { decodePem } from '@weft/policies/identity/x509/pem';
import type { TrustBundle } from '@weft/policies/model/trust';

export type WatchedKind = 'issuer' | 'intermediate' | 'root' | 'serving' | 'federated';

export interface WatchedCertificate {
  readonly kind: WatchedKind;
  /** What it is called, for people and as a label. */
  readonly name: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A condition of the Mesh. */
export interface CertificatesVerdict {
  readonly type: 'CertificatesValid';
  readonly status: 'True' | 'False';
  readonly reason: 'Valid' | 'Expiring' | 'Expired' | 'AuthorityProblem';
  readonly message: string;
}

export interface WatchedParts {
  readonly issuer: { readonly der: Uint8Array; readonly intermediates: readonly Uint8Array[] };
  readonly anchors: readonly Uint8Array[];
  /** PEM of the control plane's own certificate. */
  readonly servingPem: string;
  readonly federated: readonly TrustBundle[];
}

/** Long-lived ones are spoken of this long before they end, and all others in the last quarter of their lives. */
const WARN_MS_MAX = 90 * 86_400_000;
const WARN_OF_LIFE = 0.25;

export function watchedCertificates({ issuer, anchors, servingPem, federated }: WatchedParts): WatchedCertificate[] {
  const found: WatchedCertificate[] = [];
  const add = (kind: WatchedKind, der: Uint8Array, name = ''): void => {
    const parsed = parseCertificate(der);
    if (!parsed.ok) return;
    const { subject, notBeforeMs, notAfterMs, serial } = parsed.value;
    const serialHex = Buffer.from(serial).toString('hex');
    found.push({ kind, name: name || `${subject.commonName ?? 'unnamed'} ${serialHex}`, notBeforeMs, notAfterMs });
  };
  const same = (a: Uint8Array) => (b: Uint8Array) => Buffer.compare(a, b) === 0;
  if (!anchors.some(same(issuer.der))) add('issuer', issuer.der);
  for (const der of issuer.intermediates) if (!same(issuer.der)(der)) add('intermediate', der);
  for (const der of anchors) add('root', der);
  const serving = decodePem('CERTIFICATE', servingPem);
  if (serving.ok && serving.value[0] !== undefined) add('serving', serving.value[0], 'weft-control-plane');
  for (const { trustDomain, anchorsPem } of federated) {
    const last = lastToEnd(anchorsPem);
    if (last !== undefined) add('federated', last, trustDomain);
  }
  return found;
}

/** Of another trust domain one counts: those that it has replaced end without harm. */
function lastToEnd(anchorsPem: string): Uint8Array | undefined {
  const decoded = decodePem('CERTIFICATE', anchorsPem);
  const endMs = (der: Uint8Array): number => {
    const parsed = parseCertificate(der);
    return parsed.ok ? parsed.value.notAfterMs : 0;
  };
  return (decoded.ok ? decoded.value : []).toSorted((a, b) => endMs(b) - endMs(a))[0];
}

const day = (unixMs: number): string => new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z');

/** `problems`: why what is stored is not what signs. */
export function certificatesVerdict(
  certificates: readonly WatchedCertificate[],
  nowMs: number,
  problems: readonly string[],
): CertificatesVerdict {
  const type = 'CertificatesValid';
  const list = (some: readonly WatchedCertificate[], word: string): string =>
    some.map((one) => `${one.kind} ${one.name} ${word} ${day(one.notAfterMs)}`).join('; ');
  const expired = certificates.filter((one) => one.notAfterMs <= nowMs);
  if (expired.length > 0) return { type, status: 'False', reason: 'Expired', message: list(expired, 'expired at') };
  if (problems.length > 0) {
    const message = `the authority goes on with what it had: ${problems.join('; ')}`;
    return { type, status: 'False', reason: 'AuthorityProblem', message };
  }
  const expiring = certificates.filter((one) => one.notAfterMs - nowMs < warnMs(one));
  if (expiring.length > 0) return { type, status: 'False', reason: 'Expiring', message: list(expiring, 'ends at') };
  const first = certificates.toSorted((a, b) => a.notAfterMs - b.notAfterMs).find((one) => one.kind !== 'serving');
  const message = first === undefined ? 'no certificate is watched' : `the first to end is ${list([first], 'at')}`;
  return { type, status: 'True', reason: 'Valid', message };
}

const warnMs = ({ notBeforeMs, notAfterMs }: WatchedCertificate): number =>
  Math.min(WARN_MS_MAX, (notAfterMs - notBeforeMs) * WARN_OF_LIFE);
