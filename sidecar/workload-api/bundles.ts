import type { KeyMaterial } from '../identity/material.ts';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g;

/** The certificates of a PEM text as the Workload API wants them: DER, one after the other. */
export function derOf(pem: string): Buffer {
  return Buffer.concat([...pem.matchAll(CERTIFICATE)].map(([, base64 = '']) => Buffer.from(base64, 'base64')));
}

export const trustDomainOf = (spiffeId: string): string => spiffeId.split('/').slice(0, 3).join('/');

export interface X509Bundles {
  readonly own: Buffer;
  /** By the SPIFFE ID of the trust domain. */
  readonly federated: Readonly<Record<string, Buffer>>;
}

/** Anchors by trust domain: what the control plane tells, and until then what came with the certificate. */
export function bundlesOf({ spiffeId, trustPem, trust }: KeyMaterial): X509Bundles {
  const federated: Record<string, Buffer> = {};
  let own = derOf(trustPem);
  for (const { trustDomain, anchorsPem } of trust?.bundles ?? []) {
    const id = `spiffe://${trustDomain}`;
    if (id === trustDomainOf(spiffeId)) own = derOf(anchorsPem);
    else federated[id] = derOf(anchorsPem);
  }
  return { own, federated };
}
