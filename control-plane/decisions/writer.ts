/**
 * Writes hits into the status of policies: every replica what its own sidecars told, each time on top of what stands
 * there, so that replicas add up and a restart forgets nothing. At most one write a policy in half a minute.
 */
import type { AuthorizationPolicy } from '@weft/policies/crds/kinds';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import { z } from 'zod';
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import type { KubeClient } from '../kube/client.ts';
import { apiVersionOf, objectPath, type ServedVersions } from '../kube/resources.ts';
import { ruleNames } from '../translate/authorization.ts';
import type { Hits } from './hits.ts';
import { hitStatus } from './status.ts';

interface HitWriterOptions {
  readonly client: KubeClient;
  readonly served: ServedVersions;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: ClusterState;
  readonly hits: Hits;
  /** It alone writes where nothing was hit. */
  readonly isLeader: () => boolean;
}

const INTERVAL_MS = 30_000;
/** Others write the same status. */
const ATTEMPTS_MAX = 8;
const PAUSE_MS = 40;
const WRITES_AT_ONCE_MAX = 4;

const object = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  status: z.unknown().optional(),
});

export class HitWriter {
  private readonly options: HitWriterOptions;
  /** Rules that were seen in the status, by policy. */
  private readonly listed = new Map<string, string>();
  private cancel: Cancel | undefined;
  private stopped = false;

  constructor(options: HitWriterOptions) {
    this.options = options;
  }

  start(delayMs = INTERVAL_MS): void {
    if (this.stopped) return;
    this.cancel = this.options.clock.after(delayMs, () => {
      void this.round().finally(() => this.start());
    });
  }

  stop(): void {
    this.stopped = true;
    this.cancel?.();
  }

  private async round(): Promise<void> {
    const { state, hits, isLeader } = this.options;
    for (const policy of [...hits.policies()])
      if (state.authorizationPolicies.get(policy) === undefined) hits.forget(policy);
    for (const policy of [...this.listed.keys()]) {
      if (state.authorizationPolicies.get(policy) === undefined) this.listed.delete(policy);
    }
    const due = [...state.authorizationPolicies.values()].filter(
      (policy) => hits.of(objectKey(policy.metadata)) !== undefined || (isLeader() && this.lacksRules(policy)),
    );
    const next = async (): Promise<void> => {
      for (let policy = due.pop(); policy !== undefined && !this.stopped; policy = due.pop()) await this.write(policy);
    };
    await Promise.all(Array.from({ length: WRITES_AT_ONCE_MAX }, next));
  }

  /** Its rules are not in its status, as far as this replica has looked. */
  private lacksRules(policy: AuthorizationPolicy): boolean {
    return this.listed.get(objectKey(policy.metadata)) !== listOf(policy);
  }

  private async write(policy: AuthorizationPolicy): Promise<void> {
    const { client, served, clock, log, hits } = this.options;
    const key = objectKey(policy.metadata);
    const path = objectPath('AuthorizationPolicy', key, served);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const read = await client.get(path);
      const found = read.ok ? object.safeParse(read.value) : undefined;
      if (found?.success !== true) return;
      const fresh = hits.of(key);
      const status = hitStatus(found.data.status, ruleNames(policy), fresh, clock.unixMs());
      if (status === undefined) {
        this.listed.set(key, listOf(policy));
        return;
      }
      const written = new Map([...(fresh ?? [])].map(([name, one]) => [name, one.hits]));
      const answer = await client.patch(`${path}/status`, 'application/merge-patch+json', {
        apiVersion: apiVersionOf('AuthorizationPolicy', served),
        kind: 'AuthorizationPolicy',
        metadata: { resourceVersion: found.data.metadata.resourceVersion },
        status,
      });
      if (answer.ok) {
        this.listed.set(key, listOf(policy));
        hits.written(key, written);
        return;
      }
      if (answer.error.status === 409) {
        await new Promise<void>((resolve) => clock.after(PAUSE_MS * attempt, resolve));
      } else {
        if (answer.error.status !== 404) log.warn('hits not written', { policy: key, reason: answer.error.message });
        return;
      }
    }
  }
}

const listOf = (policy: AuthorizationPolicy): string => ruleNames(policy).join('\n');
