/** All streams and what they subscribe to: changes come in, the streams that they concern go out and tell. */
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { CacheEntry, ResourceCache } from './cache.ts';
import { type Change, mergeChange, noChange } from './change.ts';
import type { XdsStream } from './stream.ts';
import type { Subscription } from './subscription.ts';

export interface XdsLimits {
  readonly streamsMax: number;
  /** Of one workload: one stream is the rule, and those of before may linger until they are found dead. */
  readonly streamsPerWorkloadMax: number;
  readonly subscriptionsPerStreamMax: number;
  readonly responseBytesMax: number;
  readonly requestBytesMax: number;
  /** Responses without ACK on a stream; further changes wait and are merged. */
  readonly unackedResponsesMax: number;
  /** A stream that neither reads nor answers for this long is dropped. */
  readonly stalledMsMax: number;
  readonly debounceMs: number;
  /** A stream that has not said who asks after this long is ended. */
  readonly firstRequestMsMax: number;
}

export const defaultXdsLimits: XdsLimits = {
  streamsMax: 10_000,
  streamsPerWorkloadMax: 16,
  subscriptionsPerStreamMax: 20_000,
  responseBytesMax: 2_097_152,
  requestBytesMax: 4_194_304,
  unackedResponsesMax: 32,
  stalledMsMax: 60_000,
  debounceMs: 10,
  firstRequestMsMax: 10_000,
};

interface XdsCounters {
  streamsOpened: number;
  streamsRefused: number;
  streamsStalled: number;
  subscriptionsRefused: number;
  responses: number;
  responseBytes: number;
  resources: number;
  removals: number;
  acks: number;
  nacks: number;
  unknownTypes: number;
}

export interface Subscriber {
  readonly stream: XdsStream;
  readonly subscription: Subscription;
}

export class XdsHub {
  readonly cache: ResourceCache;
  readonly limits: XdsLimits;
  readonly clock: Clock;
  readonly counters: XdsCounters = {
    streamsOpened: 0,
    streamsRefused: 0,
    streamsStalled: 0,
    subscriptionsRefused: 0,
    responses: 0,
    responseBytes: 0,
    resources: 0,
    removals: 0,
    acks: 0,
    nacks: 0,
    unknownTypes: 0,
  };
  readonly streams = new Set<XdsStream>();
  private readonly subscribers = new Map<string, Set<Subscriber>>();
  private readonly wildcards = new Set<XdsStream>();
  private readonly due = new Set<XdsStream>();
  private readonly settledListeners = new Set<() => void>();
  private pending = noChange();
  private timer: Cancel | undefined;
  private settledTimer: Cancel | undefined;

  constructor(cache: ResourceCache, clock: Clock, limits: XdsLimits = defaultXdsLimits) {
    this.cache = cache;
    this.clock = clock;
    this.limits = limits;
  }

  /** Something changed: subscribers hear of it within `debounceMs`, together with what else changes until then. */
  change(change: Change): void {
    this.cache.invalidate(change);
    mergeChange(this.pending, change);
    this.schedule();
  }

  /** Sends what changed now, without waiting for the debounce. */
  push(): void {
    this.timer?.();
    this.timer = undefined;
    const change = this.pending;
    this.pending = noChange();
    if (change.everything) {
      for (const stream of this.streams) {
        stream.markAll();
        this.due.add(stream);
      }
    } else {
      for (const group of change.groups) {
        for (const { stream, subscription } of this.subscribers.get(group) ?? []) {
          stream.mark(subscription);
          this.due.add(stream);
        }
      }
    }
    if (change.everything || change.names) {
      for (const stream of this.wildcards) {
        stream.expandWildcards();
        this.due.add(stream);
      }
    }
    const due = [...this.due];
    this.due.clear();
    for (const stream of due) stream.flush();
    this.settled();
  }

  subscribe(stream: XdsStream, subscription: Subscription): Subscriber {
    const subscriber = { stream, subscription };
    const known = this.subscribers.get(subscription.group);
    if (known === undefined) this.subscribers.set(subscription.group, new Set([subscriber]));
    else known.add(subscriber);
    return subscriber;
  }

  unsubscribe(subscriber: Subscriber): void {
    const { group } = subscriber.subscription;
    const known = this.subscribers.get(group);
    known?.delete(subscriber);
    if (known?.size === 0) this.subscribers.delete(group);
  }

  streamsOf(podKey: string): number {
    let count = 0;
    for (const { client } of this.streams) if (client.podKey === podKey) count += 1;
    return count;
  }

  watchAll(stream: XdsStream): void {
    this.wildcards.add(stream);
  }

  close(stream: XdsStream): void {
    this.streams.delete(stream);
    this.wildcards.delete(stream);
    this.due.delete(stream);
    this.settled();
  }

  *subscribersOf(kind: ResourceKind, name: string, podKey = ''): Generator<Subscriber> {
    for (const subscriber of this.subscribers.get(this.cache.group(kind, name, podKey)) ?? []) {
      const { subscription } = subscriber;
      if (subscription.kind === kind && subscription.name === name) yield subscriber;
    }
  }

  entryFor({ stream, subscription }: Subscriber): CacheEntry | undefined {
    return this.cache.get(subscription.kind, subscription.name, stream.client);
  }

  /** Called, at most once a turn, after anything was sent, acknowledged, refused or closed. */
  onSettled(listener: () => void): () => void {
    this.settledListeners.add(listener);
    return () => this.settledListeners.delete(listener);
  }

  settled(): void {
    if (this.settledTimer !== undefined) return;
    this.settledTimer = this.clock.after(0, () => {
      this.settledTimer = undefined;
      for (const listener of this.settledListeners) listener();
    });
  }

  stop(): void {
    for (const stream of [...this.streams]) stream.goAway();
    this.timer?.();
    this.settledTimer?.();
  }

  private schedule(): void {
    this.timer ??= this.clock.after(this.limits.debounceMs, () => this.push());
  }
}
