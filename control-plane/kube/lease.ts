/** Leader election by a Lease: one replica writes, all serve. */
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { z } from 'zod';
import type { KubeClient } from './client.ts';

interface LeaderOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
}

const leaseDurationMs = 15_000;
const renewMs = 5_000;
const retryMs = 2_000;

const lease = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  spec: z.looseObject({
    holderIdentity: z.string().nullish(),
    leaseTransitions: z.int().nullish(),
    renewTime: z.string().nullish(),
  }),
});

/** `<pod>_<random>`: another process of this pod cannot be running any more. */
const podOf = (identity: string): string => identity.slice(0, identity.lastIndexOf('_'));

export class LeaderElection {
  private readonly options: LeaderOptions;
  private readonly path: string;
  private readonly listeners = new Set<(leading: boolean) => void>();
  private leading = false;
  private renewedMs = 0;
  /** What the holder last wrote and when that was seen: clocks of other machines are not compared with ours. */
  private seen: { readonly version: string; readonly atMs: number } | undefined;
  private timer: Cancel | undefined;
  private stopped = false;

  constructor(options: LeaderOptions) {
    this.options = options;
    this.path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  get isLeader(): boolean {
    return this.leading;
  }

  onChange(listener: (leading: boolean) => void): void {
    this.listeners.add(listener);
  }

  start(): void {
    void this.step();
  }

  /** Gives the lease back, so that the next replica need not wait for it to run out. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.();
    if (!this.leading) return;
    this.lead(false);
    const current = await this.read();
    if (current === undefined || current === 'unknown' || current.spec.holderIdentity !== this.options.identity) return;
    await this.write(current.metadata.resourceVersion, '', current.spec.leaseTransitions ?? 0);
  }

  private async step(): Promise<void> {
    const holds = await this.acquire();
    if (this.stopped) return;
    const nowMs = this.options.clock.nowMs();
    if (holds) {
      this.renewedMs = nowMs;
      this.lead(true);
    } else if (this.leading && nowMs - this.renewedMs > leaseDurationMs - renewMs) {
      // Before anybody else may take it.
      this.lead(false);
    }
    this.timer = this.options.clock.after(holds ? renewMs : retryMs, () => void this.step());
  }

  private async acquire(): Promise<boolean> {
    const { identity, clock } = this.options;
    const current = await this.read();
    if (current === 'unknown') return false;
    if (current === undefined) {
      const created = await this.options.client.create(this.path, this.object(undefined, identity, 0));
      return created.ok;
    }
    const { resourceVersion } = current.metadata;
    const holder = current.spec.holderIdentity ?? '';
    const transitions = current.spec.leaseTransitions ?? 0;
    if (holder === identity) return this.write(resourceVersion, identity, transitions);
    if (this.seen?.version !== resourceVersion) this.seen = { version: resourceVersion, atMs: clock.nowMs() };
    const expired = clock.nowMs() - this.seen.atMs > leaseDurationMs;
    return holder === '' || expired || podOf(holder) === podOf(identity)
      ? this.write(resourceVersion, identity, transitions + 1)
      : false;
  }

  private async read(): Promise<z.output<typeof lease> | undefined | 'unknown'> {
    const answer = await this.options.client.get(`${this.path}/${this.options.name}`);
    if (!answer.ok) return answer.error.status === 404 ? undefined : 'unknown';
    const parsed = lease.safeParse(answer.value);
    return parsed.success ? parsed.data : 'unknown';
  }

  private async write(resourceVersion: string, holder: string, transitions: number): Promise<boolean> {
    const body = this.object(resourceVersion, holder, transitions);
    const written = await this.options.client.replace(`${this.path}/${this.options.name}`, body);
    return written.ok;
  }

  private object(resourceVersion: string | undefined, holderIdentity: string, leaseTransitions: number): unknown {
    const now = new Date(this.options.clock.unixMs()).toISOString().replace('Z', '000Z');
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: this.options.name,
        namespace: this.options.namespace,
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
      spec: {
        holderIdentity,
        leaseDurationSeconds: leaseDurationMs / 1_000,
        acquireTime: now,
        renewTime: now,
        leaseTransitions,
      },
    };
  }

  private lead(leading: boolean): void {
    if (this.leading === leading) return;
    this.leading = leading;
    for (const listener of this.listeners) listener(leading);
  }
}
