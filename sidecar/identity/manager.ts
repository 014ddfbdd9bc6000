import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type X509Certificate,
} from 'node:crypto';
import { serialOf } from '@weft/policies/identity/revocations';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { leafOfChain } from './chain.ts';
import { certificateOf, type KeyMaterial } from './material.ts';
import { PeerTrust, type TrustData } from './peer-trust.ts';
import type { CertificateSource, WorkloadCertificate } from './source.ts';
import type { StateDir } from './state-dir.ts';
import { type RefusedBundle, usableTrust } from './usable-trust.ts';

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

/** What OpenSSL takes: a name, an HMAC key and an AES key of 16 bytes each. */
const TICKET_KEY_BYTES = 48;
const RETRY_BASE_MS = 200;
const RETRY_MAX_MS = 30_000;
/** Of what is left of the certificate: an authority that comes back late is asked several times before it is too late. */
const RETRY_LIFE_SHARE = 1 / 8;
/** However little is left. */
const RETRY_MS_MIN = 1_000;
/** Clocks that differ by more are worth a warning: certificates begin or end at the wrong time. */
const SKEW_WARN_MS = 10_000;
/** How late a jump of the wall clock is noticed at most. */
const CHECK_MS = 30_000;

/** Keeps this workload's certificate: own key, signed by the mesh's authority, renewed at half its life. */
export class IdentityManager implements CertificateSource {
  private readonly options: IdentityOptions;
  private readonly listeners = new Set<(certificate: WorkloadCertificate) => void>();
  private readonly key: KeyObject;
  private certificate: WorkloadCertificate | undefined;
  /** From the control plane; undefined: what came with the certificate is all that is known. */
  private trust: TrustData | undefined;
  /** Bundles of other trust domains that were not taken. */
  refusedBundles: readonly RefusedBundle[] = [];
  /** What the certificate is made of, for other threads. */
  material: KeyMaterial | undefined;
  /** When the certificate is to be renewed: by the wall clock, and by the one that never jumps. */
  private dueUnixMs = 0;
  private dueMs = 0;
  private generation = 0;
  private failures = 0;
  private askedMs = Number.NEGATIVE_INFINITY;
  /** After a failure, until the next attempt. */
  private waits = false;
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

  /**
   * Whom to believe from now on. Throws when our own anchors cannot be used: what held before goes on holding. A bundle
   * of another trust domain that cannot be used is left out.
   */
  adoptTrust(told: TrustData | undefined): void {
    const usable = told === undefined ? undefined : usableTrust(told, this.trust);
    const trust = usable?.trust;
    if (trust !== undefined) PeerTrust.checked(trust);
    this.tellRefused(usable?.refused ?? []);
    const { material } = this;
    // Other ticket keys and another generation: no session outlives the trust that it was begun with.
    if (material !== undefined)
      this.put({ ...material, trust, generation: ++this.generation, ticketKeys: randomBytes(TICKET_KEY_BYTES) });
    // Only what could be used: the next certificate is put together with it.
    this.trust = trust;
    if (material === undefined) return;
    const anchors = trust?.bundles.find((one) => one.trustDomain === trust.ownDomain)?.anchorsPem;
    if (anchors === undefined) return;
    const { spiffeId, serialHex, notBeforeUnixMs } = material;
    const revoked = this.certificate?.trust?.refusal({ spiffeId, serialHex: serialOf(serialHex), notBeforeUnixMs });
    if (revoked === undefined && leafOfChain(material.chainPem, anchors).ok) return;
    this.options.count(revoked === undefined ? 'certificate_anchor_dropped' : 'certificate_revoked');
    const why = revoked ?? 'our own certificate leads to no trust anchor any more';
    this.options.log(`identity: ${why}; asking for another one`);
    this.dueMs = this.options.clock.nowMs();
    this.scheduleRenewal();
  }

  /** Each once, however often trust comes again with it. */
  private tellRefused(refused: readonly RefusedBundle[]): void {
    const before = new Set(this.refusedBundles.map(({ trustDomain, reason }) => `${trustDomain} ${reason}`));
    this.refusedBundles = refused;
    for (const { trustDomain, reason, kept } of refused) {
      if (before.has(`${trustDomain} ${reason}`)) continue;
      this.options.count('trust_bundle_refused');
      const then = kept ? 'its last good one stays' : 'nobody of it is believed';
      this.options.log(`trust: the bundle of ${trustDomain} is not taken: ${reason}; ${then}`);
    }
  }

  /** Asks at once when there is no valid certificate, else when the held one is due. */
  start(): void {
    this.scheduleRenewal();
  }

  /** The authority is there again: who waits for a certificate asks at once, and not all of a fleet in one moment. */
  retrySoon(): void {
    if (!this.waits) return;
    const { clock, prng } = this.options;
    const earliestMs = Math.max(0, this.askedMs + RETRY_MS_MIN - clock.nowMs());
    this.schedule(earliestMs + RETRY_BASE_MS * prng.next(), () => void this.renew());
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
    const leaf = this.accept(chain, trust);
    if (!leaf.ok) this.options.log(`identity: the stored certificate is not used: ${leaf.error}`);
    else if (leaf.value.validToDate.getTime() > this.options.clock.unixMs()) this.adopt(leaf.value, chain, trust);
  }

  private scheduleRenewal(): void {
    const leftMs = this.renewalLeftMs();
    this.schedule(Math.min(CHECK_MS, leftMs), () => {
      if (this.renewalLeftMs() > 0) this.scheduleRenewal();
      else void this.renew();
    });
  }

  private schedule(delayMs: number, run: () => void): void {
    this.cancelTimer?.();
    if (!this.closed) this.cancelTimer = this.options.clock.after(delayMs, run);
  }

  private async renew(): Promise<void> {
    this.waits = false;
    this.askedMs = this.options.clock.nowMs();
    try {
      const csr = await buildCsr({
        spiffeId: this.options.spiffeId,
        publicKey: createPublicKey(this.key),
        sign: keySigner(this.key),
      });
      const signed = await this.options.sign(csr);
      this.measureSkew(signed.authorityUnixMs);
      const chain = signed.chain.map((der) => encodePem('CERTIFICATE', der)).join('');
      const trust = signed.trustAnchors.map((der) => encodePem('CERTIFICATE', der)).join('');
      const leaf = this.accept(chain, trust);
      if (!leaf.ok) throw new Error(`the authority's answer is refused: ${leaf.error}`);
      for (const [file, text] of [
        ['chain.pem', chain],
        ['trust.pem', trust],
      ] as const) {
        const failure = this.options.state.write(file, text);
        if (failure !== undefined) this.options.log(`identity: ${failure}`);
      }
      this.failures = 0;
      this.adopt(leaf.value, chain, trust, signed.authorityUnixMs);
      this.scheduleRenewal();
    } catch (error) {
      const delayMs =
        Math.min(this.retryMsMax(), RETRY_BASE_MS * 2 ** this.failures++) * (0.5 + this.options.prng.next());
      this.options.count('certificate_request_failed');
      this.options.log(
        `identity: no certificate for ${this.options.spiffeId}: ${(error as Error).message}; next attempt in ${Math.round(delayMs)} ms`,
      );
      this.waits = true;
      this.schedule(delayMs, () => void this.renew());
    }
  }

  private retryMsMax(): number {
    const leftMs = (this.certificate?.notAfterUnixMs ?? 0) - this.options.clock.unixMs();
    return leftMs <= 0 ? RETRY_MAX_MS : Math.min(RETRY_MAX_MS, Math.max(RETRY_MS_MIN, leftMs * RETRY_LIFE_SHARE));
  }

  /** The authority is trusted to sign, not to hand out somebody else's certificate by mistake. */
  private accept(chainPem: string, trustPem: string): Result<X509Certificate, string> {
    const leaf = leafOfChain(chainPem, trustPem);
    if (!leaf.ok) return leaf;
    const { subjectAltName } = leaf.value;
    if (!leaf.value.checkPrivateKey(this.key)) return err('a certificate for another key');
    if (subjectAltName !== `URI:${this.options.spiffeId}`)
      return err(`a certificate for ${subjectAltName ?? 'nobody'}`);
    return ok(leaf.value);
  }

  private adopt(leaf: X509Certificate, chainPem: string, trustPem: string, signedUnixMs?: number): void {
    this.put({
      spiffeId: this.options.spiffeId,
      notBeforeUnixMs: leaf.validFromDate.getTime(),
      notAfterUnixMs: leaf.validToDate.getTime(),
      serialHex: leaf.serialNumber.toLowerCase(),
      chainPem,
      key: this.key,
      trustPem,
      generation: ++this.generation,
      trust: this.trust,
      ticketKeys: randomBytes(TICKET_KEY_BYTES),
    });
    if (this.certificate !== undefined) this.plan(this.certificate, signedUnixMs);
  }

  private put(material: KeyMaterial): void {
    const certificate = certificateOf(material);
    this.material = material;
    this.certificate = certificate;
    for (const listener of this.listeners) listener(certificate);
  }

  /** Half of what was its life when it began, with up to a tenth of jitter, so that a fleet does not renew at once. */
  private plan({ notBeforeUnixMs, notAfterUnixMs }: WorkloadCertificate, signedUnixMs = notBeforeUnixMs): void {
    const { clock, prng } = this.options;
    // Certificates are backdated for clocks that are behind: of one that lives for minutes, half would be over at its birth.
    const beginUnixMs = Math.max(notBeforeUnixMs, Math.min(signedUnixMs, notAfterUnixMs));
    const lifeMs = notAfterUnixMs - beginUnixMs;
    // The authority set both ends, by its own clock.
    this.dueUnixMs = beginUnixMs + lifeMs * (0.5 - 0.1 * prng.next()) - this.skewMs;
    this.dueMs = clock.nowMs() + Math.max(0, this.dueUnixMs - clock.unixMs());
  }

  private measureSkew(authorityUnixMs: number): void {
    this.skewMs = authorityUnixMs - this.options.clock.unixMs();
    if (Math.abs(this.skewMs) > SKEW_WARN_MS) {
      this.options.count('clock_skew');
      this.options.log(`identity: this clock differs from the authority's by ${Math.round(this.skewMs / 1_000)} s`);
    }
  }

  /** Whichever clock says so first: the wall clock may be set, and the other one stands still while a machine sleeps. */
  private renewalLeftMs(): number {
    const { clock } = this.options;
    return Math.max(0, Math.min(this.dueUnixMs - clock.unixMs(), this.dueMs - clock.nowMs()));
  }
}
