import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { DeltaEffect, DeltaRequest, DeltaResponse, ReceivedResource } from './messages.ts';

/**
 * The client's half of incremental xDS for one resource type: what is wanted, what the server was told, which versions
 * are held. Pure; the stream sends what `nextRequest` and `acknowledge` return.
 */
export class DeltaTypeState {
  readonly kind: ResourceKind;
  readonly typeUrl: string;
  private readonly wanted = new Set<string>();
  /** Names that this stream's server knows to be subscribed. */
  private told = new Set<string>();
  private readonly versions = new Map<string, string>();
  private streamBegun = false;

  constructor(kind: ResourceKind, typeUrl: string) {
    this.kind = kind;
    this.typeUrl = typeUrl;
  }

  subscribe(name: string): boolean {
    if (this.wanted.has(name)) return false;
    this.wanted.add(name);
    return true;
  }

  unsubscribe(name: string): void {
    this.wanted.delete(name);
    this.versions.delete(name);
  }

  has(name: string): boolean {
    return this.wanted.has(name);
  }

  /** This stream's server was asked for something of it, or is about to be. */
  get asks(): boolean {
    return this.streamBegun || this.wanted.size > 0;
  }

  get size(): number {
    return this.wanted.size;
  }

  names(): IterableIterator<string> {
    return this.wanted.values();
  }

  /** A stream knows nothing of the one before it. */
  restart(): void {
    this.told = new Set();
    this.streamBegun = false;
  }

  /** Subscriptions that the server has not been told of; undefined when there are none. */
  nextRequest(): DeltaRequest | undefined {
    const subscribe = [...this.wanted].filter((name) => !this.told.has(name));
    const unsubscribe = [...this.told].filter((name) => !this.wanted.has(name));
    if (subscribe.length === 0 && unsubscribe.length === 0) return undefined;
    // Only what is still wanted: the server sends what differs, and removals of what is gone.
    const heldVersions = this.streamBegun ? {} : Object.fromEntries(this.versions);
    this.streamBegun = true;
    for (const name of subscribe) this.told.add(name);
    for (const name of unsubscribe) this.told.delete(name);
    return { typeUrl: this.typeUrl, subscribe, unsubscribe, heldVersions, nonce: '', refusal: '' };
  }

  /** Leaves out what nobody wants any more: its subscription may have crossed the response. */
  receive({ resources, removed }: DeltaResponse): DeltaEffect {
    return {
      upserts: resources.filter(({ name }) => this.wanted.has(name)),
      removals: removed.filter((name) => this.wanted.has(name)),
    };
  }

  /** Records what was applied; a rejected resource keeps its old version, so that a new stream gets it again. */
  applied(accepted: readonly ReceivedResource[], removed: readonly string[]): void {
    for (const resource of accepted) this.versions.set(resource.name, resource.version);
    for (const name of removed) this.versions.delete(name);
  }

  acknowledge(nonce: string, errors: readonly string[]): DeltaRequest {
    const { typeUrl } = this;
    return { typeUrl, subscribe: [], unsubscribe: [], heldVersions: {}, nonce, refusal: errors.join('; ') };
  }
}
