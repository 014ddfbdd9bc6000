/** The control plane without its edges: state in, resources out. Sources feed it, streams hang off it. */
import type { TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Clock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import type { Result } from '@weft/policies/kit/result';
import { TRUST_SECRET } from '@weft/policies/model/tls';
import { touchedByKeys } from './index/dependents.ts';
import type { MeshObject, ObjectKind } from './index/objects.ts';
import { ClusterState } from './index/state.ts';
import { isTouched, type Touched } from './index/touched.ts';
import { fetchKeySet, mayBeFetchedFrom } from './jwks/fetch.ts';
import { JwksStore } from './jwks/store.ts';
import { DrainTracker } from './resources/drain.ts';
import { changeOf, TRUST_GROUP } from './resources/groups.ts';
import { type ModeTimes, ModeTracker } from './resources/mode-changes.ts';
import { TranslatedSource } from './resources/source.ts';
import type { TranslateContext } from './translate/context.ts';
import { keySetUris } from './translate/jwt.ts';
import { canonicalIn } from './translate/trust.ts';
import { MeshTrust } from './trust/mesh-trust.ts';
import { ResourceCache } from './xds/cache.ts';
import { defaultXdsLimits, XdsHub, type XdsLimits } from './xds/hub.ts';

export interface MeshOptions {
  readonly meshNamespace: string;
  readonly trustDomain: TrustDomain;
  readonly clock: Clock;
  readonly limits?: XdsLimits;
  /** A resource whose translation threw. */
  readonly onFault?: (resource: string, fault: unknown) => void;
  /** How long the steps of a change of modes last. */
  readonly modeTimes?: ModeTimes;
  /** How a key set is fetched; by default from the issuer, over the network. */
  readonly fetchKeys?: (uri: string) => Promise<Result<string, string>>;
}

export class MeshControl {
  readonly state: ClusterState;
  readonly context: TranslateContext;
  readonly hub: XdsHub;
  readonly drain: DrainTracker;
  readonly modes: ModeTracker;
  readonly keySets: JwksStore;
  readonly trust = new MeshTrust((spiffeId) => canonicalIn(this.context, spiffeId));
  /** Set by who hears of them. */
  plaintextCallers: TranslateContext['plaintextCallers'];
  private readonly listeners = new Set<(touched: Touched) => void>();
  private readonly keySetListeners = new Set<() => void>();
  private readonly namespaceListeners = new Set<() => void>();

  constructor(options: MeshOptions) {
    const { meshNamespace, trustDomain, clock, limits = defaultXdsLimits, onFault } = options;
    const { fetchKeys = (uri) => fetchKeySet(uri, { isAllowed: mayBeFetchedFrom }) } = options;
    this.state = new ClusterState(meshNamespace);
    this.drain = new DrainTracker(this.state);
    this.modes = new ModeTracker(this.state, options.modeTimes);
    this.keySets = new JwksStore({
      clock,
      prng: systemPrng,
      fetch: (uri) => fetchKeys(uri),
      changed: (uris) => this.keysChanged(uris),
    });
    this.context = {
      state: this.state,
      trustDomain,
      isDrained: (key) => this.drain.isDrained(key),
      modeChanges: (key) => this.modes.changeOf(key),
      trust: this.trust,
      keySets: this.keySets,
      plaintextCallers: (workload) => this.plaintextCallers?.(workload),
    };
    this.hub = new XdsHub(new ResourceCache(new TranslatedSource(this.context), onFault), clock, limits);
    this.drain.attach(this.hub);
    this.modes.attach(this.hub);
    this.trust.onChange(() => this.hub.change({ everything: false, groups: new Set([TRUST_GROUP]), names: false }));
  }

  apply(object: MeshObject): void {
    this.changed(object.kind, this.state.apply(object));
  }

  delete(kind: ObjectKind, key: string): void {
    this.changed(kind, this.state.delete(kind, key));
  }

  /** Called when a namespace comes, goes or changes. */
  onNamespace(listener: () => void): void {
    this.namespaceListeners.add(listener);
  }

  /** Called when keys of an issuer have changed, or can no longer be fetched. */
  onKeySets(listener: () => void): void {
    this.keySetListeners.add(listener);
  }

  onChange(listener: (touched: Touched) => void): void {
    this.listeners.add(listener);
  }

  /** Names of connected sidecars that have not taken whom to believe, as it is now. */
  withoutTrust(): string[] {
    const names: string[] = [];
    for (const subscriber of this.hub.subscribersOf('secret', TRUST_SECRET)) {
      if (!subscriber.subscription.holds(this.hub.entryFor(subscriber))) names.push(subscriber.stream.nodeId);
    }
    return names;
  }

  stop(): void {
    this.drain.stop();
    this.modes.stop();
    this.keySets.stop();
    this.hub.stop();
  }

  private changed(kind: ObjectKind, touched: Touched): void {
    if (kind === 'Namespace') for (const listener of this.namespaceListeners) listener();
    if (isTouched(touched)) {
      this.modes.observe(touched);
      this.hub.change(changeOf(touched));
      this.drain.observe(touched);
    }
    if (kind === 'AuthenticationPolicy') this.keySets.want(keySetUris(this.state.authenticationPolicies.values()));
    for (const listener of this.listeners) listener(touched);
  }

  /** For status too, which says what keys are missing. */
  private keysChanged(uris: ReadonlySet<string>): void {
    const touched = touchedByKeys(this.state, uris);
    if (isTouched(touched)) this.hub.change(changeOf(touched));
    for (const listener of this.listeners) listener(touched);
    for (const listener of this.keySetListeners) listener();
  }
}
