/** Where the keys for JWT-SVIDs are kept: a Secret, a file, or memory. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { z } from 'zod';
import type { KubeClient } from '../kube/client.ts';
import type { JwtKeyStore } from './jwt-keys.ts';

type Loaded = Result<{ readonly text: string; readonly version: string } | undefined, string>;

const name = 'weft-jwt';
const field = 'keys.json';
const secret = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  data: z.looseObject({ [field]: z.string() }),
});

export class SecretJwtKeyStore implements JwtKeyStore {
  private readonly client: KubeClient;
  private readonly path: string;

  constructor(client: KubeClient, namespace: string) {
    this.client = client;
    this.path = `/api/v1/namespaces/${namespace}/secrets`;
  }

  async load(): Promise<Loaded> {
    const answer = await this.client.get(`${this.path}/${name}`);
    if (!answer.ok) return answer.error.status === 404 ? ok(undefined) : err(`Secret ${name}: ${answer.error.message}`);
    const parsed = secret.safeParse(answer.value);
    if (!parsed.success) return err(`Secret ${name} has no ${field}; delete it`);
    const text = Buffer.from(String(parsed.data.data[field]), 'base64').toString('utf8');
    return ok({ text, version: parsed.data.metadata.resourceVersion });
  }

  async save(text: string, version: string | undefined): Promise<Result<'saved' | 'changed', string>> {
    const body = {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata: { name, ...(version === undefined ? {} : { resourceVersion: version }) },
      data: { [field]: Buffer.from(text, 'utf8').toString('base64') },
    };
    const answer =
      version === undefined
        ? await this.client.create(this.path, body)
        : await this.client.replace(`${this.path}/${name}`, body);
    if (answer.ok) return ok('saved');
    const { status, message } = answer.error;
    return status === 409 || status === 404 ? ok('changed') : err(`Secret ${name}: ${message}`);
  }
}

/** Of one process: nobody else writes it. */
export class FileJwtKeyStore implements JwtKeyStore {
  private readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  async load(): Promise<Loaded> {
    try {
      const text = await readFile(join(this.dir, 'jwt.json'), 'utf8');
      return ok({ text, version: createHash('sha256').update(text).digest('hex') });
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      return missing ? ok(undefined) : err(`${this.dir}: ${errorText(error)}`);
    }
  }

  async save(text: string): Promise<Result<'saved' | 'changed', string>> {
    const path = join(this.dir, 'jwt.json');
    try {
      await mkdir(this.dir, { recursive: true, mode: 0o700 });
      await writeFile(`${path}.new`, text, { mode: 0o600 });
      await rename(`${path}.new`, path);
      return ok('saved');
    } catch (error) {
      return err(`${path}: ${errorText(error)}`);
    }
  }
}

/** For runs that need not outlive their process. */
export class MemoryJwtKeyStore implements JwtKeyStore {
  private held: { readonly text: string; readonly version: string } | undefined;

  async load(): Promise<Loaded> {
    return ok(this.held);
  }

  async save(text: string, version: string | undefined): Promise<Result<'saved' | 'changed', string>> {
    if (version !== this.held?.version) return ok('changed');
    this.held = { text, version: randomUUID() };
    return ok('saved');
  }
}
