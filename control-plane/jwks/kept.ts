/** The key sets that were good last, in the ConfigMap `weft-jwks`: for a start while an issuer cannot be reached. */
import { createHash } from 'node:crypto';
import { publicKeysOf } from '@weft/policies/identity/jwks';
import type { Clock } from '@weft/policies/kit/clock';
import { z } from 'zod';
import type { KubeClient } from '../kube/client.ts';
import { KeptMap } from '../kube/kept-map.ts';
import { WorkQueue } from '../kube/queue.ts';
import type { Report } from '../kube/report.ts';
import type { JwksStore } from './store.ts';

const name = 'weft-jwks';
/** An object of the API server may have 1 MiB or so; what does not fit is fetched after a start. */
const charsMax = 786_432;

const record = z.strictObject({ uri: z.string(), keys: z.string() });

export interface KeptKeysOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Report;
  readonly namespace: string;
  readonly store: JwksStore;
  readonly isLeader: () => boolean;
}

export class KeptKeys {
  private readonly options: KeptKeysOptions;
  private readonly queue: WorkQueue;
  private readonly map: KeptMap;
  private written = '';

  constructor(options: KeptKeysOptions) {
    this.options = options;
    this.map = new KeptMap(options.client, options.namespace, name);
    this.queue = new WorkQueue({
      clock: options.clock,
      reconcile: () => this.write(),
      intervalMs: 1_000,
      parallelMax: 1,
    });
  }

  /** Before anything is served: a sidecar must not lose keys because the control plane has just started. */
  async load(): Promise<void> {
    const { store, log } = this.options;
    const found = await this.map.load();
    if (found.ok) store.restore(readKept(found.value));
    else log.warn('kept key sets not read', { reason: found.error });
  }

  /** After a change, and when this replica begins to lead. */
  check(): void {
    if (this.options.isLeader()) this.queue.add(name);
  }

  stop(): void {
    this.queue.stop();
  }

  private async write(): Promise<boolean> {
    const { store, log, isLeader } = this.options;
    if (!isLeader()) return true;
    const kept = writeKept(store.good());
    const text = JSON.stringify(kept);
    if (text === this.written) return true;
    const saved = await this.map.save(kept);
    if (saved.ok) this.written = text;
    else log.warn('key sets not kept', { reason: saved.error });
    return saved.ok;
  }
}

/** A ConfigMap's keys may not be URLs. */
const keyOf = (uri: string): string => createHash('sha256').update(uri).digest('hex');

export function writeKept(good: ReadonlyMap<string, string>): Record<string, string> {
  const data: Record<string, string> = {};
  let chars = 0;
  for (const [uri, keys] of good) {
    const text = JSON.stringify({ uri, keys });
    // A large one must not keep out those after it.
    if (chars + text.length > charsMax) continue;
    chars += text.length;
    data[keyOf(uri)] = text;
  }
  return data;
}

/** Somebody may have written to it: what is not a key set is passed over. */
export function readKept(data: Readonly<Record<string, string>>): Map<string, string> {
  const kept = new Map<string, string>();
  for (const text of Object.values(data)) {
    try {
      const parsed = record.safeParse(JSON.parse(text));
      if (parsed.success && (publicKeysOf(parsed.data.keys) ?? []).length > 0)
        kept.set(parsed.data.uri, parsed.data.keys);
    } catch {
      // Not JSON.
    }
  }
  return kept;
}
