/** Incremental xDS over ADS (xDS protocol, "Incremental xDS"). */

import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { DeltaDiscoveryRequest } from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { kindOf, resourceKinds, typeUrls } from '@weft/policies/wire/type-urls';
import { deltaResponse } from './frame.ts';
import { XdsStream } from './stream.ts';
import { type SentItem, settle } from './subscription.ts';

const ALL = '*';

interface Batch {
  readonly resources: Uint8Array[];
  readonly items: SentItem[];
  bytes: number;
}

export class DeltaStream extends XdsStream {
  readonly protocol = 'delta';
  private readonly sent = new Map<string, readonly SentItem[]>();
  private readonly begun = new Set<ResourceKind>();

  receive(request: DeltaDiscoveryRequest): void {
    const kind = kindOf(request.typeUrl);
    if (kind === undefined) {
      this.hub.counters.unknownTypes += 1;
      return;
    }
    this.settleResponse(request);
    const first = !this.begun.has(kind);
    this.begun.add(kind);
    const subscribed = request.resourceNamesSubscribe;
    // A first request without names asks for all (legacy wildcard, Listener and Cluster alone).
    const legacyAll =
      first && subscribed.length === 0 && request.responseNonce === '' && (kind === 'listener' || kind === 'cluster');
    if (subscribed.includes(ALL) || legacyAll) this.subscribeToAll(kind);
    for (const name of subscribed) {
      if (name === ALL) continue;
      const subscription = this.subscribe(kind, name);
      if (!subscription.ok) {
        this.fail(subscription.error);
        return;
      }
      // Naming a resource again asks for it again, also when nothing changed.
      if (!first) subscription.value.told = { state: 'nothing' };
      this.mark(subscription.value);
    }
    for (const name of request.resourceNamesUnsubscribe) {
      if (name === ALL) this.wildcardKinds.delete(kind);
      else this.unsubscribe(kind, name);
    }
    if (first) this.resume(kind, request.initialResourceVersions);
    this.progress();
  }

  protected unacked(): number {
    return this.sent.size;
  }

  /** What comes first is named by what follows; what is no longer there goes last, the other way round. */
  protected send(): void {
    const removed: { readonly kind: ResourceKind; readonly names: string[] }[] = [];
    for (const kind of resourceKinds) removed.push({ kind, names: this.sendKind(kind) });
    for (const { kind, names } of removed.reverse()) {
      if (names.length > 0) this.respond(kind, { resources: [], items: [], bytes: 0 }, names);
    }
  }

  /** A client that comes back says what it holds; only what differs is sent. */
  private resume(kind: ResourceKind, versions: Readonly<Record<string, string>>): void {
    const names = this.names(kind);
    const gone: string[] = [];
    for (const [name, version] of Object.entries(versions)) {
      const known = names.get(name);
      if (known === undefined) {
        if (this.wildcardKinds.has(kind)) gone.push(name);
        continue;
      }
      const { subscription } = known;
      subscription.told = { state: 'version', version };
      const entry = this.hub.entryFor(known);
      subscription.acked = { version, sequence: entry?.version === version ? entry.sequence : 0 };
    }
    if (gone.length > 0) this.respond(kind, { resources: [], items: [], bytes: 0 }, gone);
  }

  private settleResponse(request: DeltaDiscoveryRequest): void {
    if (request.responseNonce === '') return;
    const items = this.sent.get(request.responseNonce);
    if (items === undefined) return;
    this.sent.delete(request.responseNonce);
    const refusal = request.errorDetail?.message;
    if (refusal === undefined) this.hub.counters.acks += 1;
    else this.hub.counters.nacks += 1;
    settle(items, refusal);
    this.hub.settled();
  }

  /** Sends what is new; returns the names of what is gone. */
  private sendKind(kind: ResourceKind): string[] {
    const gone: string[] = [];
    let batch: Batch = { resources: [], items: [], bytes: 0 };
    for (const subscriber of this.names(kind).values()) {
      const { subscription } = subscriber;
      if (!subscription.dirty) continue;
      const entry = this.hub.entryFor(subscriber);
      const differs = subscription.differs(entry);
      subscription.tell(entry);
      if (!differs) continue;
      if (entry === undefined) {
        gone.push(subscription.name);
        if (subscription.wildcard) this.unsubscribe(kind, subscription.name);
        continue;
      }
      batch.resources.push(entry.resource);
      batch.items.push({ subscription, version: entry.version, sequence: entry.sequence });
      batch.bytes += entry.resource.length;
      if (batch.bytes >= this.hub.limits.responseBytesMax) {
        this.respond(kind, batch, []);
        batch = { resources: [], items: [], bytes: 0 };
      }
    }
    if (batch.items.length > 0) this.respond(kind, batch, []);
    return gone;
  }

  private respond(kind: ResourceKind, batch: Batch, removedResources: readonly string[]): void {
    const nonce = this.nextNonce();
    this.sent.set(nonce, batch.items);
    this.hub.counters.resources += batch.items.length;
    this.hub.counters.removals += removedResources.length;
    const systemVersionInfo = String(this.hub.cache.latestSequence);
    this.write(
      deltaResponse({
        typeUrl: typeUrls[kind],
        nonce,
        systemVersionInfo,
        resources: batch.resources,
        removedResources,
      }),
    );
  }
}
