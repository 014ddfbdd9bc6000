/** Pods of a control plane that runs in the test: their objects, certificates and inbound listeners. */
import assert from 'node:assert/strict';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { type Harness, signFor } from '@weft/control-plane/testing/harness';
import { DeltaClient, decoded } from '@weft/control-plane/testing/xds-client';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { SocketAddress } from '@weft/policies/model/address';
import type { Listener } from '@weft/policies/model/listener';
import type { WorkloadCertificate } from '@weft/sidecar/identity/source';

export const podOf = (app: string, ip: string): string => `
kind: Pod
metadata: { name: ${app}-a, namespace: shop, uid: uid-${app}, labels: { app: ${app} } }
spec:
  serviceAccountName: ${app}
  containers: [{ name: app }]
  initContainers: [{ name: weft-proxy, restartPolicy: Always }]
status: { phase: Running, podIP: ${ip}, podIPs: [{ ip: ${ip} }] }`;

/** The token of a pod is the name of its app. */
export const tokensOf = (apps: readonly string[]): string => `
tokens:
${apps
  .map((app) => `  - { token: ${app}, namespace: shop, serviceAccount: ${app}, pod: ${app}-a, uid: uid-${app} }`)
  .join('\n')}
`;

/** With TLS 1.3 alone, as sidecars have it, unless the test says otherwise. */
export async function certificateOf(
  harness: Harness,
  app: string,
  versions: SecureContextOptions = { minVersion: 'TLSv1.3' },
): Promise<WorkloadCertificate> {
  const signed = await signFor(harness, { token: app }, { namespace: 'shop', serviceAccount: app });
  assert.ok(signed.ok);
  const trustPem = harness.authority.trustBundlePem;
  return {
    spiffeId: `spiffe://cluster.local/ns/shop/sa/${app}` as SpiffeId,
    notBeforeUnixMs: Date.now(),
    notAfterUnixMs: Date.now() + 3_600_000,
    serialHex: '',
    context: createSecureContext({
      cert: signed.chainPem,
      key: signed.key.export({ type: 'pkcs8', format: 'pem' }),
      ca: trustPem,
      ...versions,
    }),
    trustPem,
    generation: 1,
  };
}

/** As the control plane makes it for the pod, but bound to addresses of the test. */
export async function inboundListener(
  harness: Harness,
  app: string,
  addresses: readonly SocketAddress[],
): Promise<Listener> {
  const pod = { pod: `${app}-a`, namespace: 'shop', features: ['weft.http2', 'weft.connect'] };
  const client = DeltaClient.open(harness, { token: app }, pod);
  client.subscribe('listener', ['inbound']);
  const resource = decoded((await client.next()).resources[0]?.resource);
  client.close();
  assert.ok(resource.kind === 'listener');
  return { ...resource.value, useOriginalDst: false, addresses };
}
