import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { issueCertificate, privateKeyPem, publicOf, readPrivateKey } from './x509.ts';

/** The cluster's own certificate authority, the server's certificate, client certificates and the key that signs tokens. */
export interface Pki {
  readonly caPem: string;
  readonly serverCertificatePem: string;
  readonly serverKeyPem: string;
  readonly tokenKey: KeyObject;
  kubeconfigFor(user: string, groups: readonly string[], server: string): string;
}

interface PkiOptions {
  readonly directory: string;
  readonly serverNames: readonly string[];
  readonly now: () => number;
}

const caName = 'weft-local-ca';
const yearMs = 365 * 24 * 3600_000;

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** Written aside and renamed, so that a crash never leaves half a key. */
function writeSecret(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function loadKey(path: string): KeyObject {
  if (existsSync(path)) return readPrivateKey(readFileSync(path, 'utf8'));
  const key = newKey();
  writeSecret(path, privateKeyPem(key));
  return key;
}

/** A clock that is set back (a laptop that finds its time server) must not make certificates invalid. */
const backdatedMs = 24 * 3600_000;

function loadCa(directory: string, key: KeyObject, now: number): string {
  const path = join(directory, 'ca.crt');
  if (existsSync(path)) {
    const pem = readFileSync(path, 'utf8');
    const certificate = new X509Certificate(pem);
    if (Date.parse(certificate.validTo) > now + yearMs && certificate.checkPrivateKey(key)) return pem;
  }
  const pem = issueCertificate({
    commonName: caName,
    publicKey: publicOf(key),
    issuer: { commonName: caName, key },
    notBeforeMs: now - backdatedMs,
    notAfterMs: now + 10 * yearMs,
    usage: 'ca',
  });
  writeSecret(path, pem);
  return pem;
}

export function openPki(options: PkiOptions): Pki {
  const { directory, now } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const caKey = loadKey(join(directory, 'ca.key'));
  const tokenKey = loadKey(join(directory, 'sa.key'));
  const caPem = loadCa(directory, caKey, now());
  const issuer = { commonName: caName, key: caKey };
  const issue = (
    commonName: string,
    organizations: readonly string[],
    usage: 'server' | 'client',
    names: readonly string[],
  ) => {
    const key = newKey();
    const certificate = issueCertificate({
      commonName,
      organizations,
      publicKey: publicOf(key),
      issuer,
      notBeforeMs: now() - backdatedMs,
      notAfterMs: now() + yearMs,
      usage,
      names,
    });
    return { certificate, keyPem: privateKeyPem(key) };
  };
  const server = issue('kube-apiserver', [], 'server', options.serverNames);
  return {
    caPem,
    serverCertificatePem: server.certificate,
    serverKeyPem: server.keyPem,
    tokenKey,
    kubeconfigFor: (user, groups, address) => {
      const client = issue(user, groups, 'client', []);
      return kubeconfig({ user, server: address, caPem, certificatePem: client.certificate, keyPem: client.keyPem });
    },
  };
}

interface KubeconfigParts {
  readonly user: string;
  readonly server: string;
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

function kubeconfig(parts: KubeconfigParts): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'weft', cluster: { server: parts.server, 'certificate-authority-data': base64(parts.caPem) } }],
    users: [
      {
        name: parts.user,
        user: { 'client-certificate-data': base64(parts.certificatePem), 'client-key-data': base64(parts.keyPem) },
      },
    ],
    contexts: [{ name: 'weft', context: { cluster: 'weft', user: parts.user } }],
    'current-context': 'weft',
  });
}
