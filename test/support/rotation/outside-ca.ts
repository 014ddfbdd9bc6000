/** A certificate authority that knows nothing of the mesh: a root and its intermediates, made with OpenSSL. */
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const P256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export interface Intermediate {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly certificatePem: string;
}

export class OutsideCa {
  readonly rootFile: string;
  readonly rootPem: string;
  /** As `weft ca status` writes it. */
  readonly fingerprint: string;
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    this.rootFile = join(folder, 'outside.pem');
    const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
    this.run(
      'req',
      '-x509',
      ...P256,
      '-keyout',
      'outside.key',
      '-out',
      'outside.pem',
      '-days',
      '30',
      '-subj',
      '/CN=Outside root',
      ...extensions.flatMap((one) => ['-addext', one]),
    );
    this.rootPem = readFileSync(this.rootFile, 'utf8');
    this.fingerprint = createHash('sha256').update(new X509Certificate(this.rootPem).raw).digest('hex');
  }

  intermediate(name: string): Intermediate {
    this.run('req', ...P256, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    writeFileSync(
      join(this.folder, `${name}.ext`),
      'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n',
    );
    this.run(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'outside.pem',
      '-CAkey',
      'outside.key',
      '-CAcreateserial',
      '-days',
      '7',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
    );
    const certificateFile = join(this.folder, `${name}.pem`);
    return {
      certificateFile,
      keyFile: join(this.folder, `${name}.key`),
      certificatePem: readFileSync(certificateFile, 'utf8'),
    };
  }

  private run(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
  }
}
