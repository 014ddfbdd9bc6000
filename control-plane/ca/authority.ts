/** One issuing certificate and its key: short-lived leaves for exactly the identity that a caller has proven. */
import { createHash, type KeyObject, randomFillSync } from 'node:crypto';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { type Certificate, keyId, serialNumber } from '@weft/policies/identity/x509/certificate';
import { type CertificateRequest, parseCsr } from '@weft/policies/identity/x509/csr';
import { LeafWriter } from '@weft/policies/identity/x509/leaf';
import type { SubjectAltName } from '@weft/policies/identity/x509/names';
import type { Signer } from '@weft/policies/identity/x509/signature';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';

/** Clocks of nodes differ: a certificate is valid a little before it was made. */
export const backdateMs = 5 * 60_000;
const ttlMsMin = 60_000;

export interface SignedLeaf {
  /** DER, leaf first, then the intermediates; the root is not among them. */
  readonly chain: readonly Uint8Array[];
  readonly serialHex: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Of the key that signed it, in hexadecimal digits. */
  readonly issuerKeyId: string;
}

export interface SignFailure {
  readonly code: 'invalid-argument' | 'permission-denied' | 'unavailable';
  readonly message: string;
}

export interface IssuerParts {
  /** The issuing certificate, and how it is written. */
  readonly certificate: Certificate;
  readonly der: Uint8Array;
  /** What stands between a leaf and its anchor, the issuing certificate first; empty when that is the anchor itself. */
  readonly intermediates: readonly Uint8Array[];
  /** What its leaves chain to. */
  readonly anchor: Uint8Array;
  /** The anchors that come with it, that one among them. */
  readonly anchors: readonly Uint8Array[];
  /** The end of the shortest-lived certificate of its chain. */
  readonly notAfterMs: number;
  readonly sign: Signer;
}

const serialBytes = 16;

export class Authority {
  readonly certificate: Certificate;
  readonly der: Uint8Array;
  readonly intermediates: readonly Uint8Array[];
  readonly anchor: Uint8Array;
  readonly trustAnchors: readonly Uint8Array[];
  readonly notAfterMs: number;
  readonly keyId: string;
  /** SHA-256 of the anchor, in hexadecimal digits. */
  readonly anchorFingerprint: string;
  private readonly writer: LeafWriter;
  private readonly clock: Clock;
  private readonly entropy = new Uint8Array(256 * serialBytes);
  private entropyAt = this.entropy.length;

  constructor(parts: IssuerParts, clock: Clock) {
    const id = parts.certificate.subjectKeyId ?? keyId(parts.certificate.publicKey);
    this.certificate = parts.certificate;
    this.der = parts.der;
    this.intermediates = parts.intermediates;
    this.anchor = parts.anchor;
    this.trustAnchors = parts.anchors;
    this.notAfterMs = parts.notAfterMs;
    this.keyId = Buffer.from(id).toString('hex');
    this.anchorFingerprint = createHash('sha256').update(parts.anchor).digest('hex');
    this.writer = new LeafWriter({ nameDer: parts.certificate.subjectDer, keyId: id, sign: parts.sign });
    this.clock = clock;
  }

  /** Signs a request whose only name is the identity that its sender has proven. */
  async signWorkload(csrDer: Uint8Array, proven: SpiffeId, ttlMs: number): Promise<Result<SignedLeaf, SignFailure>> {
    const csr = parseCsr(csrDer);
    if (!csr.ok) return err({ code: 'invalid-argument', message: `${csr.error} (sent by ${proven})` });
    const wrong = wrongNames(csr.value, proven);
    if (wrong !== undefined) return err(wrong);
    return ok(await this.leaf(csr.value.publicKeyDer, csr.value.sans, 'workload', ttlMs));
  }

  /** A certificate for a server of the mesh's own, under DNS names. */
  signServer(publicKey: KeyObject, dnsNames: readonly string[], ttlMs: number): Promise<SignedLeaf> {
    const sans = dnsNames.map((value) => ({ type: 'dns', value }) as const);
    return this.leaf(publicKey.export({ format: 'der', type: 'spki' }), sans, 'server', ttlMs);
  }

  private async leaf(
    publicKeyDer: Uint8Array,
    sans: readonly SubjectAltName[],
    purposes: 'workload' | 'server',
    ttlMs: number,
  ): Promise<SignedLeaf> {
    const nowMs = this.clock.unixMs();
    const notBeforeMs = Math.max(nowMs - backdateMs, this.certificate.notBeforeMs);
    // No leaf outlives its issuer.
    const notAfterMs = Math.min(nowMs + Math.max(ttlMs, ttlMsMin), this.notAfterMs);
    const serial = this.nextSerial();
    const der = await this.writer.write({ serial, notBeforeMs, notAfterMs, publicKeyDer, sans, purposes });
    return {
      chain: [der, ...this.intermediates],
      serialHex: Buffer.from(serial).toString('hex'),
      notBeforeMs,
      notAfterMs,
      issuerKeyId: this.keyId,
    };
  }

  /** Random octets are drawn for many at a time: asking for 16 costs as much as asking for 4,096. */
  private nextSerial(): Uint8Array {
    if (this.entropyAt === this.entropy.length) {
      randomFillSync(this.entropy);
      this.entropyAt = 0;
    }
    this.entropyAt += serialBytes;
    return serialNumber(this.entropy.subarray(this.entropyAt - serialBytes, this.entropyAt));
  }
}

function wrongNames({ sans }: CertificateRequest, proven: SpiffeId): SignFailure | undefined {
  const [san] = sans;
  if (san === undefined || sans.length !== 1 || san.type !== 'uri') {
    const listed = sans.length === 0 ? 'none' : sans.map((one) => `${one.type}:${one.value}`).join(', ');
    const message = `the certificate request must have exactly one subject alternative name, the URI ${proven}; it has ${listed}`;
    return { code: 'invalid-argument', message };
  }
  if (san.value === proven) return undefined;
  return {
    code: 'permission-denied',
    message: `the certificate request is for ${san.value}, the credential proves ${proven}`,
  };
}

/**
 * Under the same root a certificate that has just begun waits for clocks that are behind, which would not take it yet,
 * as long as the one before can sign meanwhile.
 */
export function isTooFresh(next: Authority, present: Authority, nowMs: number, marginMs: number): boolean {
  const begunMs = next.certificate.notBeforeMs + Math.min(marginMs, backdateMs);
  const sameRoot = next !== present && next.anchorFingerprint === present.anchorFingerprint;
  return sameRoot && nowMs < begunMs && present.notAfterMs > begunMs;
}
