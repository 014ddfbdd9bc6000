/** What sidecars tell of their decisions: hits for the status, flows for whoever asks. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '@weft/policies/kit/clock';
import type { DecisionReport } from '@weft/policies/model/decision-report';
import type { Pod } from '../index/core.ts';
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { policiesFor, ruleNames } from '../translate/authorization.ts';
import type { PlaintextCaller } from '../translate/context.ts';
import { type Flow, Flows } from './flows.ts';
import { Hits } from './hits.ts';

export interface FlowAnswer {
  readonly flows: readonly Flow[];
  /** Requests that are in none of them. */
  readonly lost: number;
  /** Of the process that answers. */
  readonly instance: string;
  /** When this replica began to listen, or the first hour of what it was told later. */
  readonly sinceUnixMs: number;
}

/** More than a rule is met in the longest time between two reports: who says so is not to be believed. */
const HITS_OF_REPORT_MAX = 1_000_000_000;

export class Decisions {
  readonly hits = new Hits();
  /** Another one after each start: what sidecars told before that is not here, and they tell it anew. */
  readonly instance: string;
  private readonly flows: Flows;
  private readonly state: ClusterState;
  private readonly clock: Clock;
  private readonly startedUnixMs: number;

  constructor(state: ClusterState, clock: Clock, instance: string = randomUUID()) {
    this.instance = instance;
    this.state = state;
    this.clock = clock;
    this.flows = new Flows(clock);
    this.startedUnixMs = clock.unixMs();
  }

  /** A sidecar speaks of rules that it has, and of no others. */
  take(pod: Pod, { hits, flows, lost, history = [] }: DecisionReport): void {
    const rules = new Set(
      policiesFor(this.state, pod).flatMap((policy) =>
        ruleNames(policy).map((name) => `${objectKey(policy.metadata)}/${name}`),
      ),
    );
    for (const { rule, hits: told } of hits) {
      if (!rules.has(rule) || !Number.isSafeInteger(told) || told <= 0) continue;
      this.hits.add({ rule, hits: Math.min(told, HITS_OF_REPORT_MAX) }, this.clock.unixMs());
    }
    const workload = `${pod.metadata.namespace}/${pod.workload}`;
    for (const flow of flows) this.flows.add(workload, objectKey(pod.metadata), flow);
    for (const past of history) this.flows.addPast(workload, objectKey(pod.metadata), past);
    this.flows.lost += lost;
  }

  /** Of a workload, `<namespace>/<name>`. */
  plaintextCallers(workload: string): readonly PlaintextCaller[] {
    return this.flows.withoutIdentity(workload);
  }

  answer(sinceUnixMs: number, namespace: string | undefined): FlowAnswer {
    return {
      flows: this.flows.since(sinceUnixMs, namespace),
      lost: this.flows.lost,
      instance: this.instance,
      sinceUnixMs: Math.min(this.startedUnixMs, this.flows.firstUnixMs ?? this.startedUnixMs),
    };
  }
}
