/** TLS of port 15012: a client certificate is asked for and not required, and the server's own can be replaced. */
import { constants } from 'node:crypto';
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
  // Who resumes a session is not looked at again, whatever the anchors are by then; and tickets cost each first connection.
  secureOptions: constants.SSL_OP_NO_TICKET,
  ciphers: serverTls.ciphers,
  ca: trust.pem(),
  cert: serving.current.completePem,
  key: serving.current.privateKeyPem.reveal(),
});
