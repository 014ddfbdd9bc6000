import { statSync } from 'node:fs';
import { errorText } from '@weft/policies/kit/error-text';
import type { CertificateRef, PeerValidation, PemSource } from '@weft/policies/model/tls';

interface Material {
  readonly certificate: CertificateRef | undefined;
  readonly moreCertificates?: readonly CertificateRef[];
  readonly validation: PeerValidation | undefined;
}

/** The files that TLS settings name. */
export function filesOf({ certificate, moreCertificates = [], validation }: Material): readonly string[] {
  const sources: (PemSource | undefined)[] = [validation?.crl];
  if (validation?.trust.kind === 'inline') sources.push(validation.trust.ca);
  for (const reference of [certificate, ...moreCertificates]) {
    if (reference?.kind === 'inline') sources.push(reference.certificateChain, reference.privateKey);
  }
  return sources.flatMap((source) => (source?.kind === 'file' ? [source.path] : []));
}

/**
 * Changes when any of the files does: its content, or which file the path leads to, as when Kubernetes turns the link
 * of a mounted Secret to a new folder.
 */
export function stampOf(files: readonly string[]): string {
  let stamp = '';
  for (const file of files) stamp += `${stampOfFile(file)} `;
  return stamp;
}

function stampOfFile(file: string): string {
  try {
    const found = statSync(file, { throwIfNoEntry: false });
    return found === undefined ? '-' : `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`;
  } catch (error) {
    // Links in a circle, or a folder that may not be entered: who reads the file says so.
    return errorText(error);
  }
}
