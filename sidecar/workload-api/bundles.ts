import type { KeyMaterial } from '../identity/material.ts';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g;

/** The certificates of a PEM text as the Workload API wants them: DER, one after the other. */
export function derOf(pem: string): Buffer {
  return Buffer.concat([...pem.matchAll(CERTIFICATE)].map(([, base64 = '']) => Buffer.from(base64, 'base64')));
}

export const trustDomainOf = (spiffeId: string): string => spiffeId.split('/').slice(0, 3).join('/');

interface X509Bundles {
  readonly own: Buffer;
  /** By the SPIFFE ID of the trust domain. */
  readonly federated: Readonly<Record<string, Buffer>>;
}

/** PEM of the anchors of the identity's own trust domain. */
export function ownAnchors({ spiffeId, trustPem, trust }: KeyMaterial): string {
  const own = trust?.bundles.find(({ trustDomain }) => `spiffe://${trustDomain}` === trustDomainOf(spiffeId));
  return own?.anchorsPem ?? trustPem;
}

/** Anchors by trust domain: what the control plane tells, and until then what came with the certificate. */
export function bundlesOf(material: KeyMaterial): X509Bundles {
  const { spiffeId, trust } = material;
  const federated: Record<string, Buffer> = {};
  for (const { trustDomain, anchorsPem } of trust?.bundles ?? []) {
    const id = `spiffe://${trustDomain}`;
    if (id !== trustDomainOf(spiffeId)) federated[id] = derOf(anchorsPem);
  }
  return { own: derOf(ownAnchors(material)), federated };
}
