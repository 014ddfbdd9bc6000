import { X509Certificate } from 'node:crypto';
import { decodePem, encodePem } from '../identity/x509/pem.ts';

/** Whether every block of a PEM text is a certificate: one that is not would be found out by each sidecar for itself. */
export function areCertificates(text: string): boolean {
  const blocks = decodePem('CERTIFICATE', text);
  return blocks.ok && blocks.value.every(isCertificate);
}

function isCertificate(der: Uint8Array): boolean {
  try {
    new X509Certificate(encodePem('CERTIFICATE', der));
    return true;
  } catch {
    return false;
  }
}
