/** Bundles of other trust domains in a file beside the authority's, for a control plane without Kubernetes. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { z } from 'zod';
import type { KeptStore } from '../trust/bundle-keeper.ts';
import { KEPT_CHARS_MAX } from '../trust/kept-bundles.ts';

/** `FileCaStore` leaves names that begin so alone. */
const fileName = 'federation.json';
/** JSON within JSON: each quotation mark may have a second character, and a third. */
const charsMax = 2 * KEPT_CHARS_MAX;

const kept = z.record(z.string(), z.string());

export class FileKept implements KeptStore {
  private readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  async load(): Promise<Result<Readonly<Record<string, string>>, string>> {
    const path = join(this.dir, fileName);
    try {
      const text = await readFile(path, 'utf8');
      if (text.length > charsMax) return err(`${path} is longer than ${charsMax} characters`);
      const parsed = kept.safeParse(JSON.parse(text));
      return parsed.success ? ok(parsed.data) : err(`${path} has something else than texts by trust domain`);
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      return isMissing ? ok({}) : err(`${path}: ${errorText(error)}`);
    }
  }

  /** Whole or not at all. */
  async save(data: Readonly<Record<string, string>>): Promise<Result<void, string>> {
    const path = join(this.dir, fileName);
    try {
      await mkdir(this.dir, { recursive: true, mode: 0o700 });
      await writeFile(`${path}.new`, JSON.stringify(data), { mode: 0o600 });
      await rename(`${path}.new`, path);
      return ok(undefined);
    } catch (error) {
      return err(`${path}: ${errorText(error)}`);
    }
  }
}

/** Where the authority itself ends with the process. */
export const nothingKept: KeptStore = {
  load: async () => ok({}),
  save: async () => ok(undefined),
};
