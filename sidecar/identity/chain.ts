import { X509Certificate } from 'node:crypto';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function certificates(pem: string): X509Certificate[] {
  return (pem.match(CERTIFICATE) ?? []).map((text) => new X509Certificate(text));
}

const issued = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

/**
 * The leaf of a chain that leads to one of the trust anchors. Looked at before the runtime gets both: given an empty
 * bundle it would trust the public authorities that it was built with, and a bundle that does not fit would show only
 * when every handshake fails. Validity is left to the caller.
 */
export function leafOfChain(chainPem: string, trustPem: string): Result<X509Certificate, string> {
  let chain: X509Certificate[];
  let anchors: X509Certificate[];
  try {
    chain = certificates(chainPem);
    anchors = certificates(trustPem);
  } catch (error) {
    return err(`it cannot be read: ${errorText(error)}`);
  }
  const [leaf] = chain;
  const last = chain.at(-1);
  if (leaf === undefined || last === undefined) return err('there is no certificate');
  if (anchors.length === 0) return err('there is no trust anchor');
  for (const [i, certificate] of chain.entries()) {
    const next = chain[i + 1];
    if (next !== undefined && !issued(certificate, next))
      return err('one certificate of the chain is not issued by the next');
  }
  const anchored = anchors.some((anchor) => issued(last, anchor) || last.fingerprint256 === anchor.fingerprint256);
  return anchored ? ok(leaf) : err('the chain does not lead to a trust anchor');
}

/** Longer ones are no chains of anybody's. */
const CHAIN_CERTIFICATES_MAX = 8;

/**
 * What the peer is to be sent. A leaf that comes alone is completed from the trust anchors by OpenSSL, which looks for its
 * issuer and verifies it in every handshake; the same chain, made once, is sent as it is.
 */
export function chainToSend(chainPem: string, trustPem: string): string {
  try {
    const chain = certificates(chainPem);
    const [leaf] = chain;
    if (leaf === undefined || chain.length > 1) return chainPem;
    const anchors = certificates(trustPem);
    for (let last = leaf; chain.length < CHAIN_CERTIFICATES_MAX && !issued(last, last); ) {
      const issuer = anchors.find((anchor) => issued(last, anchor));
      if (issuer === undefined) break;
      chain.push(issuer);
      last = issuer;
    }
    return chain.map(String).join('');
  } catch {
    // Whoever makes a context of it says what is wrong.
    return chainPem;
  }
}
