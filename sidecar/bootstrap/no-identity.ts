import type { CertificateSource } from '../identity/source.ts';

/** A bootstrap brings its certificates itself; there is no identity of the mesh. */
export const noIdentity: CertificateSource = { get: () => undefined, own: () => undefined, onChange: () => () => {} };
