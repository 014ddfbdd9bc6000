/** The certificate authority: one P-256 root, short-lived leaves for exactly the identity that a caller has proven. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import type { SpiffeId, TrustDomain } from '@weft/policies/identity/spiffe-id';
import {
  buildCertificate,
  type Certificate,
  keyId,
  parseCertificate,
  serialNumber,
} from '@weft/policies/identity/x509/certificate';
import { parseCsr } from '@weft/policies/identity/x509/csr';
import { decodePem, encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';

const rootLifetimeMs = 10 * 365 * 86_400_000;
/** Clocks of nodes differ: a certificate is valid a little before it was made. */
const backdateMs = 5 * 60_000;
const ttlMsMin = 60_000;

export interface RootMaterial {
  readonly certificatePem: string;
  readonly privateKeyPem: Secret<string>;
}

export interface SignedLeaf {
  /** DER, leaf first; the root is not among them. */
  readonly chain: readonly Uint8Array[];
  readonly serialHex: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface SignFailure {
  readonly code: 'invalid-argument' | 'permission-denied';
  readonly message: string;
}

export async function createRoot(trustDomain: TrustDomain, nowUnixMs: number): Promise<RootMaterial> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = { commonName: `Weft root of ${trustDomain}`, organization: 'Weft' };
  const der = await buildCertificate({
    serial: serialNumber(randomBytes(16)),
    issuer: name,
    subject: name,
    notBeforeMs: nowUnixMs - backdateMs,
    notAfterMs: nowUnixMs + rootLifetimeMs,
    publicKey,
    // X509-SVID section 3.2: a signing certificate may carry the trust domain as its SPIFFE ID.
    sans: [{ type: 'uri', value: `spiffe://${trustDomain}` }],
    isCa: true,
    pathLength: undefined,
    keyUsage: ['keyCertSign', 'cRLSign'],
    extKeyUsage: [],
    authorityKeyId: undefined,
    sign: keySigner(privateKey),
  });
  return {
    certificatePem: encodePem('CERTIFICATE', der),
    privateKeyPem: new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
  };
}

export class Authority {
  /** PEM of every trust anchor. */
  readonly trustBundlePem: string;
  readonly trustAnchors: readonly Uint8Array[];
  readonly root: Certificate;
  private readonly key: KeyObject;
  private readonly clock: Clock;

  private constructor(
    material: RootMaterial,
    anchors: readonly Uint8Array[],
    root: Certificate,
    key: KeyObject,
    clock: Clock,
  ) {
    this.trustBundlePem = material.certificatePem;
    this.trustAnchors = anchors;
    this.root = root;
    this.key = key;
    this.clock = clock;
  }

  static load(material: RootMaterial, clock: Clock): Result<Authority, string> {
    const anchors = decodePem('CERTIFICATE', material.certificatePem);
    if (!anchors.ok) return err(`ca.crt: ${anchors.error}`);
    const [der] = anchors.value;
    const root = der === undefined ? err('no certificate') : parseCertificate(der);
    if (!root.ok) return err(`ca.crt: ${root.error}`);
    if (!root.value.isCa) return err('ca.crt: the first certificate is not one of an authority');
    let key: KeyObject;
    try {
      key = createPrivateKey(material.privateKeyPem.reveal());
    } catch {
      return err('ca.key: not a private key in PEM');
    }
    if (!createPublicKey(key).equals(root.value.publicKey))
      return err('ca.key is not the key of the first certificate in ca.crt');
    if (root.value.notAfterMs < clock.unixMs())
      return err(`ca.crt expired at ${new Date(root.value.notAfterMs).toISOString()}`);
    return ok(new Authority(material, anchors.value, root.value, key, clock));
  }

  /** Signs a request whose only name is the identity that its sender has proven. */
  async signWorkload(csrDer: Uint8Array, proven: SpiffeId, ttlMs: number): Promise<Result<SignedLeaf, SignFailure>> {
    const csr = parseCsr(csrDer);
    if (!csr.ok) return err({ code: 'invalid-argument', message: csr.error });
    const { sans, publicKey } = csr.value;
    const [san] = sans;
    if (san === undefined || sans.length !== 1 || san.type !== 'uri') {
      const message = `the certificate request must have exactly one subject alternative name, the URI ${proven}; it has ${
        sans.length === 0 ? 'none' : sans.map((one) => `${one.type}:${one.value}`).join(', ')
      }`;
      return err({ code: 'invalid-argument', message });
    }
    if (san.value !== proven) {
      return err({
        code: 'permission-denied',
        message: `the certificate request is for ${san.value}, the credential proves ${proven}`,
      });
    }
    return ok(
      await this.leaf({ publicKey, sans: [san], commonName: undefined, usages: ['serverAuth', 'clientAuth'], ttlMs }),
    );
  }

  /** A certificate for a server of the mesh's own, under DNS names. */
  signServer(publicKey: KeyObject, dnsNames: readonly string[], ttlMs: number): Promise<SignedLeaf> {
    const sans = dnsNames.map((value) => ({ type: 'dns', value }) as const);
    return this.leaf({ publicKey, sans, commonName: undefined, usages: ['serverAuth'], ttlMs });
  }

  private async leaf(request: {
    readonly publicKey: KeyObject;
    readonly sans: Certificate['sans'];
    readonly commonName: undefined;
    readonly usages: readonly ('serverAuth' | 'clientAuth')[];
    readonly ttlMs: number;
  }): Promise<SignedLeaf> {
    const nowMs = this.clock.unixMs();
    const notBeforeMs = Math.max(nowMs - backdateMs, this.root.notBeforeMs);
    // No leaf outlives its issuer.
    const notAfterMs = Math.min(nowMs + Math.max(request.ttlMs, ttlMsMin), this.root.notAfterMs);
    const serial = serialNumber(randomBytes(16));
    const der = await buildCertificate({
      serial,
      issuer: { der: this.root.subjectDer },
      subject: {},
      notBeforeMs,
      notAfterMs,
      publicKey: request.publicKey,
      sans: request.sans,
      isCa: false,
      pathLength: undefined,
      keyUsage: ['digitalSignature'],
      extKeyUsage: request.usages,
      authorityKeyId: this.root.subjectKeyId ?? keyId(this.root.publicKey),
      sign: keySigner(this.key),
    });
    return { chain: [der], serialHex: Buffer.from(serial).toString('hex'), notBeforeMs, notAfterMs };
  }
}
