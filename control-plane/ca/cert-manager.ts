/**
 * A key of our own making whose certificate an issuer of cert-manager signs. What is under way stands in the store beside
 * the key in use, so that every replica and a restart go on with the same request.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { TrustDomain } from '@weft/policies/identity/spiffe-id';
import { parseCertificate } from '@weft/policies/identity/x509/certificate';
import { buildAuthorityCsr } from '@weft/policies/identity/x509/csr';
import { decodePem, encodePem } from '@weft/policies/identity/x509/pem';
import { isP256, keySigner } from '@weft/policies/identity/x509/signature';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';
import { z } from 'zod';
import { type Authority, backdateMs } from './authority.ts';
import type { CertificateRequests } from './certificate-requests.ts';
import { type LoadOptions, loadAuthority, materialOf } from './material.ts';
import { type Driven, type KeySource, previousKeys, type Sourced, StoreKeySource } from './source.ts';
import type { CaData, CaStore } from './store.ts';

const pendingKey = 'pending.key';
const progressKey = 'request.json';

/** Asked for again when a third of the life is left. */
const renewAtShare = 1 / 3;
const backoffMsMin = 1_000;
const backoffMsMax = 10 * 60_000;
/** Issuers that wait for people are said to be waited for. */
const patienceMs = 2 * 60_000;
/** RFC 5280 appendix A.1, ub-common-name. */
const commonNameCharsMax = 64;

const progressFile = z.looseObject({
  /** Who has signed the certificate in use; undefined: somebody else. */
  issuer: z.string().max(1_024).optional(),
  sinceMs: z.number().default(0),
  attempts: z.int().min(0).default(0),
  notBeforeMs: z.number().default(0),
  problem: z.string().max(8_192).optional(),
  /** Somebody has asked for another before its time. */
  wanted: z.boolean().default(false),
});
type Progress = z.output<typeof progressFile>;

export class CertManagerKeySource implements KeySource {
  readonly kind = 'cert-manager';
  private readonly stored: StoreKeySource;
  private readonly requests: CertificateRequests;
  private readonly trustDomain: TrustDomain;
  private readonly options: LoadOptions;

  constructor(trustDomain: TrustDomain, requests: CertificateRequests, options: LoadOptions) {
    this.stored = new StoreKeySource(trustDomain, options);
    this.requests = requests;
    this.trustDomain = trustDomain;
    this.options = options;
  }

  read(data: CaData): Promise<Result<Sourced | undefined, string>> {
    return this.stored.read(data);
  }

  /** On demand, whatever is left of the life of the present one. */
  readonly generate = async (data: CaData): Promise<Result<CaData, string>> => {
    if (data[pendingKey] !== undefined) return err('a certificate is being requested already');
    return ok(this.begun(data, { ...progressOf(data), wanted: true }));
  };

  readonly drive = async (data: CaData): Promise<Driven> => {
    const progress = progressOf(data);
    const read = await this.stored.read(data);
    const current = read.ok ? read.value?.authority : undefined;
    const pending = data[pendingKey];
    if (pending !== undefined) return this.follow(data, progress, current, pending);
    if (!this.isDue(current, progress)) return { data, waitsFor: undefined, problem: undefined };
    const { problem, notBeforeMs } = progress;
    if (this.now() < notBeforeMs) return { data, waitsFor: `the next request at ${iso(notBeforeMs)}`, problem };
    if (isAnnouncing(data, current)) return { data, waitsFor: 'the change to the root that is announced', problem };
    return { data: this.begun(data, progress), waitsFor: `a certificate of ${this.requests.issuer}`, problem };
  };

  private isDue(current: Authority | undefined, { issuer, wanted }: Progress): boolean {
    if (wanted || current === undefined || issuer !== this.requests.issuer) return true;
    const lifeMs = current.notAfterMs - current.certificate.notBeforeMs;
    return current.notAfterMs - this.now() < lifeMs * renewAtShare;
  }

  private begun(data: CaData, progress: Progress): CaData {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { ...data, [pendingKey]: key, [progressKey]: JSON.stringify({ ...progress, sinceMs: this.now() }) };
  }

  private async follow(
    data: CaData,
    progress: Progress,
    current: Authority | undefined,
    pending: string,
  ): Promise<Driven> {
    const key = readKey(pending);
    if (key === undefined) return this.failed(data, progress, `${pendingKey} is no P-256 key`);
    const publicDer = createPublicKey(key).export({ type: 'spki', format: 'der' });
    // The same key is never shown to two issuers under one name.
    const digest = createHash('sha256').update(this.requests.issuer).update(publicDer).digest('hex');
    const request = `weft-ca-${digest.slice(0, 20)}`;
    const name = this.requests.nameOf(request);
    const found = await this.requests.find(request);
    if (!found.ok) return { data, waitsFor: name, problem: found.error };
    if (found.value === undefined) {
      const created = await this.requests.create(request, await this.csr(key));
      const pruned = created.ok ? await this.requests.prune(request) : created;
      return { data, waitsFor: name, problem: pruned.ok ? progress.problem : pruned.error };
    }
    switch (found.value.state) {
      case 'waiting': {
        const late = this.now() - progress.sinceMs > patienceMs;
        const text = `${name} waits since ${iso(progress.sinceMs)}: ${found.value.reason}`;
        return { data, waitsFor: text, problem: late ? text : progress.problem };
      }
      case 'refused':
        return this.failed(data, progress, `${name}: ${found.value.reason}`);
      case 'issued': {
        if (isAnnouncing(data, current))
          return { data, waitsFor: 'the change to the root that is announced', problem: undefined };
        const { chainPem, anchorsPem } = found.value;
        const beginsMs = beginOf(chainPem);
        if (beginsMs > this.now() && beginsMs <= this.now() + backdateMs) {
          const text = `${name}: by this clock its certificate begins at ${iso(beginsMs)}`;
          return { data, waitsFor: text, problem: progress.problem };
        }
        const names = { chain: `${name}: status.certificate`, key: 'the key of the request', anchors: 'status.ca' };
        const material = {
          chainPem,
          anchorsPem: anchorsPem.trim() === '' ? undefined : anchorsPem,
          privateKeyPem: new Secret(pending),
        };
        const next = loadAuthority(material, { ...this.options, names });
        if (!next.ok) return this.failed(data, progress, next.error);
        return this.taken(data, progress, current, next.value, material);
      }
    }
  }

  /** The key in use stays beside the new one where the root is another: it signs until that has been announced. */
  private taken(
    data: CaData,
    progress: Progress,
    current: Authority | undefined,
    next: Authority,
    material: {
      readonly chainPem: string;
      readonly anchorsPem: string | undefined;
      readonly privateKeyPem: Secret<string>;
    },
  ): Driven {
    const kept: Record<string, string> = {};
    for (const [name, text] of Object.entries(data)) if (!replaced.has(name)) kept[name] = text;
    const before = materialOf(data);
    if (current !== undefined && current.anchorFingerprint !== next.anchorFingerprint && before.ok && before.value) {
      kept['previous.crt'] = before.value.chainPem;
      kept['previous.key'] = before.value.privateKeyPem.reveal();
      if (before.value.anchorsPem !== undefined) kept['previous-root-cert.pem'] = before.value.anchorsPem;
    }
    kept['ca.crt'] = material.chainPem;
    kept['ca.key'] = material.privateKeyPem.reveal();
    if (material.anchorsPem !== undefined) kept['root-cert.pem'] = material.anchorsPem;
    const { issuer } = this.requests;
    // An issuer that gives what is to be renewed at once is not asked again at once.
    const attempts = this.isDue(next, { ...progress, issuer, wanted: false }) ? progress.attempts + 1 : 0;
    const notBeforeMs = attempts === 0 ? 0 : this.now() + backoffMs(attempts);
    kept[progressKey] = JSON.stringify({ issuer, sinceMs: progress.sinceMs, attempts, notBeforeMs });
    return { data: kept, waitsFor: undefined, problem: undefined };
  }

  /** Another request, with another key, after a while. */
  private failed(data: CaData, progress: Progress, reason: string): Driven {
    const { [pendingKey]: _, ...rest } = data;
    const attempts = progress.attempts + 1;
    const notBeforeMs = this.now() + backoffMs(attempts);
    const problem = `${reason.slice(0, 4_096)}; attempt ${attempts}, the next at ${iso(notBeforeMs)}`;
    const next = JSON.stringify({ ...progress, attempts, notBeforeMs, problem });
    return { data: { ...rest, [progressKey]: next }, waitsFor: `the next request at ${iso(notBeforeMs)}`, problem };
  }

  private async csr(key: KeyObject): Promise<string> {
    const der = await buildAuthorityCsr({
      subject: { commonName: `Weft ${this.trustDomain}`.slice(0, commonNameCharsMax), organization: 'Weft' },
      // X509-SVID section 3.2: a signing certificate may carry the trust domain as its SPIFFE ID.
      sans: [{ type: 'uri', value: `spiffe://${this.trustDomain}` }],
      publicKey: createPublicKey(key),
      sign: keySigner(key),
    });
    return encodePem('CERTIFICATE REQUEST', der);
  }

  private now(): number {
    return this.options.clock.unixMs();
  }
}

const stepsMax = 4;

/** Until the store holds a key, or something has to be waited for, which is the answer. */
export async function driveFirst(store: CaStore, drive: NonNullable<KeySource['drive']>): Promise<string | undefined> {
  for (let step = 0; step < stepsMax; step += 1) {
    const found = await store.load();
    if (!found.ok) return found.error;
    const data = found.value?.data.reveal() ?? {};
    const driven = await drive(data);
    if (driven.data === data) return driven.problem ?? driven.waitsFor;
    const saved = await store.save(found.value?.version, driven.data);
    if (!saved.ok) return saved.error;
  }
  return undefined;
}

const replaced: ReadonlySet<string> = new Set([
  pendingKey,
  progressKey,
  'ca.crt',
  'ca.key',
  'root-cert.pem',
  ...previousKeys,
]);

const isAnnouncing = (data: CaData, current: Authority | undefined): boolean =>
  current !== undefined && data['previous.key'] !== undefined;

const iso = (unixMs: number): string => new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z');

const backoffMs = (attempts: number): number => Math.min(backoffMsMin * 2 ** Math.min(attempts - 1, 16), backoffMsMax);

/** What cannot be read counts as nothing: at worst something is requested once more. */
function progressOf(data: CaData): Progress {
  let value: unknown = {};
  try {
    value = JSON.parse(data[progressKey] ?? '{}');
  } catch {
    // Written anew with the next step.
  }
  const parsed = progressFile.safeParse(value);
  return parsed.success ? parsed.data : progressFile.parse({});
}

/** 0: of what cannot be read, which is said elsewhere. */
function beginOf(chainPem: string): number {
  const ders = decodePem('CERTIFICATE', chainPem);
  const [first] = ders.ok ? ders.value : [];
  const issuing = first === undefined ? undefined : parseCertificate(first);
  return issuing?.ok === true ? issuing.value.notBeforeMs : 0;
}

function readKey(pem: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(pem);
    return isP256(key) ? key : undefined;
  } catch {
    return undefined;
  }
}
