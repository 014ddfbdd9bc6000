import { X509Certificate } from 'node:crypto';
import { parseSubjectAltNames } from './peer.ts';

/** The names that a certificate is for, lower case: its DNS names, or without any the common name. */
export function serverNamesOf(pem: string): readonly string[] {
  const certificate = new X509Certificate(pem);
  const names = parseSubjectAltNames(certificate.subjectAltName).flatMap(({ type, value }) =>
    type === 'dns' ? [value.toLowerCase()] : [],
  );
  if (names.length > 0) return names;
  const common = /^CN=(.+)$/m.exec(certificate.subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}

/** Finds what belongs to a name: under it, or under the wildcard that stands for its first label (RFC 9525 section 6.3). */
export class ByServerName<T> {
  private readonly values = new Map<string, T>();

  /** The first of a name keeps it. */
  add(name: string, value: T): void {
    if (!this.values.has(name)) this.values.set(name, value);
  }

  find(name: string): T | undefined {
    const lower = name.toLowerCase();
    const exact = this.values.get(lower);
    if (exact !== undefined) return exact;
    const dot = lower.indexOf('.');
    return dot === -1 ? undefined : this.values.get(`*${lower.slice(dot)}`);
  }
}
