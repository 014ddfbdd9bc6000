/** State-of-the-world xDS over ADS (xDS protocol, "Four Variants"), from the same cache as delta. */
import { createHash } from 'node:crypto';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { DiscoveryRequest } from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { kindOf, resourceKinds, typeUrls } from '@weft/policies/wire/type-urls';
import type { CacheEntry } from './cache.ts';
import { sotwResponse } from './frame.ts';
import { XdsStream } from './stream.ts';
import { type SentItem, settle } from './subscription.ts';

interface KindState {
  /** Of the last response; an answer to an earlier one says nothing about it. */
  nonce: string;
  /** Undefined until the first response. */
  version: string | undefined;
  items: readonly SentItem[];
  waiting: boolean;
}

export class SotwStream extends XdsStream {
  readonly protocol = 'sotw';
  private readonly states = new Map<ResourceKind, KindState>();

  receive(request: DiscoveryRequest): void {
    const kind = kindOf(request.typeUrl);
    if (kind === undefined) {
      this.hub.counters.unknownTypes += 1;
      return;
    }
    const state = this.stateOf(kind, request.versionInfo);
    if (request.responseNonce !== '' && request.responseNonce !== state.nonce) return;
    if (request.responseNonce !== '') this.settleResponse(state, request);
    const all = request.resourceNames.length === 0 || request.resourceNames.includes('*');
    if (all && (kind === 'listener' || kind === 'cluster')) this.subscribeToAll(kind);
    const wanted = new Set(request.resourceNames.filter((name) => name !== '*'));
    for (const name of wanted) {
      const subscription = this.subscribe(kind, name);
      if (!subscription.ok) {
        this.fail(subscription.error);
        return;
      }
    }
    for (const [name, { subscription }] of [...this.names(kind)]) {
      if (!wanted.has(name) && !subscription.wildcard) this.unsubscribe(kind, name);
    }
    this.progress();
  }

  protected unacked(): number {
    let waiting = 0;
    for (const state of this.states.values()) if (state.waiting) waiting += 1;
    return waiting;
  }

  protected send(): void {
    for (const kind of resourceKinds) {
      const state = this.states.get(kind);
      if (state === undefined) continue;
      const dirty = [...this.names(kind).values()].some(({ subscription }) => subscription.dirty);
      if (dirty) this.sendKind(kind, state);
    }
  }

  private sendKind(kind: ResourceKind, state: KindState): void {
    const found: { readonly item: SentItem; readonly entry: CacheEntry }[] = [];
    for (const subscriber of [...this.names(kind).values()]) {
      const { subscription } = subscriber;
      const entry = this.hub.entryFor(subscriber);
      subscription.tell(entry);
      if (entry === undefined) {
        if (subscription.wildcard) this.unsubscribe(kind, subscription.name);
        continue;
      }
      found.push({ item: { subscription, version: entry.version, sequence: entry.sequence }, entry });
    }
    const items = found.map(({ item }) => item);
    const version = versionOf(items);
    if (version === state.version) {
      // The client came back and holds all of it already.
      if (state.nonce === '') settle(items, undefined);
      return;
    }
    state.nonce = this.nextNonce();
    state.version = version;
    state.items = items;
    state.waiting = true;
    this.hub.counters.resources += items.length;
    const resources = found.map(({ entry }) => entry.any);
    this.write(sotwResponse({ typeUrl: typeUrls[kind], nonce: state.nonce, versionInfo: version, resources }));
  }

  private settleResponse(state: KindState, request: DiscoveryRequest): void {
    if (!state.waiting) return;
    state.waiting = false;
    const refusal = request.errorDetail?.message;
    if (refusal === undefined) this.hub.counters.acks += 1;
    else this.hub.counters.nacks += 1;
    settle(state.items, refusal);
    this.hub.settled();
  }

  private stateOf(kind: ResourceKind, held: string): KindState {
    const known = this.states.get(kind);
    if (known !== undefined) return known;
    const made: KindState = { nonce: '', version: held === '' ? undefined : held, items: [], waiting: false };
    this.states.set(kind, made);
    return made;
  }
}

/** The same resources give the same version on every replica and over restarts. */
function versionOf(items: readonly SentItem[]): string {
  const hash = createHash('sha256');
  const lines = items.map(({ subscription, version }) => `${subscription.name} ${version}\n`).sort();
  for (const line of lines) hash.update(line);
  return hash.digest('base64url').slice(0, 22);
}
