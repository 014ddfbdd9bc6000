import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { CertificateSource, WorkloadCertificate } from './source.ts';
import type { StateDir } from './state-dir.ts';

/** The certificate authority, as the sidecar sees it. DER. */
export interface SignedChain {
  readonly chain: readonly Uint8Array[];
  readonly trustAnchors: readonly Uint8Array[];
  readonly authorityUnixMs: number;
}

export interface IdentityOptions {
  readonly spiffeId: SpiffeId;
  readonly sign: (csr: Uint8Array) => Promise<SignedChain>;
  readonly state: StateDir;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (line: string) => void;
  readonly count: (event: string) => void;
}

const RETRY_BASE_MS = 200;
const RETRY_MAX_MS = 30_000;
/** Clocks that differ by more are worth a warning: certificates begin or end at the wrong time. */
const SKEW_WARN_MS = 10_000;
/** setTimeout's limit is 2^31 - 1 ms; a day is checked again anyway. */
const RENEWAL_MAX_MS = 86_400_000;

/** Keeps this workload's certificate: own key, signed by the mesh's authority, renewed at half its life. */
export class IdentityManager implements CertificateSource {
  private readonly options: IdentityOptions;
  private readonly listeners = new Set<(certificate: WorkloadCertificate) => void>();
  private readonly key: KeyObject;
  private certificate: WorkloadCertificate | undefined;
  private generation = 0;
  private failures = 0;
  private cancelTimer: Cancel | undefined;
  private closed = false;
  /** Authority's clock minus ours at the last signature. */
  skewMs = 0;

  constructor(options: IdentityOptions) {
    this.options = options;
    this.key = this.loadOrMakeKey();
    this.restore();
  }

  get(spiffeId: SpiffeId): WorkloadCertificate | undefined {
    return spiffeId === this.options.spiffeId ? this.certificate : undefined;
  }

  own(): WorkloadCertificate | undefined {
    return this.certificate;
  }

  onChange(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Asks at once when there is no valid certificate, else when the held one is due. */
  start(): void {
    this.schedule(this.certificate === undefined ? 0 : this.renewalDelayMs(this.certificate));
  }

  close(): void {
    this.closed = true;
    this.cancelTimer?.();
  }

  private loadOrMakeKey(): KeyObject {
    const stored = this.options.state.read('key.pem');
    if (stored !== undefined) {
      try {
        return createPrivateKey(stored);
      } catch {
        this.options.log('identity: the stored key cannot be read; making a new one');
      }
    }
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const failure = this.options.state.write('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }));
    if (failure !== undefined) this.options.log(`identity: ${failure}`);
    return privateKey;
  }

  private restore(): void {
    const chain = this.options.state.read('chain.pem')?.toString();
    const trust = this.options.state.read('trust.pem')?.toString();
    if (chain === undefined || trust === undefined) return;
    try {
      const leaf = new X509Certificate(chain);
      if (!leaf.checkPrivateKey(this.key) || leaf.validToDate.getTime() <= this.options.clock.unixMs()) return;
      this.adopt(chain, trust);
    } catch (error) {
      this.options.log(`identity: the stored certificate cannot be used: ${(error as Error).message}`);
    }
  }

  private schedule(delayMs: number): void {
    this.cancelTimer?.();
    if (this.closed) return;
    this.cancelTimer = this.options.clock.after(delayMs, () => {
      void this.renew();
    });
  }

  private async renew(): Promise<void> {
    const { certificate } = this;
    // A timer is cut at a day; and a clock that jumped must not renew early.
    if (certificate !== undefined && this.renewalDelayMs(certificate) > RENEWAL_MAX_MS / 2) return this.start();
    try {
      const csr = await buildCsr({
        spiffeId: this.options.spiffeId,
        publicKey: createPublicKey(this.key),
        sign: keySigner(this.key),
      });
      const signed = await this.options.sign(csr);
      this.failures = 0;
      this.measureSkew(signed.authorityUnixMs);
      const chain = signed.chain.map((der) => encodePem('CERTIFICATE', der)).join('');
      const trust = signed.trustAnchors.map((der) => encodePem('CERTIFICATE', der)).join('');
      const problem = this.refuse(chain);
      if (problem !== undefined) throw new Error(problem);
      for (const [file, text] of [
        ['chain.pem', chain],
        ['trust.pem', trust],
      ] as const) {
        const failure = this.options.state.write(file, text);
        if (failure !== undefined) this.options.log(`identity: ${failure}`);
      }
      this.schedule(this.renewalDelayMs(this.adopt(chain, trust)));
    } catch (error) {
      const delayMs = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** this.failures++) * (0.5 + this.options.prng.next());
      this.options.count('certificate_request_failed');
      this.options.log(
        `identity: no certificate for ${this.options.spiffeId}: ${(error as Error).message}; next attempt in ${Math.round(delayMs)} ms`,
      );
      this.schedule(delayMs);
    }
  }

  /** The authority is trusted to sign, not to hand out somebody else's certificate by mistake. */
  private refuse(chainPem: string): string | undefined {
    const leaf = new X509Certificate(chainPem);
    if (!leaf.checkPrivateKey(this.key)) return 'the authority answered with a certificate for another key';
    if (leaf.subjectAltName !== `URI:${this.options.spiffeId}`) {
      return `the authority answered with a certificate for ${leaf.subjectAltName ?? 'nobody'}`;
    }
    return undefined;
  }

  private adopt(chainPem: string, trustPem: string): WorkloadCertificate {
    const leaf = new X509Certificate(chainPem);
    const certificate: WorkloadCertificate = {
      spiffeId: this.options.spiffeId,
      notBeforeUnixMs: leaf.validFromDate.getTime(),
      notAfterUnixMs: leaf.validToDate.getTime(),
      serialHex: leaf.serialNumber.toLowerCase(),
      context: createSecureContext({
        key: this.key.export({ type: 'pkcs8', format: 'pem' }),
        cert: chainPem,
        ca: trustPem,
        // Without it OpenSSL refuses to resume a session of a client that showed a certificate.
        sessionIdContext: 'weft',
        minVersion: 'TLSv1.3',
        maxVersion: 'TLSv1.3',
      }),
      trustPem,
      generation: ++this.generation,
    };
    this.certificate = certificate;
    for (const listener of this.listeners) listener(certificate);
    return certificate;
  }

  private measureSkew(authorityUnixMs: number): void {
    this.skewMs = authorityUnixMs - this.options.clock.unixMs();
    if (Math.abs(this.skewMs) > SKEW_WARN_MS) {
      this.options.count('clock_skew');
      this.options.log(`identity: this clock differs from the authority's by ${Math.round(this.skewMs / 1_000)} s`);
    }
  }

  /** Half of what was its life when it began, with up to a tenth of jitter, so that a fleet does not renew at once. */
  private renewalDelayMs(certificate: WorkloadCertificate): number {
    const lifeMs = certificate.notAfterUnixMs - certificate.notBeforeUnixMs;
    const dueUnixMs = certificate.notBeforeUnixMs + lifeMs * (0.5 - 0.1 * this.options.prng.next());
    return Math.min(RENEWAL_MAX_MS, Math.max(0, dueUnixMs - this.options.clock.unixMs()));
  }
}
