import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { err, ok, type Result } from '@weft/policies/kit/result';
import {
  type CertificateRef,
  type DownstreamTls,
  IDENTITY_SECRET,
  type PeerValidation,
  type PemSource,
  TRUST_SECRET,
  type UpstreamTls,
} from '@weft/policies/model/tls';
import { chainToSend } from '../identity/chain.ts';
import type { CertificateSource } from '../identity/source.ts';

/** The parts of both kinds of TLS context that make key material. */
type TlsMaterial = Pick<DownstreamTls | UpstreamTls, 'certificate' | 'validation' | 'parameters'>;

export interface ActiveContext {
  readonly context: SecureContext;
  /** Changes with each rotation: sessions of another generation are not resumed. */
  readonly generation: number;
}

/** RFC 8446 section 4.6.1 leaves it to the server whose tickets it takes; OpenSSL asks for a name to tell. */
const SESSION_CONTEXT = 'weft';

function readPem(source: PemSource): string {
  return source.kind === 'pem' ? source.pem : readFileSync(source.path, 'utf8');
}

/**
 * Contexts of TLS settings, made once for each generation of certificates: new connections get the newest, established
 * ones keep theirs.
 */
export class TlsContexts {
  private readonly certificates: CertificateSource;
  private readonly made = new WeakMap<TlsMaterial, ActiveContext>();
  private readonly resumable = new WeakSet<SecureContext>();

  constructor(certificates: CertificateSource) {
    this.certificates = certificates;
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
    const needsOwn = validation?.trust.kind === 'secret';
    const own = needsOwn ? this.certificates.own() : undefined;
    if (needsOwn && own === undefined) return err('the trust anchors of the mesh are not known yet');
    const generation = own?.generation ?? 0;
    const before = this.made.get(tls);
    if (before !== undefined && before.generation === generation) return ok(before);
    const made = build(tls, own?.trustPem);
    if (!made.ok) return made;
    const active = { context: made.value, generation };
    this.made.set(tls, active);
    return ok(active);
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

function build(tls: TlsMaterial, trustPem: string | undefined): Result<SecureContext, string> {
  const { certificate, validation, parameters } = tls;
  if (certificate?.kind === 'secret') return err('a certificate by secret needs trust anchors by secret too');
  try {
    const ca = validation?.trust.kind === 'inline' ? readPem(validation.trust.ca) : trustPem;
    const cert = certificate === undefined ? undefined : readPem(certificate.certificateChain);
    return ok(
      createSecureContext({
        ...(certificate === undefined || cert === undefined
          ? {}
          : { cert: ca === undefined ? cert : chainToSend(cert, ca), key: readPem(certificate.privateKey) }),
        ...(ca === undefined ? {} : { ca }),
        ...(validation?.crl === undefined ? {} : { crl: readPem(validation.crl) }),
        ...(parameters.cipherSuites === undefined ? {} : { ciphers: ciphersOf(parameters.cipherSuites) }),
        ...(parameters.ecdhCurves === undefined ? {} : { ecdhCurve: parameters.ecdhCurves.join(':') }),
        minVersion: parameters.versionMin,
        maxVersion: parameters.versionMax,
        sessionIdContext: SESSION_CONTEXT,
      }),
    );
  } catch (error) {
    return err(`TLS certificate or key cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}
