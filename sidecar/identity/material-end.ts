import { X509Certificate } from 'node:crypto';
import type { KeyMaterial } from './material.ts';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const known = new WeakMap<KeyMaterial, number>();

/** When the first of what stands above the leaf ends: intermediates that came with it, and anchors of our trust domain. */
export function issuerEndUnixMs(material: KeyMaterial | undefined): number {
  if (material === undefined) return 0;
  let endUnixMs = known.get(material);
  if (endUnixMs === undefined) {
    const { trust, trustPem, chainPem } = material;
    const anchors = trust?.bundles.find((one) => one.trustDomain === trust.ownDomain)?.anchorsPem ?? trustPem;
    const [, ...intermediates] = chainPem.match(CERTIFICATE) ?? [];
    const ends = [...intermediates, ...(anchors.match(CERTIFICATE) ?? [])].map((pem) =>
      new X509Certificate(pem).validToDate.getTime(),
    );
    endUnixMs = Math.min(...ends);
    known.set(material, endUnixMs);
  }
  return endUnixMs;
}
