import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { CacheEntry } from './cache.ts';

/** What a subscriber was told last: nothing yet, that there is no such resource, or a version. */
export type Told =
  | { readonly state: 'nothing' }
  | { readonly state: 'absent' }
  | { readonly state: 'version'; readonly version: string };

interface Nack {
  readonly version: string;
  readonly message: string;
}

/** One name on one stream, and how far it has come. */
export class Subscription {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly group: string;
  readonly wildcard: boolean;
  dirty = true;
  told: Told = { state: 'nothing' };
  acked: { readonly version: string; readonly sequence: number } | undefined;
  nack: Nack | undefined;

  constructor(kind: ResourceKind, name: string, group: string, wildcard: boolean) {
    this.kind = kind;
    this.name = name;
    this.group = group;
    this.wildcard = wildcard;
  }

  /** True when the subscriber has not been told of what is in the cache. */
  differs(entry: CacheEntry | undefined): boolean {
    if (entry === undefined) return this.told.state !== 'absent';
    return this.told.state !== 'version' || this.told.version !== entry.version;
  }

  tell(entry: CacheEntry | undefined): void {
    this.told = entry === undefined ? { state: 'absent' } : { state: 'version', version: entry.version };
    this.dirty = false;
  }

  /** True when the subscriber has applied this content or a later one of the same resource. */
  holds(entry: CacheEntry | undefined): boolean {
    if (entry === undefined) return this.told.state === 'absent';
    if (this.acked === undefined) return false;
    return this.acked.version === entry.version || this.acked.sequence >= entry.sequence;
  }
}

/** A part of a response that waits for its ACK. */
export interface SentItem {
  readonly subscription: Subscription;
  readonly version: string;
  readonly sequence: number;
}

const messageCharsMax = 1_024;
const nameCharacter = /[A-Za-z0-9_./-]/;

/** True when the text has the name with no further name character beside it: `.../80` is not named by `.../8080`. */
function mentions(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
    const before = text[at - 1] ?? ' ';
    const after = text[at + name.length] ?? ' ';
    if (!nameCharacter.test(before) && !nameCharacter.test(after)) return true;
  }
  return false;
}

/** What a refusal says of one resource: Weft's sidecars say one thing after the other, each with the name in front. */
function partsAbout(refusal: string, name: string): string {
  const parts = refusal.split('; ');
  const own: string[] = [];
  for (const part of parts) if (part.startsWith(`${name}: `)) own.push(part);
  return own.length === 0 ? refusal : own.join('; ');
}

/**
 * An ACK, or a NACK that names what it refuses: what it does not name was applied. A NACK that names none of the
 * items refuses them all.
 */
export function settle(items: readonly SentItem[], refusal: string | undefined): void {
  const named = refusal === undefined ? [] : items.filter((item) => mentions(refusal, item.subscription.name));
  const refused = new Set(refusal === undefined ? [] : named.length > 0 ? named : items);
  for (const item of items) {
    const { subscription, version, sequence } = item;
    if (refused.has(item) && refusal !== undefined) {
      subscription.nack = { version, message: partsAbout(refusal, subscription.name).slice(0, messageCharsMax) };
    } else {
      subscription.acked = { version, sequence };
      if (subscription.nack !== undefined && subscription.nack.version !== version) subscription.nack = undefined;
    }
  }
}
