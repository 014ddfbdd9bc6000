/** The control plane's own serving certificate: made by its CA, renewed at half its life without a restart. */
import { generateKeyPairSync } from 'node:crypto';
import { encodePem } from '@weft/policies/identity/x509/pem';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { Secret } from '@weft/policies/kit/secret';
import type { CertificateAuthority } from './certificate-authority.ts';

interface ServingIdentity {
  readonly certificatePem: string;
  /**
   * The same up to its anchor where that has signed it. OpenSSL sends such a leaf so anyway to whom it asks for a
   * certificate: it looks for the issuer among the anchors, and verifies it, in each handshake.
   */
  readonly completePem: string;
  readonly privateKeyPem: Secret<string>;
  readonly notAfterMs: number;
}

const servingTtlMs = 24 * 3_600_000;

export class ServingCertificate {
  private readonly authority: CertificateAuthority;
  private readonly dnsNames: readonly string[];
  private readonly clock: Clock;
  private readonly listeners = new Set<(identity: ServingIdentity) => void>();
  private readonly endIssuer: () => void;
  private timer: Cancel | undefined;
  private identity: ServingIdentity;

  private constructor(
    authority: CertificateAuthority,
    dnsNames: readonly string[],
    clock: Clock,
    first: ServingIdentity,
  ) {
    this.authority = authority;
    this.dnsNames = dnsNames;
    this.clock = clock;
    this.identity = first;
    // An anchor can only go when nothing chains to it any more.
    this.endIssuer = authority.onIssuer(() => void this.renew());
    this.plan();
  }

  static async create(
    authority: CertificateAuthority,
    dnsNames: readonly string[],
    clock: Clock,
  ): Promise<ServingCertificate> {
    return new ServingCertificate(authority, dnsNames, clock, await issue(authority, dnsNames));
  }

  get current(): ServingIdentity {
    return this.identity;
  }

  onChange(listener: (identity: ServingIdentity) => void): void {
    this.listeners.add(listener);
  }

  async renew(): Promise<void> {
    this.identity = await issue(this.authority, this.dnsNames);
    for (const listener of this.listeners) listener(this.identity);
    this.plan();
  }

  stop(): void {
    this.endIssuer();
    this.timer?.();
  }

  private plan(): void {
    this.timer?.();
    const leftMs = this.identity.notAfterMs - this.clock.unixMs();
    this.timer = this.clock.after(Math.max(leftMs / 2, 1_000), () => void this.renew());
  }
}

async function issue(authority: CertificateAuthority, dnsNames: readonly string[]): Promise<ServingIdentity> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { issuer } = authority;
  const { chain, notAfterMs } = await authority.signServer(publicKey, dnsNames, servingTtlMs);
  const pem = (ders: readonly Uint8Array[]): string => ders.map((der) => encodePem('CERTIFICATE', der)).join('');
  return {
    certificatePem: pem(chain),
    completePem: pem(chain.length === 1 ? [...chain, issuer.anchor] : chain),
    privateKeyPem: new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    notAfterMs,
  };
}
