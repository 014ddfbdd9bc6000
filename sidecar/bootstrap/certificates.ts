import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { CertificateRef, DownstreamTls, PemSource, UpstreamTls } from '@weft/policies/model/tls';
import type { WireError } from '@weft/policies/wire/decoding';
import { serverNamesOf } from '../net/server-names.ts';
import type { Bootstrap } from './load.ts';
import { chainsOf } from './references.ts';

/** Keys and certificates that a bootstrap names, looked at before anything listens: a wrong file would otherwise show only in the first handshake. */
export function checkCertificates({ listeners, clusters }: Bootstrap): readonly WireError[] {
  const chains = listeners.flatMap((listener, i) => chainsOf(listener, `static_resources.listeners[${i}]`));
  return [
    ...chains.flatMap(([path, chain]) => contextErrors(chain.tls, `${path}.transport_socket`)),
    ...clusters.flatMap(({ tls }, i) => contextErrors(tls, `static_resources.clusters[${i}].transport_socket`)),
  ];
}

function contextErrors(tls: DownstreamTls | UpstreamTls | undefined, path: string): WireError[] {
  const at = `${path}.typed_config.common_tls_context`;
  const errors = certificateErrors(tls?.certificate, `${at}.tls_certificates[0]`);
  const more = tls !== undefined && 'moreCertificates' in tls ? (tls.moreCertificates ?? []) : [];
  errors.push(...more.flatMap((one, i) => certificateErrors(one, `${at}.tls_certificates[${i + 1}]`)));
  if (errors.length === 0 && more.length > 1) errors.push(...doubleErrors([tls?.certificate, ...more], at));
  const crl = tls?.validation?.crl;
  if (crl !== undefined) errors.push(...usable({ crl: read(crl) }, `${at}.validation_context.crl`));
  const { cipherSuites, ecdhCurves } = tls?.parameters ?? {};
  if (cipherSuites !== undefined) {
    errors.push(...usable({ ciphers: ok(cipherSuites.join(':')) }, `${at}.tls_params.cipher_suites`));
  }
  if (ecdhCurves !== undefined) {
    errors.push(...usable({ ecdhCurve: ok(ecdhCurves.join(':')) }, `${at}.tls_params.ecdh_curves`));
  }
  const trust = tls?.validation?.trust;
  if (trust?.kind === 'inline') {
    const anchors = certificates(trust.ca);
    if (!anchors.ok) errors.push({ path: `${at}.validation_context.trusted_ca`, message: anchors.error });
  }
  return errors;
}

/** What is chosen by name is one certificate: the runtime takes no second kind of key along. */
function doubleErrors(references: readonly (CertificateRef | undefined)[], at: string): WireError[] {
  const seen = new Set<string>();
  const errors: WireError[] = [];
  const served = references.map((one) => {
    const text = one?.kind === 'inline' ? read(one.certificateChain) : undefined;
    return text?.ok ? serverNamesOf(text.value).toSorted().join(' ') : '';
  });
  // Without a choice both kinds are served.
  if (new Set(served).size === 1) return errors;
  for (const [i, names] of served.entries()) {
    const message =
      'has the names of another one; Weft takes that only where there are no certificates for other names';
    if (seen.has(names)) errors.push({ path: `${at}.tls_certificates[${i}]`, message });
    seen.add(names);
  }
  return errors;
}

/** The runtime judges: what it has depends on how it was built. */
function usable(option: Readonly<Record<string, Result<string, string>>>, path: string): WireError[] {
  const [[name, value] = ['', ok('')]] = Object.entries(option);
  if (!value.ok) return [{ path, message: value.error }];
  try {
    createSecureContext({ [name]: value.value });
    return [];
  } catch {
    return [{ path, message: 'is not understood by this runtime' }];
  }
}

function certificateErrors(reference: CertificateRef | undefined, at: string): WireError[] {
  if (reference?.kind !== 'inline') return [];
  const chain = certificates(reference.certificateChain);
  const key = read(reference.privateKey);
  const errors: WireError[] = [];
  if (!chain.ok) errors.push({ path: `${at}.certificate_chain`, message: chain.error });
  if (!key.ok) errors.push({ path: `${at}.private_key`, message: key.error });
  if (!chain.ok || !key.ok) return errors;
  try {
    if (chain.value.checkPrivateKey(createPrivateKey(key.value))) return [];
    return [{ path: `${at}.private_key`, message: `${where(reference.privateKey)}is not the key of the certificate` }];
  } catch {
    // What OpenSSL says of a broken key may quote it.
    return [{ path: `${at}.private_key`, message: `${where(reference.privateKey)}holds no private key in PEM` }];
  }
}

const where = (source: PemSource): string => (source.kind === 'file' ? `${source.path} ` : '');

function read(source: PemSource): Result<string, string> {
  if (source.kind === 'pem') return ok(source.pem);
  try {
    return ok(readFileSync(source.path, 'utf8'));
  } catch (error) {
    return err(`cannot be read: ${errorText(error)}`);
  }
}

/** The first certificate of a PEM text. */
function certificates(source: PemSource): Result<X509Certificate, string> {
  const text = read(source);
  if (!text.ok) return text;
  try {
    return ok(new X509Certificate(text.value));
  } catch {
    return err(`${where(source)}holds no certificate in PEM`);
  }
}
