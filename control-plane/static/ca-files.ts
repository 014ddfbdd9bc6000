/** The authority's key and state as files of a folder, one a key. */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';
import type { CaData, CaDocument, CaStore } from '../ca/store.ts';

const fileName = /^[a-z0-9][a-z0-9.-]{0,62}\.(crt|key|pem|json)$|^ledger\.[a-z0-9.-]{1,63}$/;
/** In the same folder, written by others. */
const othersFile = /^(jwt|federation)\./;
const READ_ATTEMPTS_MAX = 20;
const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';
const alreadyThere = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'EEXIST';

export class FileCaStore implements CaStore {
  readonly name: string;
  private readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
    this.name = dir;
  }

  async load(): Promise<Result<CaDocument | undefined, string>> {
    for (let attempt = 1; ; attempt++) {
      try {
        return ok(await this.read());
      } catch (error) {
        if (!isMissing(error)) return err(`${this.dir}: ${errorText(error)}`);
        // A file that went between the list and the look at it is no folder without an authority.
        if (attempt === READ_ATTEMPTS_MAX) return err(`${this.dir}: its files come and go; is there a second writer?`);
      }
    }
  }

  private async read(): Promise<CaDocument | undefined> {
    const data: Record<string, string> = {};
    const hash = createHash('sha256');
    for (const name of await this.names()) {
      const text = await readFile(join(this.dir, name), 'utf8');
      data[name] = text;
      hash.update(`${name}\0${text}\0`);
    }
    if (data['ca.key'] === undefined && data['state.json'] === undefined) return undefined;
    return { version: hash.digest('hex'), data: new Secret(data) };
  }

  /** None where there is no folder. */
  private async names(): Promise<string[]> {
    const entries = await readdir(this.dir, { withFileTypes: true }).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    return entries
      .flatMap((entry) => (entry.isFile() ? [entry.name] : []))
      .filter((name) => fileName.test(name) && !othersFile.test(name))
      .sort();
  }

  /** One process has the folder; the version tells only of people who edit it meanwhile. */
  async save(over: string | undefined, data: CaData): Promise<Result<'saved' | 'conflict', string>> {
    try {
      await mkdir(this.dir, { recursive: true, mode: 0o700 });
      const before = await this.load();
      if (!before.ok) return before;
      if (before.value?.version !== over) return ok('conflict');
      // The key comes first and decides who made the root.
      if (over === undefined && data['ca.key'] !== undefined) await this.create('ca.key', data['ca.key']);
      const known = before.value?.data.reveal() ?? {};
      for (const [name, text] of Object.entries(data)) if (known[name] !== text) await this.write(name, text);
      for (const name of Object.keys(known))
        if (data[name] === undefined) await rm(join(this.dir, name), { force: true });
      return ok('saved');
    } catch (error) {
      return alreadyThere(error) ? ok('conflict') : err(`${this.dir}: ${errorText(error)}`);
    }
  }

  private async create(name: string, text: string): Promise<void> {
    const file = await open(join(this.dir, name), 'wx', 0o600);
    await file.writeFile(text);
    await file.close();
  }

  /** Appears whole or not at all. */
  private async write(name: string, text: string): Promise<void> {
    const file = await open(join(this.dir, `${name}.new`), 'w', name.endsWith('.crt') ? 0o644 : 0o600);
    await file.writeFile(text);
    await file.close();
    await rename(join(this.dir, `${name}.new`), join(this.dir, name));
  }
}
