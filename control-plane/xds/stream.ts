/** What delta and state-of-the-world streams have in common: subscriptions, flow control, who is at the other end. */
import type { Cancel } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { XdsClient } from './cache.ts';
import type { Subscriber, XdsHub } from './hub.ts';
import { Subscription } from './subscription.ts';

/** The other end of the wire. */
export interface StreamSink {
  /** False when no more should be written before `drained` is called. */
  write(message: Buffer): boolean;
  fail(code: StreamError['code'], message: string): void;
}

export interface StreamError {
  readonly code: 'invalid-argument' | 'permission-denied' | 'resource-exhausted' | 'unavailable';
  readonly message: string;
}

const nameCharsMax = 1_024;

export abstract class XdsStream {
  abstract readonly protocol: 'delta' | 'sotw';
  readonly client: XdsClient;
  /** For people: `<namespace>/<pod>`. */
  readonly nodeId: string;
  readonly openedUnixMs: number;
  protected readonly hub: XdsHub;
  protected readonly sink: StreamSink;
  protected readonly byKind = new Map<ResourceKind, Map<string, Subscriber>>();
  protected readonly wildcardKinds = new Set<ResourceKind>();
  protected nonce = 0;
  private subscriptionCount = 0;
  private writable = true;
  /** Something may be untold: without it a flood of requests would have every subscription looked at each time. */
  private untold = false;
  private stalled: Cancel | undefined;
  private closed = false;

  constructor(hub: XdsHub, client: XdsClient, nodeId: string, sink: StreamSink) {
    this.hub = hub;
    this.client = client;
    this.nodeId = nodeId;
    this.sink = sink;
    this.openedUnixMs = hub.clock.unixMs();
    hub.streams.add(this);
    hub.counters.streamsOpened += 1;
  }

  /** Responses that wait for an ACK or NACK. */
  protected abstract unacked(): number;
  protected abstract send(): void;

  *subscriptions(): Generator<Subscription> {
    for (const names of this.byKind.values()) for (const { subscription } of names.values()) yield subscription;
  }

  markAll(): void {
    for (const subscription of this.subscriptions()) subscription.dirty = true;
    this.untold = true;
  }

  mark(subscription: Subscription): void {
    subscription.dirty = true;
    this.untold = true;
  }

  /** Tells what is untold, as far as the other end keeps up; what it cannot take now is merged with what comes later. */
  flush(): void {
    if (this.closed) return;
    if (this.untold && this.writable && this.unacked() < this.hub.limits.unackedResponsesMax) {
      this.untold = false;
      this.send();
    }
    this.watchProgress();
  }

  drained(): void {
    this.writable = true;
    this.progress();
  }

  /** This replica goes away; the client finds another one. */
  goAway(): void {
    this.fail({ code: 'unavailable', message: 'this replica of the control plane is stopping' });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.stalled?.();
    for (const names of this.byKind.values()) for (const subscriber of names.values()) this.hub.unsubscribe(subscriber);
    this.byKind.clear();
    this.hub.close(this);
  }

  /** Brings subscriptions to all of a kind up to date with what there is. */
  expandWildcards(): void {
    for (const kind of this.wildcardKinds) {
      for (const name of this.hub.cache.names(kind, this.client)) this.subscribe(kind, name, true);
    }
  }

  protected subscribeToAll(kind: ResourceKind): void {
    this.wildcardKinds.add(kind);
    this.hub.watchAll(this);
    this.expandWildcards();
  }

  protected subscribe(kind: ResourceKind, name: string, wildcard = false): Result<Subscription, StreamError> {
    const names = this.names(kind);
    const known = names.get(name);
    if (known !== undefined) return ok(known.subscription);
    if (name.length > nameCharsMax) {
      return err({ code: 'invalid-argument', message: `a resource name is longer than ${nameCharsMax} characters` });
    }
    const max = this.hub.limits.subscriptionsPerStreamMax;
    if (this.subscriptionCount >= max) {
      this.hub.counters.subscriptionsRefused += 1;
      return err({ code: 'resource-exhausted', message: `more than ${max} subscriptions on one stream` });
    }
    if (this.client.trustAlone === true && kind !== 'secret') {
      const message = `a process without a pod is told of trust alone, and not of the ${kind} "${name}"`;
      return err({ code: 'permission-denied', message });
    }
    if (kind === 'listener' && name !== 'inbound' && name !== 'outbound') {
      const message = `Listener "${name}" is not a resource of ${this.nodeId}; a workload may ask for its own "inbound" and "outbound"`;
      return err({ code: 'permission-denied', message });
    }
    const subscription = new Subscription(kind, name, this.hub.cache.group(kind, name, this.client.podKey), wildcard);
    names.set(name, this.hub.subscribe(this, subscription));
    this.subscriptionCount += 1;
    this.untold = true;
    return ok(subscription);
  }

  protected unsubscribe(kind: ResourceKind, name: string): void {
    const names = this.names(kind);
    const known = names.get(name);
    if (known === undefined) return;
    names.delete(name);
    this.subscriptionCount -= 1;
    this.hub.unsubscribe(known);
  }

  protected names(kind: ResourceKind): Map<string, Subscriber> {
    const known = this.byKind.get(kind);
    if (known !== undefined) return known;
    const made = new Map<string, Subscriber>();
    this.byKind.set(kind, made);
    return made;
  }

  protected nextNonce(): string {
    this.nonce += 1;
    return String(this.nonce);
  }

  protected write(message: Buffer): void {
    this.hub.counters.responses += 1;
    this.hub.counters.responseBytes += message.length;
    this.writable = this.sink.write(message) && this.writable;
  }

  protected fail(error: StreamError): void {
    this.sink.fail(error.code, error.message);
    this.close();
  }

  /** The other end has read or answered: it is alive. */
  protected progress(): void {
    this.stalled?.();
    this.stalled = undefined;
    this.flush();
    // Also when there was nothing to send: who comes back and holds it all counts from now on.
    this.hub.settled();
  }

  private watchProgress(): void {
    if (this.stalled !== undefined || (this.writable && this.unacked() === 0)) return;
    const { stalledMsMax } = this.hub.limits;
    this.stalled = this.hub.clock.after(stalledMsMax, () => {
      this.hub.counters.streamsStalled += 1;
      const what = this.writable ? `no answer to ${this.unacked()} responses` : 'responses were not read';
      this.fail({ code: 'resource-exhausted', message: `${what} for ${stalledMsMax} ms` });
    });
  }
}
