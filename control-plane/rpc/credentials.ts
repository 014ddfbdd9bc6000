/** TLS of port 15012: a client certificate is asked for and not required, and the server's own can be replaced. */
import { ServerCredentials } from '@grpc/grpc-js';
import { serverTls } from '@weft/policies/kit/server-tls';
import type { ServingCertificate } from '../ca/serving.ts';
import type { OwnTrust } from '../ca/trust.ts';

export class MeshServerCredentials extends ServerCredentials {
  constructor(serving: ServingCertificate, trust: OwnTrust) {
    // A certificate that does not verify counts as none: the caller may still bring a token.
    super({ ...serverTls, requestCert: true, rejectUnauthorized: false }, contextOptions(serving, trust));
    const update = (): void => this.updateSecureContextOptions(contextOptions(serving, trust));
    serving.onChange(update);
    trust.onChange(update);
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

// A context that is replaced forgets what it is not told again.
const contextOptions = (serving: ServingCertificate, trust: OwnTrust) => ({
  minVersion: serverTls.minVersion,
  ciphers: serverTls.ciphers,
  ca: trust.pem(),
  cert: serving.current.certificatePem,
  key: serving.current.privateKeyPem.reveal(),
});
