/** An authority outside the mesh that signs requests for intermediates, as an issuer of cert-manager does. */
import { createPrivateKey, randomBytes } from 'node:crypto';
import { buildCertificate, parseCertificate, serialNumber } from '@weft/policies/identity/x509/certificate';
import { parseCsr } from '@weft/policies/identity/x509/csr';
import { decodePem, encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { createRoot } from '../ca/root.ts';
import { trustDomain } from './harness.ts';

export interface OutsideIssuer {
  readonly rootPem: string;
  /** For what the request asks: its key, its subject, its names. */
  sign(csrPem: string, times: { readonly notBeforeMs: number; readonly notAfterMs: number }): Promise<string>;
}

export async function outsideIssuer(nowUnixMs: number): Promise<OutsideIssuer> {
  const root = await createRoot(trustDomain(), nowUnixMs);
  const [rootDer = new Uint8Array(0)] = take(decodePem('CERTIFICATE', root.chainPem));
  const certificate = take(parseCertificate(rootDer));
  const key = createPrivateKey(root.privateKeyPem.reveal());
  return {
    rootPem: root.chainPem,
    sign: async (csrPem, times) => {
      const [csrDer = new Uint8Array(0)] = take(decodePem('CERTIFICATE REQUEST', csrPem));
      const { subject, publicKey, sans } = take(parseCsr(csrDer));
      const der = await buildCertificate({
        ...times,
        serial: serialNumber(randomBytes(16)),
        issuer: { der: certificate.subjectDer },
        subject,
        publicKey,
        sans,
        isCa: true,
        pathLength: 0,
        keyUsage: ['digitalSignature', 'keyCertSign', 'cRLSign'],
        extKeyUsage: [],
        authorityKeyId: certificate.subjectKeyId,
        sign: keySigner(key),
      });
      return encodePem('CERTIFICATE', der);
    },
  };
}

function take<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string }): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}
