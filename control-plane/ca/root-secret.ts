/** The CA's root in the Secret `weft-ca`. */
import { err, ok, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';
import { z } from 'zod';
import type { KubeClient } from '../kube/client.ts';
import type { KeyMaterial } from './material.ts';
import type { RootStore } from './root-store.ts';

const name = 'weft-ca';
const secret = z.looseObject({ data: z.looseObject({ 'ca.crt': z.string(), 'ca.key': z.string() }) });

const toBase64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString('utf8');

export class SecretRootStore implements RootStore {
  private readonly client: KubeClient;
  private readonly namespace: string;

  constructor(client: KubeClient, namespace: string) {
    this.client = client;
    this.namespace = namespace;
  }

  async load(): Promise<Result<KeyMaterial | undefined, string>> {
    const answer = await this.client.get(`/api/v1/namespaces/${this.namespace}/secrets/${name}`);
    if (!answer.ok)
      return answer.error.status === 404
        ? ok(undefined)
        : err(`Secret ${this.namespace}/${name}: ${answer.error.message}`);
    const parsed = secret.safeParse(answer.value);
    if (!parsed.success)
      return err(`Secret ${this.namespace}/${name} has no ca.crt and ca.key; put them there or delete it`);
    const { data } = parsed.data;
    return ok({
      chainPem: fromBase64(data['ca.crt']),
      anchorsPem: undefined,
      privateKeyPem: new Secret(fromBase64(data['ca.key'])),
    });
  }

  async create(material: KeyMaterial): Promise<Result<'created' | 'exists', string>> {
    const created = await this.client.create(`/api/v1/namespaces/${this.namespace}/secrets`, {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata: { name, namespace: this.namespace },
      data: { 'ca.crt': toBase64(material.chainPem), 'ca.key': toBase64(material.privateKeyPem.reveal()) },
    });
    if (created.ok) return ok('created');
    return created.error.status === 409
      ? ok('exists')
      : err(`Secret ${this.namespace}/${name}: ${created.error.message}`);
  }
}
