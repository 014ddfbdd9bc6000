/** Objects of a file, and of the file again whenever it changes. What is wrong changes nothing. */
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { objectKey, objectKinds } from '../index/objects.ts';
import type { MeshControl } from '../mesh.ts';
import { parseObjects } from './objects.ts';

const pollMs = 200;

export class StaticObjects {
  private readonly file: string;
  private readonly mesh: MeshControl;
  private readonly log: Log;

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
    const objects = parseObjects(text);
    if (!objects.ok) return err(`${this.file}: ${objects.error}`);
    const present = new Set(objects.value.map((object) => `${object.kind} ${objectKey(object.metadata)}`));
    for (const kind of objectKinds) {
      for (const key of this.mesh.state.keys(kind)) if (!present.has(`${kind} ${key}`)) this.mesh.delete(kind, key);
    }
    for (const object of objects.value) this.mesh.apply(object);
    return ok(objects.value.length);
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
