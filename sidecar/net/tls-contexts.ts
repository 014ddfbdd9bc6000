import { constants } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import {
  type CertificateRef,
  type DownstreamTls,
  IDENTITY_SECRET,
  type PeerValidation,
  type PemSource,
  SYSTEM_TRUST_FILE,
  TRUST_SECRET,
  type UpstreamTls,
} from '@weft/policies/model/tls';
import { chainToSend } from '../identity/chain.ts';
import type { PeerTrust } from '../identity/peer-trust.ts';
import type { CertificateSource, WorkloadCertificate } from '../identity/source.ts';
import type { Recorder } from '../telemetry/record.ts';
import { ByServerName, serverNamesOf } from './server-names.ts';
import { filesOf, stampOf } from './tls-files.ts';

/** The parts of both kinds of TLS context that make key material. */
type TlsMaterial = Pick<DownstreamTls | UpstreamTls, 'certificate' | 'validation' | 'parameters'> &
  Partial<Pick<DownstreamTls, 'moreCertificates' | 'sessionTickets'>>;

export interface ActiveContext {
  readonly context: SecureContext;
  /** Changes with each rotation: sessions of another generation are not resumed. */
  readonly generation: number;
  /** Where a server has several certificates: the context for the name that a client asks for. */
  readonly names?: ByServerName<SecureContext>;
}

/** What was built of settings that name files, and what is known of the files. */
interface Built {
  active: ActiveContext;
  /** Of the workload's own certificate, whose trust anchors are in it; 0: not in it. */
  ownGeneration: number;
  readonly files: readonly string[];
  stamp: string;
  checkedMs: number;
}

/** A file that changed is taken by connections from then on. */
const FILES_CHECKED_EVERY_MS = 1_000;

interface TlsContextPorts {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly recorder: Pick<Recorder, 'count'>;
}

/** RFC 8446 section 4.6.1 leaves it to the server whose tickets it takes; OpenSSL asks for a name to tell. */
const SESSION_CONTEXT = 'weft';

/** Undefined: the authorities that come with the runtime, where the system has none of its own. */
function readTrust(source: PemSource): string | undefined {
  const isSystem = source.kind === 'file' && source.path === SYSTEM_TRUST_FILE;
  return isSystem && !existsSync(source.path) ? undefined : readPem(source);
}

function readPem(source: PemSource): string {
  return source.kind === 'pem' ? source.pem : readFileSync(source.path, 'utf8');
}

/**
 * Contexts of TLS settings, made once for each generation of certificates, and again when files change: new connections
 * get the newest, established ones keep theirs. Files that cannot be used leave the context before in its place.
 */
export class TlsContexts {
  private readonly certificates: CertificateSource;
  private readonly ports: TlsContextPorts;
  private readonly made = new WeakMap<TlsMaterial, Built>();
  private readonly resumable = new WeakSet<SecureContext>();
  private lastGeneration = 0;

  constructor(certificates: CertificateSource, ports: TlsContextPorts) {
    this.certificates = certificates;
    this.ports = ports;
  }

  /** Trust of this moment, for peers that are verified by it; undefined: their chain is all that is asked for. */
  trustFor(validation: PeerValidation | undefined): PeerTrust | undefined {
    return validation?.trust.kind === 'secret' ? this.certificates.own()?.trust : undefined;
  }

  meshTrust(): PeerTrust | undefined {
    return this.certificates.own()?.trust;
  }

  /** The workload's own identity: mesh TLS. */
  own(): Result<ActiveContext, string> {
    const own = this.certificates.own();
    if (own === undefined) return err('this proxy has no certificate yet');
    return ok({ context: this.takesTickets(own.context), generation: own.generation });
  }

  for(tls: TlsMaterial): Result<ActiveContext, string> {
    const { certificate, validation } = tls;
    if (certificate?.kind === 'secret' && (validation === undefined || validation.trust.kind === 'secret')) {
      const known = secretError(certificate, validation);
      return known === undefined ? this.own() : err(known);
    }
    const needsOwn = validation?.trust.kind === 'secret' || certificate?.kind === 'secret';
    const own = needsOwn ? this.certificates.own() : undefined;
    if (needsOwn && own === undefined) return err('the trust anchors of the mesh are not known yet');
    const ownGeneration = own?.generation ?? 0;
    const before = this.made.get(tls);
    if (before !== undefined && before.ownGeneration === ownGeneration) {
      this.checkFiles(tls, before, own);
      return ok(before.active);
    }
    const files = filesOf(tls);
    const stamp = stampOf(files);
    const active = this.build(tls, own);
    if (!active.ok) return active;
    this.made.set(tls, { active: active.value, ownGeneration, files, stamp, checkedMs: this.ports.clock.nowMs() });
    return active;
  }

  private build(tls: TlsMaterial, own: WorkloadCertificate | undefined): Result<ActiveContext, string> {
    const made = buildContexts(tls, own);
    return made.ok ? ok({ ...made.value, generation: ++this.lastGeneration }) : made;
  }

  /** Looked at when somebody connects, at most once a second: nothing has to watch where nobody comes. */
  private checkFiles(tls: TlsMaterial, built: Built, own: WorkloadCertificate | undefined): void {
    if (built.files.length === 0) return;
    const nowMs = this.ports.clock.nowMs();
    if (nowMs - built.checkedMs < FILES_CHECKED_EVERY_MS) return;
    built.checkedMs = nowMs;
    const stamp = stampOf(built.files);
    if (stamp === built.stamp) return;
    built.stamp = stamp;
    const active = this.build(tls, own);
    this.ports.recorder.count(active.ok ? 'tls.files_reloaded' : 'tls.files_unusable');
    if (active.ok) built.active = active.value;
  }

  /**
   * A context that came without a session id context fails every resumed handshake with a client certificate instead
   * of falling back to a full one.
   */
  private takesTickets(context: SecureContext): SecureContext {
    if (this.resumable.has(context)) return context;
    this.resumable.add(context);
    const native: unknown = Reflect.get(context, 'context');
    if (typeof native === 'object' && native !== null) {
      const set: unknown = Reflect.get(native, 'setSessionIdContext');
      if (typeof set === 'function') Reflect.apply(set, native, [SESSION_CONTEXT]);
    }
    return context;
  }
}

function secretError(certificate: CertificateRef, validation: PeerValidation | undefined): string | undefined {
  if (certificate.kind === 'secret' && certificate.name !== IDENTITY_SECRET) {
    return `no certificate is named "${certificate.name}": only ${IDENTITY_SECRET}`;
  }
  if (validation?.trust.kind === 'secret' && validation.trust.name !== TRUST_SECRET) {
    return `no trust anchors are named "${validation.trust.name}": only ${TRUST_SECRET}`;
  }
  return undefined;
}

/** The runtime takes one list: the suites of TLS 1.3, which Envoy does not let anybody choose, come first. */
const ciphersOf = (suites: readonly string[]): string =>
  ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', ...suites].join(':');

/** One for each set of names, so that a key of either kind may stand for the same ones. */
interface Served {
  readonly names: readonly string[];
  readonly chains: string[];
  readonly keys: string[];
}

function buildContexts(
  tls: TlsMaterial,
  own: WorkloadCertificate | undefined,
): Result<Omit<ActiveContext, 'generation'>, string> {
  const { certificate, moreCertificates = [] } = tls;
  try {
    const { validation, parameters } = tls;
    const ca = validation?.trust.kind === 'inline' ? readTrust(validation.trust.ca) : own?.trustPem;
    if (certificate === undefined) return ok({ context: build(tls, ca, undefined) });
    if (certificate.kind === 'secret' && moreCertificates.length === 0) {
      const known = secretError(certificate, undefined);
      if (known !== undefined) return err(known);
      const context = own?.contextFor?.(ca, { minVersion: parameters.versionMin, maxVersion: parameters.versionMax });
      return context === undefined ? err('this proxy has no certificate of its own to show there') : ok({ context });
    }
    const served = new Map<string, Served>();
    for (const reference of [certificate, ...moreCertificates]) {
      if (reference.kind === 'secret') return err('a certificate by secret needs trust anchors by secret too');
      const chain = readPem(reference.certificateChain);
      // Nobody asks by name where there is one.
      const names = moreCertificates.length === 0 ? [] : serverNamesOf(chain);
      const key = names.toSorted().join(' ');
      const group = served.get(key) ?? { names, chains: [], keys: [] };
      served.set(key, group);
      group.chains.push(ca === undefined ? chain : chainToSend(chain, ca));
      group.keys.push(readPem(reference.privateKey));
    }
    const names = new ByServerName<SecureContext>();
    let first: SecureContext | undefined;
    for (const group of served.values()) {
      const context = build(tls, ca, group);
      first ??= context;
      for (const name of group.names) names.add(name, context);
    }
    if (first === undefined) return err('there is no certificate');
    return ok(served.size === 1 ? { context: first } : { context: first, names });
  } catch (error) {
    return err(`TLS certificate or key cannot be used: ${errorText(error)}`);
  }
}

const build = (
  { validation, parameters, sessionTickets }: TlsMaterial,
  ca: string | undefined,
  served: Served | undefined,
): SecureContext =>
  createSecureContext({
    ...(served === undefined ? {} : { cert: served.chains, key: served.keys }),
    // As Envoy: whatever is named as an anchor is one, also where another authority has signed it.
    ...(ca === undefined ? {} : { ca, allowPartialTrustChain: true }),
    ...(validation?.crl === undefined ? {} : { crl: readPem(validation.crl) }),
    ...(parameters.cipherSuites === undefined ? {} : { ciphers: ciphersOf(parameters.cipherSuites) }),
    ...(parameters.ecdhCurves === undefined ? {} : { ecdhCurve: parameters.ecdhCurves.join(':') }),
    ...(sessionTickets === false ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
    minVersion: parameters.versionMin,
    maxVersion: parameters.versionMax,
    sessionIdContext: SESSION_CONTEXT,
  });
