import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { certificateOf, type KeyMaterial } from '../identity/material.ts';
import type { CertificateSource, WorkloadCertificate } from '../identity/source.ts';

/** A data thread's certificates, made of the material that the control thread hands out. */
export class ReplicaCertificates implements CertificateSource {
  private certificate: WorkloadCertificate | undefined = undefined;
  private readonly listeners = new Set<(certificate: WorkloadCertificate) => void>();

  get(spiffeId: SpiffeId): WorkloadCertificate | undefined {
    return this.certificate?.spiffeId === spiffeId ? this.certificate : undefined;
  }

  own(): WorkloadCertificate | undefined {
    return this.certificate;
  }

  onChange(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  adopt(material: KeyMaterial): void {
    const certificate = certificateOf(material);
    this.certificate = certificate;
    for (const listener of this.listeners) listener(certificate);
  }
}
