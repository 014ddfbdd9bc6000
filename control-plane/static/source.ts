/** Objects of a file, and of the file again whenever it changes. What is wrong changes nothing. */
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { REVOCATIONS_CONFIG_MAP } from '@weft/policies/identity/revocation-record';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { z } from 'zod';
import { objectKey, objectKinds } from '../index/objects.ts';
import type { MeshControl } from '../mesh.ts';
import { type ParsedObjects, parseAllObjects } from './objects.ts';

const pollMs = 200;

type Revoked = Readonly<Record<string, string>>;

const configMap = z.looseObject({
  kind: z.literal('ConfigMap'),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
const revocations = z.looseObject({ data: z.record(z.string(), z.string()).nullish() });

export class StaticObjects {
  private readonly file: string;
  private readonly mesh: MeshControl;
  private readonly log: Log;
  private revoked: Revoked = {};
  private onRevoked: (data: Revoked) => void = () => undefined;
  private told = '';

  constructor(file: string, mesh: MeshControl, log: Log) {
    this.file = file;
    this.mesh = mesh;
    this.log = log;
  }

  /** Makes the state that of the file. */
  async load(): Promise<Result<number, string>> {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      return err(`${this.file}: ${errorText(error)}`);
    }
    const parsed = parseAllObjects(text);
    if (!parsed.ok) return err(`${this.file}: ${parsed.error}`);
    const { objects, others } = parsed.value;
    const revoked = this.revocationsOf(others);
    if (!revoked.ok) return err(`${this.file}: ${revoked.error}`);
    const present = new Set(objects.map((object) => `${object.kind} ${objectKey(object.metadata)}`));
    for (const kind of objectKinds) {
      for (const key of this.mesh.state.keys(kind)) if (!present.has(`${kind} ${key}`)) this.mesh.delete(kind, key);
    }
    for (const object of objects) this.mesh.apply(object);
    this.revoked = revoked.value;
    this.onRevoked(this.revoked);
    return ok(objects.length);
  }

  /** Entries of the ConfigMap `weft-revocations`, as in a cluster: those of now, and whenever the file is read again. */
  followRevocations(listener: (data: Revoked) => void): void {
    this.onRevoked = listener;
    listener(this.revoked);
  }

  /** Says what else the file has, so that nobody believes that it acts. */
  private revocationsOf(others: ParsedObjects['others']): Result<Revoked, string> {
    const { meshNamespace } = this.mesh.state;
    const ignored = new Map<string, number>();
    let revoked: Revoked = {};
    for (const one of others) {
      if (isRevocations(one, meshNamespace)) {
        const parsed = revocations.safeParse(one);
        if (!parsed.success) return err(`ConfigMap ${REVOCATIONS_CONFIG_MAP}: data has texts as values`);
        revoked = parsed.data.data ?? {};
      } else ignored.set(String(one['kind']), (ignored.get(String(one['kind'])) ?? 0) + 1);
    }
    const kinds = [...ignored].map(([kind, count]) => `${kind} ${count}`).join(', ');
    if (kinds !== this.told && kinds !== '')
      this.log.warn('objects that nothing here looks at', { file: this.file, kinds });
    this.told = kinds;
    return ok(revoked);
  }

  watch(): void {
    watchFile(this.file, { interval: pollMs }, () => {
      void this.load().then((loaded) => {
        if (loaded.ok) this.log.info('objects loaded', { file: this.file, objects: loaded.value });
        else this.log.error('objects refused; the last good ones stay', { reason: loaded.error });
      });
    });
  }

  stop(): void {
    unwatchFile(this.file);
  }
}

function isRevocations(object: Readonly<Record<string, unknown>>, meshNamespace: string): boolean {
  const parsed = configMap.safeParse(object);
  if (!parsed.success) return false;
  const { name, namespace = meshNamespace } = parsed.data.metadata;
  return name === REVOCATIONS_CONFIG_MAP && namespace === meshNamespace;
}
