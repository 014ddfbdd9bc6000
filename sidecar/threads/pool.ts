import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { DecisionReport } from '@weft/policies/model/decision-report';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { type ClusterRow, sumCounters } from '../cluster/rows.ts';
import type { KeyMaterial } from '../identity/material.ts';
import type { ListenerStats } from '../listener/manager.ts';
import type { QuotaDemand, QuotaGrant } from '../quota/client.ts';
import type { NamedCounters } from '../telemetry/exchange-counters.ts';
import type { SpanRecord } from '../telemetry/span-ring.ts';
import type { Replicas } from '../xds/client.ts';
import type { Change } from '../xds/table-source.ts';
import { AppliedVersions } from './applied.ts';
import { SharedBlocks } from './blocks.ts';
import type { DataThreads } from './data-threads.ts';
import { countersOf, mergeMetrics } from './merge-metrics.ts';
import type { Answers, DataThreadSetup, TelemetrySettings, ToControl, ToData } from './protocol.ts';
import { Questions } from './questions.ts';
import { sumClusters, sumListeners } from './rows.ts';
import type { StartThread, ThreadHandle } from './worker.ts';

export interface ThreadPoolOptions {
  /** More than one. */
  readonly threads: number;
  readonly startThread: StartThread;
  readonly listenerNames: readonly string[];
  readonly ownIps: readonly string[];
  readonly bootstrap: DataThreadSetup['bootstrap'];
  /** All that is known now; a thread begins with it. */
  readonly everything: () => readonly Change[];
  /** A thread needs something that is not known. */
  readonly want: (kind: ResourceKind, name: string) => void;
  readonly onSpan: (span: SpanRecord) => void;
  /** What the control thread counts itself. */
  readonly ownMetrics: () => string;
  readonly count: (event: string) => void;
  readonly log: (line: string) => void;
  readonly clock: Clock;
  /** A thread cannot be started: the process is to end. */
  readonly onFatal: (reason: string) => void;
}

const APPLY_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 2_000;
const CLOSE_TIMEOUT_MS = 3_000;
/** On top of the drain's own bound, for the news to come back. */
const DRAIN_GRACE_MS = 1_000;
const RESTART_BASE_MS = 100;
const RESTART_MAX_MS = 5_000;
/** A thread that has lived this long is started again soon. */
const HEALTHY_AFTER_MS = 10_000;
const FAILED_STARTS_MAX = 5;

interface Thread {
  readonly index: number;
  handle: ThreadHandle | undefined;
  /** It has applied what it began with. */
  running: boolean;
  listening: boolean;
  startedMs: number;
  /** Ends in a row, for the back-off; and those that came before it ran. */
  ends: number;
  failedStarts: number;
  lastMetrics: string;
  cancelRestart: Cancel | undefined;
}

/** Several data threads: tells all of them the same, and sums what they say. */
export class ThreadPool implements DataThreads, Replicas {
  private readonly options: ThreadPoolOptions;
  private readonly threads: readonly Thread[];
  private readonly blocks: SharedBlocks;
  private readonly versions: AppliedVersions;
  private readonly questions: Questions;
  private readonly retired: string[] = [];
  private version = 0;
  private certificate: KeyMaterial | undefined = undefined;
  private settings: TelemetrySettings | undefined = undefined;
  private shedding = false;
  private stopping = false;
  /** Counters of threads that have ended. */
  private past = '';
  private resolveStarted: (result: Result<void, string>) => void = () => undefined;
  private readonly drained = new Set<number>();
  private onQuiet: () => void = () => undefined;

  constructor(options: ThreadPoolOptions) {
    this.options = options;
    this.blocks = new SharedBlocks(options.threads, options.listenerNames);
    this.versions = new AppliedVersions({
      clock: options.clock,
      timeoutMs: APPLY_TIMEOUT_MS,
      onLate: (index) => this.threads[index]?.handle?.kill('it did not apply the configuration in time'),
    });
    this.questions = new Questions(options.clock, ANSWER_TIMEOUT_MS, options.count);
    this.threads = Array.from({ length: options.threads }, (_, index) => ({
      index,
      handle: undefined,
      running: false,
      listening: false,
      startedMs: 0,
      ends: 0,
      failedStarts: 0,
      lastMetrics: '',
      cancelRestart: undefined,
    }));
  }

  start(): Promise<Result<void, string>> {
    return new Promise((resolve) => {
      this.resolveStarted = resolve;
      this.blocks.follow(this.options.everything());
      for (const thread of this.threads) this.launch(thread);
    });
  }

  publish(changes: readonly Change[]): void {
    const version = ++this.version;
    const clusterBlocks = this.blocks.follow(changes);
    this.versions.published(
      version,
      this.alive().map(({ index }) => index),
    );
    this.tell({ kind: 'changes', version, changes, clusterBlocks });
  }

  whenApplied(done: (errors: readonly string[]) => void): void {
    this.versions.whenSettled(done);
  }

  adopt(material: KeyMaterial): void {
    this.certificate = material;
    this.tell({ kind: 'certificate', material });
  }

  configure(settings: TelemetrySettings): void {
    // Called with each snapshot; mostly nothing has changed.
    if (JSON.stringify(settings) === JSON.stringify(this.settings)) return;
    this.settings = settings;
    this.tell({ kind: 'settings', settings });
  }

  retire(listener: string): void {
    this.retired.push(listener);
    this.tell({ kind: 'retire', listener });
  }

  shed(on: boolean): void {
    this.shedding = on;
    this.tell({ kind: 'shed', on });
  }

  async drain(timeoutMs: number): Promise<void> {
    this.stopping = true;
    for (const thread of this.threads) thread.cancelRestart?.();
    this.tell({ kind: 'drain', timeoutMs });
    await this.quiet(timeoutMs + DRAIN_GRACE_MS, () => this.alive().every(({ index }) => this.drained.has(index)));
  }

  async close(): Promise<void> {
    this.stopping = true;
    this.tell({ kind: 'close' });
    await this.quiet(CLOSE_TIMEOUT_MS, () => this.alive().length === 0);
    for (const { handle } of this.alive()) handle?.kill('it did not end in time');
  }

  async metrics(): Promise<string> {
    const texts = await this.ask('metrics');
    for (const [index, text] of texts) {
      const thread = this.threads[index];
      if (thread !== undefined) thread.lastMetrics = text;
    }
    return mergeMetrics([this.options.ownMetrics(), this.past, ...texts.values()]);
  }

  async listeners(): Promise<readonly ListenerStats[]> {
    return sumListeners([...(await this.ask('listeners')).values()]);
  }

  async clusters(): Promise<readonly ClusterRow[]> {
    return sumClusters([...(await this.ask('clusters')).values()]);
  }

  async counters(): Promise<NamedCounters> {
    let sum: NamedCounters = {};
    for (const counters of (await this.ask('counters')).values()) sum = sumCounters(sum, counters);
    return sum;
  }

  async quotas(): Promise<QuotaDemand> {
    const sum: Record<string, number> = {};
    for (const demand of (await this.ask('quotas')).values()) {
      for (const [limit, requests] of Object.entries(demand)) sum[limit] = (sum[limit] ?? 0) + requests;
    }
    return sum;
  }

  async decisions(): Promise<DecisionReport> {
    const all = [...(await this.ask('decisions')).values()];
    return {
      hits: all.flatMap(({ hits }) => hits),
      flows: all.flatMap(({ flows }) => flows),
      lost: all.reduce((sum, { lost }) => sum + lost, 0),
    };
  }

  grant(grants: readonly QuotaGrant[]): void {
    this.tell({ kind: 'grant', grants });
  }

  private ask<W extends keyof Answers>(what: W): Promise<ReadonlyMap<number, Answers[W]>> {
    const asked = this.threads.filter(({ handle, running }) => handle !== undefined && running);
    return this.questions.ask<W>(
      asked.map(({ index }) => index),
      (index, id) => this.threads[index]?.handle?.post({ kind: 'ask', id, what }),
    );
  }

  private alive(): readonly Thread[] {
    return this.threads.filter(({ handle }) => handle !== undefined);
  }

  private tell(message: ToData): void {
    for (const { handle } of this.threads) handle?.post(message);
  }

  private launch(thread: Thread): void {
    const { options } = this;
    thread.cancelRestart = undefined;
    thread.running = false;
    thread.listening = false;
    thread.startedMs = options.clock.nowMs();
    const setup: DataThreadSetup = {
      index: thread.index,
      threads: options.threads,
      listenerNames: options.listenerNames,
      ownIps: options.ownIps,
      version: this.version,
      changes: options.everything(),
      bootstrap: options.bootstrap,
      certificate: this.certificate,
      settings: this.settings,
      clusterBlocks: this.blocks.ofClusters,
      listenerBlocks: this.blocks.ofListeners,
      retired: this.retired,
      shed: this.shedding,
    };
    thread.handle = options.startThread(setup, {
      onMessage: (message) => this.receive(thread, message),
      onEnd: (reason) => this.ended(thread, reason),
    });
  }

  private receive(thread: Thread, message: ToControl): void {
    const { index } = thread;
    switch (message.kind) {
      case 'listening':
        thread.listening = true;
        thread.failedStarts = 0;
        if (this.threads.every(({ listening }) => listening)) this.resolveStarted(ok(undefined));
        break;
      case 'failed':
        this.resolveStarted(err(message.reason));
        thread.handle?.kill(message.reason);
        break;
      case 'applied':
        thread.running = true;
        this.versions.applied(index, message.version, message.error);
        break;
      case 'want':
        this.options.want(message.resource, message.name);
        break;
      case 'spans':
        for (const span of message.spans) this.options.onSpan(span);
        thread.handle?.post({ kind: 'spans-taken' });
        break;
      case 'answer':
        this.questions.answered(index, message.id, message.value);
        break;
      case 'log':
        this.options.log(`data thread ${index}: ${message.line}`);
        break;
      case 'drained':
        this.drained.add(index);
        this.onQuiet();
        break;
    }
  }

  private ended(thread: Thread, reason: string): void {
    const { clock, count, log } = this.options;
    const { index, listening } = thread;
    thread.handle = undefined;
    this.past = countersOf(mergeMetrics([this.past, thread.lastMetrics]));
    thread.lastMetrics = '';
    this.blocks.clear(index);
    this.versions.gone(index);
    this.questions.gone(index);
    this.onQuiet();
    if (this.stopping) return;
    count('data_thread_ended');
    if (!listening && ++thread.failedStarts >= FAILED_STARTS_MAX) {
      this.options.onFatal(`data thread ${index} cannot be started: ${reason}`);
      return;
    }
    if (clock.nowMs() - thread.startedMs > HEALTHY_AFTER_MS) thread.ends = 0;
    const delayMs = Math.min(RESTART_MAX_MS, RESTART_BASE_MS * 2 ** thread.ends++);
    log(`data thread ${index} ended: ${reason}; started again in ${delayMs} ms`);
    thread.cancelRestart = clock.after(delayMs, () => this.launch(thread));
  }

  /** Waits until `quiet` holds, asked whenever a thread has drained or ended. */
  private quiet(timeoutMs: number, quiet: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.options.clock.after(timeoutMs, resolve);
      this.onQuiet = () => {
        if (!quiet()) return;
        cancel();
        resolve();
      };
      this.onQuiet();
    });
  }
}
