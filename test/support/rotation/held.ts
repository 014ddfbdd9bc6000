/** The certificates that are shown to whoever connects, read from outside with OpenSSL. */
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';

const TIMEOUT_MS = 10_000;

export interface Held {
  readonly leaf: X509Certificate;
  /** What is sent with the leaf. */
  readonly intermediates: readonly X509Certificate[];
}

/** What the server at an address shows before it knows who asks: TLS 1.3 sends that first (RFC 8446 section 4.4.2). */
export function shownAt(ip: string, port: number, alpn: string): Promise<Held> {
  const at = ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
  const args = ['s_client', '-connect', at, '-alpn', alpn, '-tls1_3', '-showcerts'];
  return new Promise((resolve, reject) => {
    // It ends with an error where the server wants a certificate; what it has shown until then is what counts.
    const child = execFile('openssl', args, { timeout: TIMEOUT_MS }, (_error, stdout, stderr) => {
      const pems = stdout.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
      const [leaf, ...intermediates] = pems.map((pem) => new X509Certificate(pem));
      if (leaf === undefined) reject(new Error(`${at} shows no certificate: ${stderr.slice(0, 500)}`));
      else resolve({ leaf, intermediates });
    });
    child.stdin?.end();
  });
}

export const chainsTo = ({ leaf, intermediates }: Held, root: X509Certificate): boolean =>
  [leaf, ...intermediates].every((one, index, path) => {
    const issuer = path[index + 1] ?? root;
    return one.checkIssued(issuer) && one.verify(issuer.publicKey);
  });
