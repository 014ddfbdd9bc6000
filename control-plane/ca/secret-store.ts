/** The Secret `weft-ca`. */
import { err, ok, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';
import { z } from 'zod';
import type { KubeClient } from '../kube/client.ts';
import type { CaData, CaDocument, CaStore } from './store.ts';

const secretName = 'weft-ca';
const secret = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  data: z.record(z.string(), z.string()).nullish(),
});

const toBase64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString('utf8');
const mapped = (data: CaData, change: (text: string) => string): CaData =>
  Object.fromEntries(Object.entries(data).map(([key, text]) => [key, change(text)]));

export class SecretCaStore implements CaStore {
  readonly name: string;
  private readonly client: KubeClient;
  private readonly namespace: string;
  private readonly path: string;
  /** What else is in the object: labels, annotations, its type. */
  private last: { readonly version: string; readonly object: Readonly<Record<string, unknown>> } | undefined;

  constructor(client: KubeClient, namespace: string) {
    this.client = client;
    this.namespace = namespace;
    this.name = `Secret ${namespace}/${secretName}`;
    this.path = `/api/v1/namespaces/${namespace}/secrets`;
  }

  async load(): Promise<Result<CaDocument | undefined, string>> {
    const answer = await this.client.get(`${this.path}/${secretName}`);
    if (!answer.ok) return answer.error.status === 404 ? ok(undefined) : err(`${this.name}: ${answer.error.message}`);
    const parsed = secret.safeParse(answer.value);
    if (!parsed.success) return err(`${this.name}: the answer is no Secret`);
    const { metadata, data } = parsed.data;
    this.last = { version: metadata.resourceVersion, object: parsed.data };
    return ok({ version: metadata.resourceVersion, data: new Secret(mapped(data ?? {}, fromBase64)) });
  }

  async save(over: string | undefined, data: CaData): Promise<Result<'saved' | 'conflict', string>> {
    const body = { data: mapped(data, toBase64) };
    const answer =
      over === undefined
        ? await this.client.create(this.path, {
            apiVersion: 'v1',
            kind: 'Secret',
            type: 'Opaque',
            metadata: { name: secretName, namespace: this.namespace },
            ...body,
          })
        : this.last?.version !== over
          ? err({ status: 409, message: 'it has been read anew since' })
          : await this.client.replace(`${this.path}/${secretName}`, { ...this.last.object, ...body });
    if (answer.ok) return ok('saved');
    // 404: deleted meanwhile; what is there now is read again.
    if (answer.error.status === 409 || answer.error.status === 404) return ok('conflict');
    return err(`${this.name}: ${answer.error.message}`);
  }
}
