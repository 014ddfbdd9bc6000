/** TLS of port 15012: a client certificate is asked for and not required, and the server's own can be replaced. */
import { ServerCredentials } from '@grpc/grpc-js';
import type { ServingCertificate, ServingIdentity } from '../ca/serving.ts';

export class MeshServerCredentials extends ServerCredentials {
  constructor(serving: ServingCertificate, trustBundlePem: string) {
    // A certificate that does not verify counts as none: the caller may still bring a token.
    super(
      { requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' },
      contextOptions(serving.current, trustBundlePem),
    );
    serving.onChange((identity) => this.updateSecureContextOptions(contextOptions(identity, trustBundlePem)));
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

const contextOptions = (identity: ServingIdentity, trustBundlePem: string) => ({
  ca: trustBundlePem,
  cert: identity.certificatePem,
  key: identity.privateKeyPem.reveal(),
});
