/** Join tokens as files of a folder, for a control plane without Kubernetes. */
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  isJoinOver,
  type JoinRecord,
  joinRecordName,
  joinSecret,
  parseJoinData,
} from '@weft/policies/identity/join-token';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { HeldRecord, JoinRecords } from './records.ts';

/** Beside the root, in the folder that `--ca-dir` names. */
export const joinFolder = 'joins';
const extension = '.json';
/** Whoever makes this file first has the token: also of several processes that share the folder. */
const claimedExtension = '.used';

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

export class FileJoinRecords implements JoinRecords {
  private readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  create(record: JoinRecord): Result<void, string> {
    try {
      mkdirSync(this.dir, { recursive: true, mode: 0o700 });
      this.write(record);
      return ok(undefined);
    } catch (error) {
      return err(`${this.dir}: ${errorText(error)}`);
    }
  }

  async byDigest(digest: string): Promise<Result<HeldRecord | undefined, string>> {
    const held = this.read(joinRecordName(digest));
    return held.ok && held.value?.record.digest !== digest ? ok(undefined) : held;
  }

  async byKey(keyDigest: string): Promise<Result<HeldRecord | undefined, string>> {
    for (const { held } of this.all()) if (held.record.use?.keyDigest === keyDigest) return ok(held);
    return ok(undefined);
  }

  async replace(held: HeldRecord, next: JoinRecord): Promise<Result<'replaced' | 'changed', string>> {
    const name = joinRecordName(next.digest);
    try {
      const now = this.read(name);
      if (!now.ok) return now;
      if (now.value?.version !== held.version) return ok('changed');
      if (held.record.use === undefined) closeSync(openSync(join(this.dir, name + claimedExtension), 'wx', 0o600));
      this.write(next);
      return ok('replaced');
    } catch (error) {
      return codeOf(error) === 'EEXIST' ? ok('changed') : err(`${this.dir}: ${errorText(error)}`);
    }
  }

  async sweep(nowUnixMs: number, max: number): Promise<Result<number, string>> {
    let swept = 0;
    for (const { name, held } of this.all()) {
      if (swept >= max) break;
      if (!isJoinOver(held.record, nowUnixMs)) continue;
      this.remove(name);
      swept += 1;
    }
    return ok(swept);
  }

  /** Of one that is used, its process renews no more. */
  remove(name: string): void {
    rmSync(join(this.dir, name + extension), { force: true });
    rmSync(join(this.dir, name + claimedExtension), { force: true });
  }

  *all(): Generator<{ readonly name: string; readonly held: HeldRecord }> {
    for (const file of this.files()) {
      const name = file.slice(0, -extension.length);
      const held = this.read(name);
      if (held.ok && held.value !== undefined) yield { name, held: held.value };
    }
  }

  private files(): string[] {
    try {
      return readdirSync(this.dir).filter((file) => file.endsWith(extension));
    } catch {
      return [];
    }
  }

  private read(name: string): Result<HeldRecord | undefined, string> {
    try {
      const text = readFileSync(join(this.dir, name + extension), 'utf8');
      const record = parseJoinData(JSON.parse(text));
      if (!record.ok) return err(`${name}${extension}: ${record.error}`);
      return ok({ record: record.value, version: createHash('sha256').update(text).digest('hex') });
    } catch (error) {
      return codeOf(error) === 'ENOENT' ? ok(undefined) : err(`${name}${extension}: ${errorText(error)}`);
    }
  }

  private write(record: JoinRecord): void {
    const { metadata, data } = joinSecret(record);
    const path = join(this.dir, metadata.name + extension);
    writeFileSync(`${path}.new`, JSON.stringify(data), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}
