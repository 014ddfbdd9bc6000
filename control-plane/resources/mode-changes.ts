/**
 * Changes of what connections a workload takes, so that no caller fails meanwhile: first its sidecar takes what callers
 * of the old mode and of the new one do, then callers are told, and only then is the old way closed.
 */
import type { Cancel } from '@weft/policies/kit/clock';
import type { Pod } from '../index/core.ts';
import { keyOf } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { type Touched, untouched } from '../index/touched.ts';
import { modeAt, type TlsMode, type TlsModes, usesMeshTls, wantedModes } from '../translate/authentication.ts';
import type { ModeChange } from '../translate/context.ts';
import { INBOUND, outboundName } from '../translate/names.ts';
import type { Subscriber, XdsHub } from '../xds/hub.ts';
import { changeOf } from './groups.ts';

export interface ModeTimes {
  /** Sidecars may be connected to other replicas, whose answers are not seen here. */
  readonly openingMsMin: number;
  /** What is under way in the old manner has this long to end. */
  readonly tellingMsMin: number;
  /** Who does not answer may hold up a step no longer than this beyond its least time. */
  readonly waitMsMax: number;
}

const defaultTimes: ModeTimes = { openingMsMin: 500, tellingMsMin: 2_000, waitMsMax: 5_000 };

interface Step extends ModeChange {
  readonly wanted: TlsModes;
  readonly phase: 'opening' | 'telling';
  /** It has lasted long enough. */
  readonly ripe: boolean;
  readonly timer: Cancel;
}

export class ModeTracker {
  readonly counters = { changes: 0, timedOut: 0 };
  /** What each workload took when nothing was changing. */
  private readonly settled = new Map<string, TlsModes>();
  private readonly steps = new Map<string, Step>();
  private readonly state: ClusterState;
  private readonly times: ModeTimes;
  private hub: XdsHub | undefined;

  constructor(state: ClusterState, times = defaultTimes) {
    this.state = state;
    this.times = times;
  }

  /** The hub reads resources that read this tracker, so that it comes after. */
  attach(hub: XdsHub): void {
    this.hub = hub;
    hub.onSettled(() => {
      for (const key of [...this.steps.keys()]) this.look(key);
    });
  }

  changeOf(podKey: string): ModeChange | undefined {
    return this.steps.get(podKey);
  }

  /** After an event has been applied to the state, and before anything is translated anew. */
  observe(touched: Touched): void {
    for (const key of touched.everything ? this.state.pods.keys() : touched.pods) {
      const pod = this.state.pods.get(key);
      if (pod === undefined || !pod.meshed) this.forget(key);
      else this.compare(key, pod);
    }
  }

  stop(): void {
    for (const { timer } of this.steps.values()) timer();
    this.steps.clear();
  }

  private compare(key: string, pod: Pod): void {
    const wanted = wantedModes(this.state, pod);
    const before = this.settled.get(key);
    const step = this.steps.get(key);
    if (step !== undefined) {
      if (sameModes(step.wanted, wanted)) return;
      // Callers of every mode on the way may still be about.
      step.timer();
      this.begin(key, wanted, step.told, step.taken);
      return;
    }
    this.settled.set(key, wanted);
    if (before === undefined || sameModes(before, wanted) || !changesCallers(before, wanted)) return;
    // Nobody has been told of anything.
    if (this.hub?.streams.size === 0) return;
    this.begin(key, wanted, before, before);
  }

  private begin(key: string, wanted: TlsModes, told: TlsModes, taken: TlsModes): void {
    this.counters.changes += 1;
    this.enter(key, { wanted, taken: both(taken, wanted), told, phase: 'opening' });
  }

  private enter(key: string, step: Pick<Step, 'wanted' | 'taken' | 'told' | 'phase'>): void {
    const { hub } = this;
    if (hub === undefined) return;
    const timer = hub.clock.after(step.phase === 'opening' ? this.times.openingMsMin : this.times.tellingMsMin, () =>
      this.ripen(key),
    );
    this.steps.set(key, { ...step, ripe: false, timer });
  }

  /** From now on it is a matter of who has answered. */
  private ripen(key: string): void {
    const { hub } = this;
    const step = this.steps.get(key);
    if (hub === undefined || step === undefined) return;
    const timer = hub.clock.after(this.times.waitMsMax, () => {
      this.counters.timedOut += 1;
      this.goOn(key);
    });
    this.steps.set(key, { ...step, ripe: true, timer });
    this.look(key);
  }

  /** Goes on where everyone knows of what is under way. */
  private look(key: string): void {
    const step = this.steps.get(key);
    const pod = this.state.pods.get(key);
    if (step === undefined || pod === undefined || !step.ripe) return;
    if (step.phase === 'opening' ? this.isOpen(key) : this.isTold(key, pod)) this.goOn(key);
  }

  private goOn(key: string): void {
    const step = this.steps.get(key);
    const pod = this.state.pods.get(key);
    if (step === undefined || pod === undefined) return;
    step.timer();
    const { wanted, taken } = step;
    if (step.phase === 'opening') this.enter(key, { wanted, taken, told: wanted, phase: 'telling' });
    else this.finish(key, step);
    this.announce(key, pod);
  }

  private finish(key: string, { wanted }: Step): void {
    this.steps.delete(key);
    this.settled.set(key, wanted);
  }

  private isOpen(key: string): boolean {
    return this.all(this.hub?.subscribersOf('listener', INBOUND, key) ?? []);
  }

  private isTold(key: string, pod: Pod): boolean {
    const { hub } = this;
    if (hub === undefined) return false;
    if (!pod.ips.every((ip) => this.all(hub.subscribersOf('address', ip)))) return false;
    return this.state.endpointSlices.by('pod', key).every((slice) => {
      const service = this.state.services.get(keyOf(slice.metadata.namespace, slice.service));
      if (service === undefined) return true;
      const { namespace, name } = service.metadata;
      return service.ports.every(({ port }) =>
        this.all(hub.subscribersOf('endpoints', outboundName({ namespace, service: name, port }))),
      );
    });
  }

  private all(subscribers: Iterable<Subscriber>): boolean {
    for (const one of subscribers) if (!one.subscription.holds(this.hub?.entryFor(one))) return false;
    return true;
  }

  private announce(key: string, pod: Pod): void {
    const touched = untouched();
    touched.pods.add(key);
    for (const ip of pod.ips) touched.addresses.add(ip);
    for (const slice of this.state.endpointSlices.by('pod', key)) {
      touched.endpoints.add(keyOf(slice.metadata.namespace, slice.service));
    }
    this.hub?.change(changeOf(touched));
  }

  private forget(key: string): void {
    this.steps.get(key)?.timer();
    this.steps.delete(key);
    this.settled.delete(key);
  }
}

const portsOf = (...all: readonly TlsModes[]): Set<number> => new Set(all.flatMap(({ ports }) => [...ports.keys()]));

function sameModes(a: TlsModes, b: TlsModes): boolean {
  return a.others === b.others && [...portsOf(a, b)].every((port) => modeAt(a, port) === modeAt(b, port));
}

/** Whether callers have to do something else than before; what only refuses others holds at once. */
function changesCallers(a: TlsModes, b: TlsModes): boolean {
  if ((a.others === 'DISABLED') !== (b.others === 'DISABLED')) return true;
  return [...portsOf(a, b)].some((port) => usesMeshTls(a, port) !== usesMeshTls(b, port));
}

function both(a: TlsModes, b: TlsModes): TlsModes {
  const join = (one: TlsMode, other: TlsMode): TlsMode => (one === other ? one : 'PERMISSIVE');
  return {
    ports: new Map([...portsOf(a, b)].map((port) => [port, join(modeAt(a, port), modeAt(b, port))])),
    others: join(a.others, b.others),
  };
}
