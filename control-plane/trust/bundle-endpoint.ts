/** Our own bundle for other trust domains (SPIFFE Federation section 5): HTTPS with an X509-SVID of the control plane. */
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:https';
import { formatSpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import { formatSpiffeId, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { ListenAddress } from '../config.ts';

interface BundleEndpointOptions {
  readonly address: ListenAddress;
  readonly trustDomain: TrustDomain;
  readonly namespace: string;
  readonly authority: CertificateAuthority;
  readonly jwtKeys: () => readonly object[];
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
}

const certificateTtlMs = 24 * 3_600_000;
const refreshHintSeconds = 300;
const connectionsMax = 256;

export interface BundleEndpointServer {
  readonly port: number;
  readonly spiffeId: string;
  stop(): void;
}

export async function startBundleEndpoint(options: BundleEndpointOptions): Promise<BundleEndpointServer> {
  const { authority, clock, log, address, jwtKeys, trustDomain, namespace } = options;
  const spiffeId = formatSpiffeId({ trustDomain, namespace, serviceAccount: 'weft-control-plane' });
  const issue = async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const csr = await buildCsr({ spiffeId, publicKey, sign: keySigner(privateKey) });
    const leaf = await authority.signWorkload(csr, spiffeId, certificateTtlMs);
    if (!leaf.ok) throw new Error(leaf.error.message);
    return {
      cert: leaf.value.chain.map((der) => encodePem('CERTIFICATE', der)).join(''),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  };
  let sequence = Math.floor(clock.unixMs() / 1_000);
  const server = createServer({ ...(await issue()), minVersion: 'TLSv1.2' }, (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    const body = formatSpiffeBundle({ anchors: authority.anchors(), jwtKeys: jwtKeys(), sequence, refreshHintSeconds });
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  });
  server.maxConnections = connectionsMax;
  server.requestTimeout = 10_000;
  const renew = (): void =>
    void issue().then(
      (context) => server.setSecureContext({ ...context, minVersion: 'TLSv1.2' }),
      (fault: unknown) => log.warn('certificate of the bundle endpoint not renewed', { reason: String(fault) }),
    );
  let cancel: Cancel | undefined;
  const plan = (): void => {
    cancel = clock.after(certificateTtlMs / 3, () => {
      renew();
      plan();
    });
  };
  plan();
  const stopFollowing = authority.onChange(() => {
    // It only ever grows, also over a restart.
    sequence = Math.max(sequence + 1, Math.floor(clock.unixMs() / 1_000));
    renew();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => resolve());
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
    spiffeId,
    stop: () => {
      cancel?.();
      stopFollowing();
      server.close();
      server.closeAllConnections();
    },
  };
}
