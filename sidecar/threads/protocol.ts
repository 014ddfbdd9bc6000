import type { DecisionReport } from '@weft/policies/model/decision-report';
import type { Listener, WorkloadSettings } from '@weft/policies/model/listener';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { ClusterRow } from '../cluster/rows.ts';
import type { KeyMaterial } from '../identity/material.ts';
import type { ListenerStats } from '../listener/manager.ts';
import type { QuotaDemand, QuotaGrant } from '../quota/client.ts';
import type { NamedCounters } from '../telemetry/exchange-counters.ts';
import type { SpanRecord } from '../telemetry/span-ring.ts';
import type { Change } from '../xds/table-source.ts';

/** Counters of one cluster or listener, by its name. */
export type NamedBlock = readonly [name: string, block: SharedArrayBuffer];

/** What holds when a thread starts. */
export interface DataThreadSetup {
  readonly index: number;
  /** How many there are. */
  readonly threads: number;
  readonly listenerNames: readonly string[];
  readonly ownIps: readonly string[];
  readonly version: number;
  readonly changes: readonly Change[];
  /** A static bootstrap: what is not in `changes` does not exist. */
  readonly bootstrap: { readonly listeners: readonly Listener[]; readonly node: BootstrapNode } | undefined;
  readonly certificate: KeyMaterial | undefined;
  readonly settings: TelemetrySettings | undefined;
  readonly clusterBlocks: readonly NamedBlock[];
  readonly listenerBlocks: readonly NamedBlock[];
  readonly retired: readonly string[];
  readonly shed: boolean;
}

interface BootstrapNode {
  readonly id: string;
  readonly cluster: string;
}

export interface TelemetrySettings {
  readonly settings: WorkloadSettings | undefined;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What the control thread may ask for, and what comes back. */
export interface Answers {
  readonly metrics: string;
  readonly listeners: readonly ListenerStats[];
  readonly clusters: readonly ClusterRow[];
  /** Under Envoy's names. */
  readonly counters: NamedCounters;
  readonly quotas: QuotaDemand;
  readonly decisions: DecisionReport;
}

export type ToData =
  | {
      readonly kind: 'changes';
      readonly version: number;
      readonly changes: readonly Change[];
      /** Of clusters that were not known before. */
      readonly clusterBlocks: readonly NamedBlock[];
    }
  | { readonly kind: 'certificate'; readonly material: KeyMaterial }
  | { readonly kind: 'settings'; readonly settings: TelemetrySettings }
  | { readonly kind: 'retire'; readonly listener: string }
  | { readonly kind: 'shed'; readonly on: boolean }
  | { readonly kind: 'grant'; readonly grants: readonly QuotaGrant[] }
  | { readonly kind: 'ask'; readonly id: number; readonly what: keyof Answers }
  | { readonly kind: 'spans-taken' }
  | { readonly kind: 'drain'; readonly timeoutMs: number }
  | { readonly kind: 'close' };

export type ToControl =
  | { readonly kind: 'listening' }
  /** A listener cannot be bound. */
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'applied'; readonly version: number; readonly error: string | undefined }
  | { readonly kind: 'want'; readonly resource: ResourceKind; readonly name: string }
  | { readonly kind: 'spans'; readonly spans: readonly SpanRecord[] }
  | { readonly kind: 'answer'; readonly id: number; readonly value: Answers[keyof Answers] }
  | { readonly kind: 'log'; readonly line: string }
  | { readonly kind: 'drained' };
