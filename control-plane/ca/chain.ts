/** From an issuing certificate to its anchor: found, verified, and allowed to issue what the mesh needs. */
import { X509Certificate } from 'node:crypto';
import { type Certificate, parseCertificate } from '@weft/policies/identity/x509/certificate';
import { permitsHost } from '@weft/policies/identity/x509/name-constraints';
import { err, ok, type Result } from '@weft/policies/kit/result';

const depthMax = 8;

interface ChainLink {
  readonly der: Uint8Array;
  readonly certificate: Certificate;
  readonly openssl: X509Certificate;
}

export interface Names {
  /** Where each part came from, for the errors. */
  readonly chain: string;
  readonly key: string;
  readonly anchors: string;
}

/** What a leaf may be issued for: the host of its URI, and DNS names of the control plane. */
export interface IssuedNames {
  readonly trustDomain: string;
  readonly dnsName: string | undefined;
}

function parseLink(der: Uint8Array): Result<ChainLink, string> {
  const certificate = parseCertificate(der);
  if (!certificate.ok) return certificate;
  try {
    return ok({ der, certificate: certificate.value, openssl: new X509Certificate(der) });
  } catch {
    return err('certificate: OpenSSL does not take it');
  }
}

export function parseLinks(ders: readonly Uint8Array[]): Result<readonly ChainLink[], string> {
  const links: ChainLink[] = [];
  for (const [index, der] of ders.entries()) {
    const link = parseLink(der);
    if (!link.ok) return err(`certificate ${index + 1}: ${link.error}`);
    links.push(link.value);
  }
  return ok(links);
}

export const isSelfSigned = ({ openssl }: ChainLink): boolean =>
  openssl.checkIssued(openssl) && openssl.verify(openssl.publicKey);

export const nameOf = ({ openssl }: ChainLink): string => `"${openssl.subject.replaceAll('\n', ', ')}"`;

const issued = (child: ChainLink, parent: ChainLink): boolean =>
  child.openssl.checkIssued(parent.openssl) && child.openssl.verify(parent.openssl.publicKey);

/** The issuing certificate first, its anchor last; one element when it is its own anchor. */
export function chainToAnchor(
  issuing: ChainLink,
  others: readonly ChainLink[],
  anchors: readonly ChainLink[],
  names: Names,
): Result<readonly ChainLink[], string> {
  const path = [issuing];
  for (let last = issuing; path.length <= depthMax; ) {
    if (anchors.some((anchor) => Buffer.compare(anchor.der, last.der) === 0)) return ok(path);
    const anchor = anchors.find((one) => issued(last, one));
    if (anchor !== undefined) return ok([...path, anchor]);
    const next = others.find((one) => !path.includes(one) && issued(last, one));
    if (next === undefined) {
      const issuer = last.openssl.issuer.replaceAll('\n', ', ');
      return err(
        `${names.chain}: the chain does not verify: ${nameOf(last)} is issued by "${issuer}", and no certificate of ${names.chain} or ${names.anchors} with that name has signed it`,
      );
    }
    path.push(next);
    last = next;
  }
  return err(`${names.chain}: the chain is longer than ${depthMax} certificates`);
}

/** RFC 5280 section 6.1, the parts that an authority of ours can break. */
export function checkPath(
  path: readonly ChainLink[],
  issuedNames: IssuedNames,
  nowUnixMs: number,
  names: Names,
): Result<true, string> {
  for (const [below, link] of path.entries()) {
    const { certificate } = link;
    const at = `${below === 0 ? names.chain : `${names.chain} and ${names.anchors}`}: ${nameOf(link)}`;
    if (!certificate.isCa) return err(`${at} is not a certificate of an authority (basic constraints say no CA)`);
    if (certificate.keyUsage.length > 0 && !certificate.keyUsage.includes('keyCertSign'))
      return err(`${at} may not sign certificates (key usage lacks keyCertSign)`);
    if (certificate.notAfterMs <= nowUnixMs)
      return err(`${at} expired at ${new Date(certificate.notAfterMs).toISOString()}`);
    if (certificate.notBeforeMs > nowUnixMs)
      return err(`${at} is not valid before ${new Date(certificate.notBeforeMs).toISOString()}`);
    // The number of authorities that may stand below it, the leaf not counted.
    if (certificate.pathLength !== undefined && certificate.pathLength < below)
      return err(`${at} allows ${certificate.pathLength} authorities below it (path length), the chain has ${below}`);
    const { nameConstraints } = certificate;
    if (nameConstraints === undefined) continue;
    if (!permitsHost(nameConstraints, 'uri', issuedNames.trustDomain))
      return err(`${at} may not issue for spiffe://${issuedNames.trustDomain} (name constraints)`);
    if (issuedNames.dnsName !== undefined && !permitsHost(nameConstraints, 'dns', issuedNames.dnsName))
      return err(`${at} may not issue for the DNS name ${issuedNames.dnsName} of the control plane (name constraints)`);
  }
  return ok(true);
}
