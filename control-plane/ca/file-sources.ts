/** Keys and certificates that others put into a folder, such as a mounted Secret; and certificates beside a key on a token. */
import { verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCertificate } from '@weft/policies/identity/x509/certificate';
import { decodePem } from '@weft/policies/identity/x509/pem';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Authority } from './authority.ts';
import { type LoadOptions, loadAuthority, loadChain, materialOf } from './material.ts';
import { type Pkcs11Setup, Pkcs11Signer } from './pkcs11/signer.ts';
import { digestOf, type KeySource, type Sourced } from './source.ts';

const fileNames = [
  ...['ca.crt', 'ca.key', 'root-cert.pem', 'tls.crt', 'tls.key'],
  ...['ca-cert.pem', 'ca-key.pem', 'cert-chain.pem'],
] as const;

async function readFolder(dir: string): Promise<Result<Readonly<Record<string, string | undefined>>, string>> {
  const texts: Record<string, string> = {};
  for (const name of fileNames) {
    try {
      texts[name] = await readFile(join(dir, name), 'utf8');
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!missing) return err(`${join(dir, name)}: ${error instanceof Error ? error.message : 'cannot be read'}`);
    }
  }
  return ok(texts);
}

/** Looked at again and again; the same authority as long as the texts are the same. */
class Remembered {
  private last: { readonly digest: string; readonly sourced: Sourced } | undefined;

  async of(texts: readonly string[], load: () => Promise<Result<Authority, string>>): Promise<Result<Sourced, string>> {
    const digest = digestOf(texts);
    if (this.last?.digest === digest) return ok(this.last.sourced);
    const authority = await load();
    if (!authority.ok) return authority;
    const sourced: Sourced = { authority: authority.value, previous: undefined };
    this.last = { digest, sourced };
    return ok(sourced);
  }
}

export class FileKeySource implements KeySource {
  readonly kind = 'files';
  private readonly dir: string;
  private readonly options: LoadOptions;
  private readonly remembered = new Remembered();

  constructor(dir: string, options: LoadOptions) {
    this.dir = dir;
    this.options = options;
  }

  async read(): Promise<Result<Sourced | undefined, string>> {
    const texts = await readFolder(this.dir);
    if (!texts.ok) return texts;
    const material = materialOf(texts.value);
    if (!material.ok) return err(`${this.dir}: ${material.error}`);
    if (material.value === undefined) return ok(undefined);
    const { chainPem, anchorsPem = '', privateKeyPem, names } = material.value;
    const key = material.value;
    return this.remembered.of([chainPem, anchorsPem, privateKeyPem.reveal()], async () =>
      loadAuthority(key, { ...this.options, names }),
    );
  }
}

/** The chain in files, the key on a token. */
export class Pkcs11KeySource implements KeySource {
  readonly kind = 'pkcs11';
  private readonly dir: string;
  private readonly options: LoadOptions;
  private readonly signer: Pkcs11Signer;
  private readonly remembered = new Remembered();

  constructor(dir: string, setup: Pkcs11Setup, options: LoadOptions) {
    this.dir = dir;
    this.options = options;
    this.signer = new Pkcs11Signer(setup);
  }

  async read(): Promise<Result<Sourced | undefined, string>> {
    const texts = await readFolder(this.dir);
    if (!texts.ok) return texts;
    const { 'ca.crt': chainPem, 'root-cert.pem': anchorsPem } = texts.value;
    if (chainPem === undefined) return ok(undefined);
    return this.remembered.of([chainPem, anchorsPem ?? ''], () => this.load({ chainPem, anchorsPem }));
  }

  stop(): void {
    this.signer.stop();
  }

  private async load(material: {
    readonly chainPem: string;
    readonly anchorsPem: string | undefined;
  }): Promise<Result<Authority, string>> {
    const ders = decodePem('CERTIFICATE', material.chainPem);
    const [der] = ders.ok ? ders.value : [];
    const certificate = der === undefined ? err('no certificate') : parseCertificate(der);
    if (!certificate.ok) return err(`ca.crt: ${certificate.error}`);
    const { publicKey } = certificate.value;
    // Only the token can tell whether it holds the key of this certificate: it is asked for a signature.
    const probe = Buffer.from('weft: is this the key of ca.crt?');
    try {
      const signature = await this.signer.sign(probe);
      if (!verify('sha256', probe, publicKey, signature))
        return err('the key on the token is not the key of the first certificate in ca.crt');
    } catch (error) {
      return err(errorText(error));
    }
    const key = { publicKey, sign: this.signer.sign };
    return loadChain(material, key, {
      ...this.options,
      names: { chain: 'ca.crt', key: 'the token', anchors: 'root-cert.pem' },
    });
  }
}
