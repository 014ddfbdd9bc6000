import { constants, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { chainToSend } from './chain.ts';
import { PeerTrust, type TrustData } from './peer-trust.ts';
import type { WorkloadCertificate } from './source.ts';

/** One generation of an identity, as it goes from thread to thread. */
export interface KeyMaterial {
  readonly spiffeId: SpiffeId;
  readonly notBeforeUnixMs: number;
  readonly notAfterUnixMs: number;
  readonly serialHex: string;
  readonly chainPem: string;
  readonly key: KeyObject;
  /** Anchors of the authority that signed the leaf. */
  readonly trustPem: string;
  /** Undefined: whatever leads to those anchors is believed. */
  readonly trust?: TrustData | undefined;
  readonly generation: number;
  /** 48 bytes: a ticket of one thread is taken by the others, and by none of another generation. */
  readonly ticketKeys: Uint8Array;
}

export function certificateOf(material: KeyMaterial): WorkloadCertificate {
  const { spiffeId, notBeforeUnixMs, notAfterUnixMs, serialHex, generation } = material;
  const trust = material.trust === undefined ? undefined : PeerTrust.checked(material.trust);
  const trustPem = trust?.anchorsPem ?? material.trustPem;
  const context = createSecureContext({
    key: material.key.export({ type: 'pkcs8', format: 'pem' }),
    cert: chainToSend(material.chainPem, material.trustPem),
    ca: trustPem,
    // An anchor is believed as it is, also where another authority has signed it.
    allowPartialTrustChain: true,
    // Without it OpenSSL refuses to resume a session of a client that showed a certificate.
    sessionIdContext: 'weft',
    ticketKeys: Buffer.from(material.ticketKeys),
    // A ticket brings the leaf back and not its chain, which says whose identity it may be.
    ...(trust?.federated === true ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
  });
  const contextFor: WorkloadCertificate['contextFor'] = (ca, versions) =>
    createSecureContext({
      key: material.key.export({ type: 'pkcs8', format: 'pem' }),
      cert: chainToSend(material.chainPem, material.trustPem),
      ...(ca === undefined ? {} : { ca, allowPartialTrustChain: true }),
      ...versions,
    });
  return { spiffeId, notBeforeUnixMs, notAfterUnixMs, serialHex, context, contextFor, trustPem, trust, generation };
}
