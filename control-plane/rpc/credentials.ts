/** TLS of port 15012: a client certificate is asked for and not required, and the server's own can be replaced. */
import { constants } from 'node:crypto';
import { createSecureContext, type TlsOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { serverTls } from '@weft/policies/kit/server-tls';
import type { ServingCertificate } from '../ca/serving.ts';
import type { OwnTrust } from '../ca/trust.ts';

export class MeshServerCredentials extends ServerCredentials {
  constructor(serving: ServingCertificate, trust: OwnTrust) {
    const options = contextOptions(serving, trust);
    // Servers of the runtime drop `allowPartialTrustChain`, which contexts know; who names no server has to do without.
    let context = createSecureContext(options);
    const SNICallback: TlsOptions['SNICallback'] = (_, done) => done(null, context);
    // A certificate that does not verify counts as none: the caller may still bring a token.
    super({ ...serverTls, requestCert: true, rejectUnauthorized: false, SNICallback }, options);
    const update = (): void => {
      const next = contextOptions(serving, trust);
      context = createSecureContext(next);
      this.updateSecureContextOptions(next);
    };
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
  // An anchor is believed as it is, also where another authority has signed it.
  allowPartialTrustChain: true,
  cert: serving.current.completePem,
  key: serving.current.privateKeyPem.reveal(),
});
