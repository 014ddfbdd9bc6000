/** A ConfigMap of the control plane's own, in which one replica keeps for all what is to be known after a start. */
import { err, ok, type Result } from '@weft/policies/kit/result';
import { z } from 'zod';
import type { KubeClient } from './client.ts';

const configMap = z.looseObject({ data: z.record(z.string(), z.string()).nullish() });

export class KeptMap {
  private readonly client: KubeClient;
  private readonly namespace: string;
  private readonly name: string;

  constructor(client: KubeClient, namespace: string, name: string) {
    this.client = client;
    this.namespace = namespace;
    this.name = name;
  }

  private get path(): string {
    return `/api/v1/namespaces/${this.namespace}/configmaps`;
  }

  /** Empty where there is none yet. */
  async load(): Promise<Result<Readonly<Record<string, string>>, string>> {
    const found = await this.client.get(`${this.path}/${this.name}`);
    if (!found.ok) return found.error.status === 404 ? ok({}) : err(found.error.message);
    const parsed = configMap.safeParse(found.value);
    return parsed.success ? ok(parsed.data.data ?? {}) : err(`ConfigMap ${this.name} is malformed`);
  }

  /** Makes it exactly this. */
  async save(kept: Readonly<Record<string, string>>): Promise<Result<void, string>> {
    const { client, path, name, namespace } = this;
    const known = await client.get(`${path}/${name}`);
    const metadata = { name, namespace, labels: { 'app.kubernetes.io/managed-by': 'weft-control-plane' } };
    const parsed = known.ok ? configMap.safeParse(known.value) : undefined;
    // Entries that nobody names any more go away with a null (RFC 7396).
    const gone = Object.keys((parsed?.success === true ? parsed.data.data : undefined) ?? {}).filter(
      (key) => !Object.hasOwn(kept, key),
    );
    const data = { ...Object.fromEntries(gone.map((key) => [key, null])), ...kept };
    const result = known.ok
      ? await client.patch(`${path}/${name}`, 'application/merge-patch+json', { data })
      : await client.create(path, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: kept });
    return result.ok ? ok(undefined) : err(result.error.message);
  }
}
