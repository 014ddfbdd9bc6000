/**
 * Tells when the end of a pod has reached everyone who sends requests to it: then, and not before, its Address says
 * `terminating`, which is what its sidecar waits for before the application is stopped.
 */
import type { Cancel } from '@weft/policies/kit/clock';
import { keyOf, objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { type Touched, untouched } from '../index/touched.ts';
import { outboundName } from '../translate/names.ts';
import type { XdsHub } from '../xds/hub.ts';
import { changeOf } from './groups.ts';

/** A subscriber that does not answer may hold up the end of a pod no longer than this. */
const waitMsMax = 2_000;

interface Draining {
  /** Endpoint resources that named the pod when its end began. */
  readonly names: readonly string[];
  readonly deadline: Cancel;
}

export class DrainTracker {
  readonly counters = { drained: 0, timedOut: 0 };
  private readonly draining = new Map<string, Draining>();
  private readonly drained = new Set<string>();
  private readonly state: ClusterState;
  private hub: XdsHub | undefined;

  constructor(state: ClusterState) {
    this.state = state;
  }

  /** The hub reads resources that read this tracker, so that it comes after. */
  attach(hub: XdsHub): void {
    this.hub = hub;
    hub.onSettled(() => {
      for (const key of [...this.draining.keys()]) if (this.everyoneKnows(key)) this.finish(key);
    });
  }

  isDrained(podKey: string): boolean {
    return this.drained.has(podKey);
  }

  /** After an event has been applied to the state and handed to the hub. */
  observe(touched: Touched): void {
    for (const key of touched.pods) {
      const pod = this.state.pods.get(key);
      if (pod === undefined || !pod.terminating) this.forget(key);
      else if (!this.draining.has(key) && !this.drained.has(key)) this.begin(key);
    }
  }

  stop(): void {
    for (const { deadline } of this.draining.values()) deadline();
    this.draining.clear();
  }

  private begin(key: string): void {
    const names = this.state.endpointSlices.by('pod', key).flatMap((slice) => {
      const service = this.state.services.get(keyOf(slice.metadata.namespace, slice.service));
      if (service === undefined) return [];
      const { namespace, name } = service.metadata;
      return service.ports.map(({ port }) => outboundName({ namespace, service: name, port }));
    });
    const deadline = this.hub?.clock.after(waitMsMax, () => {
      this.counters.timedOut += 1;
      this.finish(key);
    });
    this.draining.set(key, { names, deadline: deadline ?? (() => undefined) });
    this.hub?.settled();
  }

  private everyoneKnows(key: string): boolean {
    const { hub } = this;
    if (hub === undefined) return false;
    for (const name of this.draining.get(key)?.names ?? []) {
      for (const subscriber of hub.subscribersOf('endpoints', name)) {
        if (!subscriber.subscription.holds(hub.entryFor(subscriber))) return false;
      }
    }
    return true;
  }

  private finish(key: string): void {
    this.draining.get(key)?.deadline();
    this.draining.delete(key);
    const pod = this.state.pods.get(key);
    if (pod === undefined) return;
    this.drained.add(objectKey(pod.metadata));
    this.counters.drained += 1;
    const touched = untouched();
    for (const ip of pod.ips) touched.addresses.add(ip);
    this.hub?.change(changeOf(touched));
  }

  private forget(key: string): void {
    this.draining.get(key)?.deadline();
    this.draining.delete(key);
    this.drained.delete(key);
  }
}
