/** Join tokens as Secrets of the control plane's namespace: `resourceVersion` makes a use single over all replicas. */
import {
  isJoinOver,
  type JoinRecord,
  joinKeyLabel,
  joinKeyLabelValue,
  joinLabel,
  joinRecordName,
  joinSecret,
  parseJoinData,
} from '@weft/policies/identity/join-token';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { z } from 'zod';
import type { KubeClient } from '../kube/client.ts';
import type { HeldRecord, JoinRecords } from './records.ts';

const secret = z.looseObject({
  metadata: z.looseObject({ name: z.string(), resourceVersion: z.string() }),
  data: z.record(z.string(), z.string()).nullish(),
});
const secrets = z.looseObject({ items: z.array(secret) });

const listMax = '500';

export class KubeJoinRecords implements JoinRecords {
  private readonly client: KubeClient;
  private readonly path: string;

  constructor(client: KubeClient, namespace: string) {
    this.client = client;
    this.path = `/api/v1/namespaces/${namespace}/secrets`;
  }

  async byDigest(digest: string): Promise<Result<HeldRecord | undefined, string>> {
    const answer = await this.client.get(`${this.path}/${joinRecordName(digest)}`);
    if (!answer.ok) return answer.error.status === 404 ? ok(undefined) : err(answer.error.message);
    const held = heldOf(answer.value);
    // The name is a part of the digest.
    return held.ok && held.value.record.digest !== digest ? ok(undefined) : held;
  }

  async byKey(keyDigest: string): Promise<Result<HeldRecord | undefined, string>> {
    const labelSelector = `${joinKeyLabel}=${joinKeyLabelValue(keyDigest)}`;
    const answer = await this.client.get(this.path, { labelSelector, limit: listMax });
    if (!answer.ok) return err(answer.error.message);
    const parsed = secrets.safeParse(answer.value);
    if (!parsed.success) return err('the list of Secrets is malformed');
    for (const item of parsed.data.items) {
      const held = heldOf(item);
      if (held.ok && held.value.record.use?.keyDigest === keyDigest) return held;
    }
    return ok(undefined);
  }

  async replace(held: HeldRecord, next: JoinRecord): Promise<Result<'replaced' | 'changed', string>> {
    const answer = await this.client.replace(
      `${this.path}/${joinRecordName(next.digest)}`,
      joinSecret(next, held.version),
    );
    if (answer.ok) return ok('replaced');
    // Deleted is changed, too: a PUT makes no Secret anew that carries a resourceVersion.
    return answer.error.status === 409 || answer.error.status === 404 ? ok('changed') : err(answer.error.message);
  }

  async sweep(nowUnixMs: number, max: number): Promise<Result<number, string>> {
    let swept = 0;
    for (let next = ''; ; ) {
      const query = { labelSelector: joinLabel, limit: listMax, ...(next === '' ? {} : { continue: next }) };
      const answer = await this.client.get(this.path, query);
      if (!answer.ok) return err(answer.error.message);
      const parsed = secrets.safeParse(answer.value);
      if (!parsed.success) return err('the list of Secrets is malformed');
      for (const item of parsed.data.items) {
        const held = heldOf(item);
        if (!held.ok || !isJoinOver(held.value.record, nowUnixMs)) continue;
        if (swept >= max) return ok(swept);
        const { name, resourceVersion } = item.metadata;
        const gone = await this.client.remove(`${this.path}/${name}`, { preconditions: { resourceVersion } });
        if (gone.ok) swept += 1;
        else if (gone.error.status !== 404 && gone.error.status !== 409) return err(gone.error.message);
      }
      next = continuation.safeParse(answer.value).data?.metadata.continue ?? '';
      if (next === '') return ok(swept);
    }
  }
}

const continuation = z.looseObject({ metadata: z.looseObject({ continue: z.string().nullish() }) });

function heldOf(object: unknown): Result<HeldRecord, string> {
  const parsed = secret.safeParse(object);
  if (!parsed.success) return err('the Secret of a join token is malformed');
  const { metadata, data } = parsed.data;
  const record = parseJoinData(data ?? {});
  if (!record.ok) return err(`Secret ${metadata.name}: ${record.error}`);
  return ok({ record: record.value, version: metadata.resourceVersion });
}
