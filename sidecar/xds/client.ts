import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { ProxyNode } from '@weft/policies/model/proxy-node';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { DeltaTypeState } from './delta-state.ts';
import { openSnapshot, type SnapshotStore, sealSnapshot } from './last-good.ts';
import type { DeltaEffect, DeltaNode, DeltaRequest, DeltaResponse, ReceivedResource, XdsWire } from './messages.ts';
import { XdsSource } from './source.ts';
import { type Change, RESOURCE_KINDS } from './table-source.ts';

/** What is used of gRPC's bidirectional stream. */
export interface AdsStream {
  /** `node`: with the first request. */
  send(request: DeltaRequest, node: DeltaNode | undefined): void;
  cancel(): void;
}

export interface AdsListener {
  /** The control plane has let the stream in; it says nothing to whom it has nothing new to tell. */
  onAccepted(): void;
  onMessage(response: DeltaResponse): void;
  /** A response that nobody can apply; the stream has refused it. */
  onUnreadable(typeUrl: string, reason: string): void;
  /** The stream is gone; why, for people. */
  onLost(reason: string): void;
}

interface XdsClientOptions {
  /** Opens the stream with fresh credentials; called again after each loss. */
  readonly open: (listener: AdsListener) => AdsStream;
  /** Found anew for each use: it may have been let go meanwhile. */
  readonly wire: () => XdsWire;
  readonly nodeId: string;
  /** What it says of itself beside that; left out: nothing. */
  readonly nodeDetails?: Omit<ProxyNode, 'id'>;
  readonly clock: Clock;
  readonly prng: Prng;
  /** Where a snapshot is kept for a restart; undefined: nowhere. */
  readonly store: SnapshotStore | undefined;
  readonly count: (event: string) => void;
  readonly log: (line: string) => void;
  /** Names always subscribed: this workload's own listeners. */
  readonly listeners: readonly string[];
  /** Likewise: whom to believe. */
  readonly secrets?: readonly string[];
  readonly waitersMax: number;
  readonly namesMax: number;
  /** A response was refused, and said so. */
  readonly onRefused?: () => void;
  /** Called in place of taking away what the server says is gone, which stays; left out: it goes. */
  readonly onRemoved?: (names: readonly string[]) => void;
  /** Where others apply the same changes, in threads of their own. */
  readonly replicas?: Replicas | undefined;
}

/** Copies of the configuration that are to be in step before a response is acknowledged. */
export interface Replicas {
  publish(changes: readonly Change[]): void;
  /** Calls back once, when all have applied what was published so far, with what they could not apply. */
  whenApplied(done: (errors: readonly string[]) => void): void;
}

const RECONNECT_BASE_MS = 200;
const RECONNECT_MAX_MS = 5_000;
/** After this long without trouble, the next reconnect is quick again. */
const HEALTHY_AFTER_MS = 5_000;
const SAVE_DELAY_MS = 200;

/** What an operator sees of the connection to the control plane. */
interface XdsStatus {
  readonly connected: boolean;
  readonly lastErrorText: string;
  readonly responses: number;
  readonly rejected: number;
  readonly resources: Readonly<Record<ResourceKind, number>>;
}

/** The incremental ADS client: keeps one stream, applies what is good, refuses what is bad, remembers the last good. */
export class XdsClient {
  readonly source: XdsSource;
  private readonly options: XdsClientOptions;
  private readonly types: ReadonlyMap<string, DeltaTypeState>;
  private readonly byKind: ReadonlyMap<ResourceKind, DeltaTypeState>;
  private readonly held = new Map<ResourceKind, Map<string, ReceivedResource>>();
  private stream: AdsStream | undefined;
  private nodeSent = false;
  private attempts = 0;
  private flushQueued = false;
  private cancelReconnect: Cancel | undefined;
  private cancelSave: Cancel | undefined;
  private closed = false;
  private connected = false;
  private readonly connectedListeners = new Set<() => void>();
  private lastErrorText = '';
  private responses = 0;
  private rejected = 0;

  constructor(options: XdsClientOptions) {
    this.options = options;
    const states = RESOURCE_KINDS.map((kind) => new DeltaTypeState(kind, typeUrls[kind]));
    this.types = new Map(states.map((state) => [state.typeUrl, state]));
    this.byKind = new Map(states.map((state) => [state.kind, state]));
    for (const kind of RESOURCE_KINDS) this.held.set(kind, new Map());
    this.source = new XdsSource({
      clock: options.clock,
      waitersMax: options.waitersMax,
      namesMax: options.namesMax,
      count: options.count,
      subscribe: (kind, name) => this.subscribe(kind, name),
      unsubscribe: (kind, name) => this.unsubscribe(kind, name),
      publish: options.replicas === undefined ? undefined : (changes) => options.replicas?.publish(changes),
    });
  }

  get nodeId(): string {
    return this.options.nodeId;
  }

  /** Applies the stored snapshot, if there is one, then connects. True when something was restored. */
  start(): boolean {
    const restored = this.restore();
    for (const name of this.options.secrets ?? []) this.source.lookup('secret', name);
    for (const name of this.options.listeners) this.source.lookup('listener', name);
    this.connect();
    return restored;
  }

  status(): XdsStatus {
    const resources = Object.fromEntries(RESOURCE_KINDS.map((kind) => [kind, this.held.get(kind)?.size ?? 0]));
    return {
      connected: this.connected,
      lastErrorText: this.lastErrorText,
      responses: this.responses,
      rejected: this.rejected,
      resources: resources as Record<ResourceKind, number>,
    };
  }

  /** Called whenever the control plane is there again. */
  onConnected(listener: () => void): void {
    this.connectedListeners.add(listener);
  }

  close(): void {
    this.closed = true;
    this.cancelReconnect?.();
    if (this.cancelSave !== undefined) {
      this.cancelSave();
      this.save();
    }
    this.stream?.cancel();
  }

  private subscribe(kind: ResourceKind, name: string): void {
    if (this.byKind.get(kind)?.subscribe(name)) this.flushSoon();
  }

  private unsubscribe(kind: ResourceKind, name: string): void {
    this.byKind.get(kind)?.unsubscribe(name);
    this.held.get(kind)?.delete(name);
    this.flushSoon();
  }

  /** Names asked for in one turn of the loop leave in one request a type. */
  private flushSoon(): void {
    if (this.flushQueued) return;
    this.flushQueued = true;
    queueMicrotask(() => {
      this.flushQueued = false;
      this.flush();
    });
  }

  private flush(): void {
    if (this.stream === undefined) return;
    for (const state of this.types.values()) {
      const request = state.nextRequest();
      if (request !== undefined) this.send(request);
    }
  }

  private send(request: DeltaRequest): void {
    this.stream?.send(request, this.nodeSent ? undefined : this.node());
    this.nodeSent = true;
  }

  private node(): DeltaNode {
    return {
      cluster: '',
      ...this.options.nodeDetails,
      id: this.options.nodeId,
      clientFeatures: ['weft.address', 'weft.connect', 'weft.http1', 'weft.http2', 'weft.locality', 'weft.tcp'],
    };
  }

  private connect(): void {
    if (this.closed) return;
    const startedMs = this.options.clock.nowMs();
    for (const state of this.types.values()) state.restart();
    this.nodeSent = false;
    let ended = false;
    const lost = (reason: string): void => {
      if (ended || this.closed) return;
      ended = true;
      this.stream = undefined;
      this.connected = false;
      this.lastErrorText = reason;
      if (this.options.clock.nowMs() - startedMs > HEALTHY_AFTER_MS) this.attempts = 0;
      const capMs = Math.min(RECONNECT_MAX_MS, RECONNECT_BASE_MS * 2 ** this.attempts++);
      // Full jitter: a restarted control plane is not met by all its sidecars at once.
      const delayMs = RECONNECT_BASE_MS / 2 + capMs * this.options.prng.next();
      this.options.count('xds_stream_lost');
      this.options.log(`xds: stream lost (${reason}), next attempt in ${Math.round(delayMs)} ms`);
      this.cancelReconnect = this.options.clock.after(delayMs, () => this.connect());
    };
    try {
      const stream = this.options.open({
        onAccepted: () => this.accepted(),
        onMessage: (response) => this.receive(response),
        onUnreadable: (typeUrl, reason) => this.refused(typeUrl, [reason]),
        onLost: lost,
      });
      if (!ended) this.stream = stream;
    } catch (error) {
      lost((error as Error).message);
      return;
    }
    this.flush();
  }

  private accepted(): void {
    if (this.connected) return;
    this.connected = true;
    for (const listener of this.connectedListeners) listener();
  }

  private receive(response: DeltaResponse): void {
    const state = this.types.get(response.typeUrl);
    // Of a type that was not asked for, an answer would be the first request, and one without names asks for all of it.
    if (state?.asks !== true) {
      this.options.count('xds_unknown_type');
      return;
    }
    // A control plane of an earlier version says nothing else.
    this.accepted();
    this.responses++;
    const decoded = this.options.wire().decodeEffect(state.kind, state.typeUrl, this.effectOf(state, response));
    for (let i = 0; i < decoded.unknownFields; i++) this.options.count('xds_unknown_field');
    const { stream } = this;
    const undo = this.source.entriesOf(decoded.changes);
    const own = this.source.apply(decoded.changes);
    const settle = (failures: readonly string[]): void => {
      if (failures.length === 0) this.hold(state, decoded.accepted, decoded.changes);
      // The last good ones serve on, in this thread and in all others.
      else this.source.undo(decoded.changes, undo);
      // A stream that is gone knows this nonce, and the next one does not.
      if (this.stream === stream) this.conclude(state, response.nonce, [...decoded.errors, ...failures]);
    };
    const failures = own === undefined ? [] : [own];
    if (this.options.replicas === undefined || decoded.changes.length === 0) settle(failures);
    else this.options.replicas.whenApplied((errors) => settle([...failures, ...errors]));
  }

  private effectOf(state: DeltaTypeState, response: DeltaResponse): DeltaEffect {
    const effect = state.receive(response);
    if (this.options.onRemoved === undefined || effect.removals.length === 0) return effect;
    // A version that is kept would tell the next stream's server not to send what it has again by then.
    state.applied([], effect.removals);
    this.options.onRemoved(effect.removals);
    return { ...effect, removals: [] };
  }

  private conclude(state: DeltaTypeState, nonce: string, errors: readonly string[]): void {
    // Readiness shows it: a refused listener is why a proxy waits.
    this.lastErrorText = errors.length === 0 ? '' : `refused ${errors.join('; ')}`;
    if (errors.length > 0) this.refused(state.typeUrl, errors);
    this.send(state.acknowledge(nonce, errors));
    this.flush();
  }

  private refused(typeUrl: string, errors: readonly string[]): void {
    this.rejected++;
    this.options.count('xds_rejected');
    this.options.log(`xds: refused ${typeUrl}: ${errors.join('; ')}`);
    this.options.onRefused?.();
  }

  private hold(state: DeltaTypeState, accepted: readonly ReceivedResource[], changes: readonly Change[]): void {
    const removed = changes.flatMap((change) =>
      change.entry !== undefined && 'absent' in change.entry ? [change.name] : [],
    );
    state.applied(accepted, removed);
    const held = this.held.get(state.kind);
    for (const resource of accepted) held?.set(resource.name, resource);
    for (const name of removed) held?.delete(name);
    if (changes.length === 0 || this.options.store === undefined) return;
    this.cancelSave ??= this.options.clock.after(SAVE_DELAY_MS, () => this.save());
  }

  private save(): void {
    this.cancelSave = undefined;
    const body = this.options.wire().encodeHeld(this.held, (kind) => typeUrls[kind]);
    this.options.store?.save(sealSnapshot(this.options.nodeId, body));
  }

  private restore(): boolean {
    const bytes = this.options.store?.load();
    if (bytes === undefined) return false;
    const body = openSnapshot(this.options.nodeId, bytes);
    const stored = body === undefined ? undefined : this.options.wire().decodeHeld(body);
    if (stored === undefined) {
      this.options.log('xds: the stored snapshot is damaged or of another proxy; starting without it');
      this.options.count('xds_snapshot_damaged');
      return false;
    }
    const changes: Change[] = [];
    for (const [typeUrl, resources] of stored) {
      const state = this.types.get(typeUrl);
      if (state === undefined) continue;
      const decoded = this.options.wire().decodeEffect(state.kind, typeUrl, { upserts: resources, removals: [] });
      if (decoded.errors.length > 0) this.options.log(`xds: left out of the snapshot: ${decoded.errors.join('; ')}`);
      for (const resource of decoded.accepted) state.subscribe(resource.name);
      state.applied(decoded.accepted, []);
      for (const resource of decoded.accepted) this.held.get(state.kind)?.set(resource.name, resource);
      changes.push(...decoded.changes);
    }
    this.source.apply(changes);
    return changes.length > 0;
  }
}
