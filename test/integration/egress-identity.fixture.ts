import type { CertificateSource } from '@weft/sidecar/identity/source';

/** A sidecar that has no certificate of its own. */
export const plaintextIdentity: CertificateSource = {
  get: () => undefined,
  own: () => undefined,
  onChange: () => () => undefined,
};
