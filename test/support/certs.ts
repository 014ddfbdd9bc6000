import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildCertificate, serialNumber } from '@weft/policies/identity/x509/certificate';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';

const HOUR_MS = 3_600_000;

/** PEM files on disk, as a bootstrap names them. */
export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly trustFile: string;
}

export interface IssueOptions {
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  /** Beside the SPIFFE ID. */
  readonly dnsNames?: readonly string[];
}

const newKeys = (): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

/** A certificate authority whose certificates are files in a folder of the test. */
export class CertificateFolder {
  private readonly folder: string;
  private readonly name: string;
  private readonly caKeys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

  private constructor(folder: string, name: string) {
    this.folder = folder;
    this.name = name;
    this.caKeys = newKeys();
  }

  /** `parent` signs it: then its anchor is no root. */
  static async make(folder: string, name = 'ca', parent?: CertificateFolder): Promise<CertificateFolder> {
    const made = new CertificateFolder(folder, name);
    const signer = parent ?? made;
    const root = await buildCertificate({
      serial: serialNumber(randomBytes(16)),
      issuer: signer.subject,
      subject: made.subject,
      notBeforeMs: Date.now() - HOUR_MS,
      notAfterMs: Date.now() + HOUR_MS,
      publicKey: made.caKeys.publicKey,
      sans: [],
      isCa: true,
      pathLength: 0,
      keyUsage: ['keyCertSign', 'cRLSign'],
      extKeyUsage: [],
      authorityKeyId: undefined,
      sign: keySigner(signer.caKeys.privateKey),
    });
    writeFileSync(made.trustFile, encodePem('CERTIFICATE', root));
    return made;
  }

  get trustFile(): string {
    return join(this.folder, `${this.name}.pem`);
  }

  private get subject(): { readonly commonName: string } {
    return { commonName: `test ${this.name}` };
  }

  /** A leaf for a SPIFFE ID in `<file>.pem` and `<file>.key`. */
  async issue(file: string, spiffeId: string, options: IssueOptions = {}): Promise<CertificateFiles> {
    const keys = newKeys();
    const certificate = await buildCertificate({
      serial: serialNumber(randomBytes(16)),
      issuer: this.subject,
      subject: {},
      notBeforeMs: options.notBeforeMs ?? Date.now() - HOUR_MS,
      notAfterMs: options.notAfterMs ?? Date.now() + HOUR_MS,
      publicKey: keys.publicKey,
      sans: [
        { type: 'uri', value: spiffeId },
        ...(options.dnsNames ?? []).map((value) => ({ type: 'dns', value }) as const),
      ],
      isCa: false,
      pathLength: undefined,
      keyUsage: ['digitalSignature'],
      extKeyUsage: ['serverAuth', 'clientAuth'],
      authorityKeyId: undefined,
      sign: keySigner(this.caKeys.privateKey),
    });
    const certificateFile = join(this.folder, `${file}.pem`);
    const keyFile = join(this.folder, `${file}.key`);
    writeFileSync(certificateFile, encodePem('CERTIFICATE', certificate));
    writeFileSync(keyFile, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    return { certificateFile, keyFile, trustFile: this.trustFile };
  }
}
