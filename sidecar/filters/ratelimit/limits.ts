import { KeyedBuckets } from '@weft/policies/kit/keyed-buckets';
import { TokenBucket, type TokenBucketSettings } from '@weft/policies/kit/token-bucket';
import type { RateLimit } from '@weft/policies/model/overload';
import type { QuotaDemand, QuotaGrant } from '../../quota/client.ts';
import type { Recorder } from '../../telemetry/record.ts';

/** Limits that are remembered; more than any listener names. */
const LIMITS_MAX = 512;

interface LimitsDeps {
  readonly recorder: Recorder;
  /** Data threads that share a limit, each of which gets as much of it. */
  readonly threads: number;
}

interface Entry<T> {
  readonly settings: string;
  readonly value: T;
}

/** What a global limit has been asked for, and the bucket that its leases fill. */
export interface GlobalLimit {
  readonly name: string;
  readonly settings: TokenBucketSettings;
  readonly bucket: TokenBucket;
  /** Requests since somebody last took the number. */
  demand: number;
}

/** Requests that a limit let through, and those that it did not. */
export interface LimitCounts {
  admitted: number;
  refused: number;
}

/**
 * The buckets of a data thread by the name of their limit. They outlive the version of the listener that brought them,
 * and all filter chains of a workload take from the same ones.
 */
export class Limits {
  readonly share: number;
  private readonly recorder: Recorder;
  private readonly plain = new Map<string, Entry<TokenBucket>>();
  private readonly keyed = new Map<string, Entry<KeyedBuckets>>();
  private readonly counted = new Map<string, Entry<LimitCounts>>();
  private readonly globals = new Map<string, Entry<GlobalLimit>>();

  constructor({ recorder, threads }: LimitsDeps) {
    this.recorder = recorder;
    this.share = 1 / threads;
  }

  bucketOf(name: string, settings: TokenBucketSettings, nowMs: number): TokenBucket {
    return this.remember(this.plain, name, settings, () => new TokenBucket(settings, nowMs, this.share));
  }

  keyedOf({ name, bucket, keysMax }: RateLimit): KeyedBuckets {
    return this.remember(this.keyed, name, { bucket, keysMax }, () => {
      return new KeyedBuckets(bucket, keysMax, this.share, () => this.recorder.count('ratelimit.keys_max'));
    });
  }

  globalOf({ name, bucket: settings }: RateLimit, nowMs: number): GlobalLimit {
    return this.remember(this.globals, name, settings, () => {
      return { name, settings, bucket: new TokenBucket(settings, nowMs, this.share), demand: 0 };
    });
  }

  countsOf(name: string): LimitCounts {
    return this.remember(this.counted, name, [], () => ({ admitted: 0, refused: 0 }));
  }

  *counts(): Generator<readonly [string, LimitCounts]> {
    for (const [name, { value }] of this.counted) yield [name, value];
  }

  /** Requests that each global limit was asked for since the last time. */
  takeDemand(): QuotaDemand {
    const demand: Record<string, number> = {};
    for (const [name, { value }] of this.globals) {
      demand[name] = value.demand;
      value.demand = 0;
    }
    return demand;
  }

  /** Without a lease each sidecar has its even part, as far as it is known how many there are. */
  grant({ limit, tokensPerSecond, holders }: QuotaGrant, nowMs: number): void {
    const global = this.globals.get(limit)?.value;
    if (global === undefined) return;
    const { tokensMax, tokensPerFill, fillIntervalMs } = global.settings;
    const wholePerMs = tokensPerFill / fillIntervalMs;
    const perMs = tokensPerSecond === undefined ? wholePerMs / Math.max(1, holders) : tokensPerSecond / 1_000;
    global.bucket.adjust(perMs * this.share, ((tokensMax * perMs) / wholePerMs) * this.share, nowMs);
  }

  /** A limit that is set anew begins with a full bucket. */
  private remember<T>(entries: Map<string, Entry<T>>, name: string, settings: object, make: () => T): T {
    const said = JSON.stringify(settings);
    const known = entries.get(name);
    if (known?.settings === said) return known.value;
    if (known === undefined && entries.size >= LIMITS_MAX) {
      const oldest = entries.keys().next();
      if (oldest.done !== true) entries.delete(oldest.value);
      this.recorder.count('ratelimit.limits_max');
    }
    const value = make();
    entries.set(name, { settings: said, value });
    return value;
  }
}
