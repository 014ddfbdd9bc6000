/** Another trust domain that tells its anchors at a bundle endpoint. */
import assert from 'node:assert/strict';
import { CertificateAuthority } from '@weft/control-plane/ca/certificate-authority';
import { loadAuthority } from '@weft/control-plane/ca/material';
import { createRoot } from '@weft/control-plane/ca/root';
import { startBundleEndpoint } from '@weft/control-plane/trust/bundle-endpoint';
import { formatSpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import { parseTrustDomain, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import { systemClock } from '@weft/policies/kit/clock';

export const domain = (text: string): TrustDomain => {
  const parsed = parseTrustDomain(text);
  assert.ok(parsed.ok);
  return parsed.value;
};

export async function authorityOf(trustDomain: TrustDomain): Promise<CertificateAuthority> {
  const issued = { trustDomain, dnsName: undefined };
  const loaded = loadAuthority(await createRoot(trustDomain, Date.now()), { clock: systemClock, issued });
  assert.ok(loaded.ok);
  return new CertificateAuthority(loaded.value);
}

export async function startPartner(name: string) {
  const trustDomain = domain(name);
  const authority = await authorityOf(trustDomain);
  const endpoint = await startBundleEndpoint({
    address: { host: '127.0.0.1', port: 0 },
    trustDomain,
    namespace: 'weft-system',
    authority,
    jwtKeys: () => [],
    clock: systemClock,
    log: { warn: () => undefined },
  });
  const bundle = formatSpiffeBundle({ anchors: authority.anchors(), jwtKeys: [], sequence: 1, refreshHintSeconds: 10 });
  const url = `https://127.0.0.1:${endpoint.port}/`;
  const federation = {
    trustDomain: name,
    bundle,
    endpoint: { url, profile: 'HTTPSSPIFFE', spiffeId: endpoint.spiffeId },
  };
  /** The Mesh that is federated with it, and with nobody else. */
  const mesh = {
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'Mesh',
    metadata: { name: 'default' },
    spec: { trust: { federation: [federation] } },
  };
  return { mesh, stop: () => endpoint.stop() };
}
