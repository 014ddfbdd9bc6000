/** The CA's root in two files of a directory. */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';
import type { KeyMaterial } from '../ca/material.ts';
import type { RootStore } from '../ca/root-store.ts';
import { errorText } from '../log.ts';

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';
const alreadyThere = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EEXIST';

export class FileRootStore implements RootStore {
  private readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  async load(): Promise<Result<KeyMaterial | undefined, string>> {
    try {
      const key = await readFile(join(this.dir, 'ca.key'), 'utf8');
      const chainPem = await readFile(join(this.dir, 'ca.crt'), 'utf8');
      return ok({ chainPem, anchorsPem: undefined, privateKeyPem: new Secret(key) });
    } catch (error) {
      return isMissing(error) ? ok(undefined) : err(`${this.dir}: ${errorText(error)}`);
    }
  }

  async create(material: KeyMaterial): Promise<Result<'created' | 'exists', string>> {
    try {
      await mkdir(this.dir, { recursive: true, mode: 0o700 });
      // The key comes first and decides who made the root; the certificate appears whole or not at all.
      const key = await open(join(this.dir, 'ca.key'), 'wx', 0o600);
      await key.writeFile(material.privateKeyPem.reveal());
      await key.close();
      const certificate = await open(join(this.dir, 'ca.crt.new'), 'w', 0o644);
      await certificate.writeFile(material.chainPem);
      await certificate.close();
      await rename(join(this.dir, 'ca.crt.new'), join(this.dir, 'ca.crt'));
      return ok('created');
    } catch (error) {
      return alreadyThere(error) ? ok('exists') : err(`${this.dir}: ${errorText(error)}`);
    }
  }
}
