import { createHash } from 'node:crypto';
import { TokenBucket, type TokenBucketSettings } from './token-bucket.ts';

/** Of a longer key its hash is kept: what a client sends must not decide how much memory a bucket takes. */
const KEY_CHARACTERS_MAX = 128;

/** A bucket for each key, as many as are allowed; the one that was asked for longest ago goes first. */
export class KeyedBuckets {
  private readonly settings: TokenBucketSettings;
  private readonly keysMax: number;
  private readonly share: number;
  private readonly onFull: () => void;
  private readonly buckets = new Map<string, TokenBucket>();

  constructor(settings: TokenBucketSettings, keysMax: number, share = 1, onFull: () => void = () => undefined) {
    this.settings = settings;
    this.keysMax = keysMax;
    this.share = share;
    this.onFull = onFull;
  }

  get size(): number {
    return this.buckets.size;
  }

  of(key: string, nowMs: number): TokenBucket {
    const name = key.length > KEY_CHARACTERS_MAX ? createHash('sha256').update(key).digest('base64') : key;
    let bucket = this.buckets.get(name);
    if (bucket === undefined) {
      if (this.buckets.size >= this.keysMax) this.dropOldest();
      bucket = new TokenBucket(this.settings, nowMs, this.share);
    } else {
      // A Map keeps the order in which keys came.
      this.buckets.delete(name);
    }
    this.buckets.set(name, bucket);
    return bucket;
  }

  private dropOldest(): void {
    const oldest = this.buckets.keys().next();
    if (oldest.done !== true) this.buckets.delete(oldest.value);
    this.onFull();
  }
}
