import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { PemSource } from '@weft/policies/model/tls';
import type { Bootstrap } from './load.ts';
import { chainsOf } from './references.ts';

const DAY_MS = 86_400_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

interface ListedCertificate {
  readonly path: string;
  readonly serial_number: string;
  readonly subject_alt_names: readonly object[];
  readonly days_until_expiration: string;
  readonly valid_from: string;
  readonly expiration_time: string;
}

function listed(source: PemSource, nowUnixMs: number): ListedCertificate[] {
  const pem = source.kind === 'pem' ? source.pem : readFileSync(source.path, 'utf8');
  return (pem.match(CERTIFICATE) ?? []).map((block) => {
    const certificate = new X509Certificate(block);
    const names = (certificate.subjectAltName ?? '').split(', ').flatMap((name): object[] => {
      if (name.startsWith('URI:')) return [{ uri: name.slice(4) }];
      if (name.startsWith('DNS:')) return [{ dns: name.slice(4) }];
      if (name.startsWith('IP Address:')) return [{ ip_address: name.slice(11) }];
      return [];
    });
    return {
      path: source.kind === 'file' ? source.path : '<inline>',
      serial_number: certificate.serialNumber.toLowerCase(),
      subject_alt_names: names,
      days_until_expiration: String(Math.max(0, Math.floor((certificate.validToDate.getTime() - nowUnixMs) / DAY_MS))),
      valid_from: certificate.validFromDate.toISOString(),
      expiration_time: certificate.validToDate.toISOString(),
    };
  });
}

/** The certificates that a bootstrap names, as Envoy's /certs shows them: those of others and our own, no keys. */
export function certificateList({ listeners, clusters }: Bootstrap, nowUnixMs: number): unknown {
  const contexts = [
    ...listeners.flatMap((listener) => chainsOf(listener, '')).map(([, chain]) => chain.tls),
    ...clusters.map(({ tls }) => tls),
  ];
  return {
    certificates: contexts.flatMap((tls) => {
      if (tls === undefined) return [];
      const { certificate, validation } = tls;
      const more = 'moreCertificates' in tls ? (tls.moreCertificates ?? []) : [];
      const own = [certificate, ...more].flatMap((one) =>
        one?.kind === 'inline' ? listed(one.certificateChain, nowUnixMs) : [],
      );
      const trust = validation?.trust.kind === 'inline' ? listed(validation.trust.ca, nowUnixMs) : [];
      return [{ ca_cert: trust, cert_chain: own }];
    }),
  };
}
