/** Entry of a data thread: a data plane of its own, told what to do by the control thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemPrng } from '@weft/policies/kit/prng';
import type { Cluster } from '@weft/policies/model/cluster';
import { startTelemetry } from '../bootstrap/telemetry.ts';
import { SharedLimitState } from '../cluster/shared-limits.ts';
import { createBlock, SlotShare } from '../cluster/shared-slots.ts';
import { createDataPlane, type DataPlane, type ThreadSharing } from '../data-plane.ts';
import { turnClock } from '../net/turn.ts';
import { OverloadMonitor } from '../overload/monitor.ts';
import { waitWithOnePoll } from '../overload/one-poll.ts';
import { heapReading } from '../overload/readings.ts';
import { trimWhenIdle } from '../overload/trim.ts';
import { createTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import { WARM_UP_MS_MAX, warmUp } from '../warm-up.ts';
import { tlsOfBootstrap, tlsOfMesh } from '../warm-up-tls.ts';
import type { Answers, DataThreadSetup, NamedBlock, ToControl, ToData } from './protocol.ts';
import { ReplicaCertificates } from './replica-certificates.ts';
import { ReplicaSource } from './replica-source.ts';
import { clusterRows, collectUpstreams } from './rows.ts';
import { SpanForwarder } from './span-forwarder.ts';

const WAITERS_MAX = 1_024;
const WANTED_MAX = 4_096;

class DataThread {
  private readonly post: (message: ToControl) => void;
  private readonly index: number;
  private readonly source: ReplicaSource;
  private readonly certificates = new ReplicaCertificates();
  private readonly telemetry: Telemetry;
  private readonly spans: SpanForwarder;
  private readonly overload: OverloadMonitor;
  private readonly clusterBlocks: Map<string, SharedArrayBuffer>;
  private readonly plane: DataPlane;
  private cancelTrim: () => void = () => undefined;

  constructor(setup: DataThreadSetup, post: (message: ToControl) => void) {
    this.post = post;
    this.index = setup.index;
    this.clusterBlocks = new Map(setup.clusterBlocks);
    const log = (line: string): void => post({ kind: 'log', line });
    this.telemetry =
      setup.bootstrap === undefined ? createTelemetry(log) : startTelemetry(untraced(setup.bootstrap), log);
    const { recorder } = this.telemetry;
    const count = (event: string): void => recorder.count(event);
    this.source = new ReplicaSource({
      clock: turnClock,
      waitersMax: WAITERS_MAX,
      wantedMax: WANTED_MAX,
      complete: setup.bootstrap !== undefined,
      want: (resource, name) => post({ kind: 'want', resource, name }),
      count,
    });
    this.spans = new SpanForwarder(this.telemetry.spans, (spans) => post({ kind: 'spans', spans }));
    this.overload = new OverloadMonitor({ clock: turnClock, read: () => [heapReading()], count, log });
    this.overload.tell(setup.shed);
    this.plane = createDataPlane({
      source: this.source,
      listenerNames: setup.listenerNames,
      certificates: this.certificates,
      recorder,
      logSinks: this.telemetry.logSinks,
      clock: turnClock,
      prng: systemPrng,
      ownIps: new Set(setup.ownIps),
      sharing: this.sharing(new Map(setup.listenerBlocks), setup.threads),
      overload: this.overload,
    });
    collectUpstreams(this.telemetry.metrics, this.plane.clusters);
    if (setup.certificate !== undefined) this.certificates.adopt(setup.certificate);
    if (setup.settings !== undefined) this.configure(setup.settings);
    post({ kind: 'applied', version: setup.version, error: this.source.apply(setup.changes) });
    for (const listener of setup.retired) this.plane.listeners.retire(listener);
    this.overload.start();
  }

  async listen({ bootstrap, changes }: DataThreadSetup): Promise<void> {
    waitWithOnePoll();
    const tls =
      bootstrap === undefined
        ? await tlsOfMesh(this.certificates, turnClock)
        : tlsOfBootstrap(bootstrap.listeners, clustersOf(changes));
    await warmUp({ clock: turnClock, prng: systemPrng }, { budgetMs: WARM_UP_MS_MAX, tls });
    const started = await this.plane.listeners.start();
    if (started.ok) {
      this.cancelTrim = trimWhenIdle({
        clock: turnClock,
        listeners: () => this.plane.listeners.stats(),
        count: (event) => this.telemetry.recorder.count(event),
      });
    }
    this.post(started.ok ? { kind: 'listening' } : { kind: 'failed', reason: started.error });
  }

  /** False when it was the last. */
  receive(message: ToData): boolean {
    switch (message.kind) {
      case 'changes':
        this.addBlocks(message.clusterBlocks);
        this.post({ kind: 'applied', version: message.version, error: this.source.apply(message.changes) });
        break;
      case 'certificate':
        this.certificates.adopt(message.material);
        break;
      case 'settings':
        this.configure(message.settings);
        break;
      case 'retire':
        this.plane.listeners.retire(message.listener);
        break;
      case 'shed':
        this.overload.tell(message.on);
        break;
      case 'grant':
        this.plane.protection.grant(message.grants);
        break;
      case 'ask':
        this.post({ kind: 'answer', id: message.id, value: this.answer(message.what) });
        break;
      case 'spans-taken':
        this.spans.taken();
        break;
      case 'drain':
        void this.plane.listeners.drain(message.timeoutMs).then(() => this.post({ kind: 'drained' }));
        break;
      case 'close':
        void this.close();
        return false;
    }
    return true;
  }

  private addBlocks(blocks: readonly NamedBlock[]): void {
    for (const [name, block] of blocks) this.clusterBlocks.set(name, block);
  }

  private configure({ settings, attributes }: NonNullable<DataThreadSetup['settings']>): void {
    this.telemetry.configure(settings && { ...settings, tracing: undefined }, attributes);
  }

  private answer(what: keyof Answers): Answers[keyof Answers] {
    switch (what) {
      case 'metrics':
        return this.telemetry.metrics.render();
      case 'listeners':
        return this.plane.listeners.stats();
      case 'clusters':
        return clusterRows(this.plane.clusters);
      case 'quotas':
        return this.plane.protection.limits.takeDemand();
      case 'decisions':
        return this.telemetry.recorder.decisions.take();
      case 'counters':
        return this.telemetry.metrics.counters();
    }
  }

  private sharing(listenerBlocks: ReadonlyMap<string, SharedArrayBuffer>, threads: number): ThreadSharing {
    const share = (block: SharedArrayBuffer | undefined, name: string): SlotShare => {
      if (block !== undefined) return new SlotShare(block, this.index);
      this.telemetry.recorder.count('limits_not_shared');
      this.post({ kind: 'log', line: `the limits of ${name} are not shared with other threads` });
      return new SlotShare(createBlock(this.index + 1), this.index);
    };
    return {
      threads,
      connectionsOf: (name) => share(listenerBlocks.get(name), name),
      limitsOf: (cluster) => {
        const { name, limits } = cluster;
        return new SharedLimitState(
          limits,
          this.telemetry.recorder,
          share(this.clusterBlocks.get(name), name),
          turnClock,
        );
      },
    };
  }

  private async close(): Promise<void> {
    this.overload.close();
    this.cancelTrim();
    this.plane.listeners.close();
    this.plane.clusters.close();
    this.spans.close();
    await this.telemetry.close();
  }
}

const clustersOf = (changes: DataThreadSetup['changes']): readonly Cluster[] =>
  changes.flatMap(({ kind, entry }) =>
    kind === 'cluster' && entry !== undefined && 'value' in entry ? [entry.value] : [],
  );

/** Spans go to the control thread, which alone loads what exports them. */
const untraced = ({ listeners, node }: NonNullable<DataThreadSetup['bootstrap']>) => ({
  node,
  listeners: listeners.map((listener) =>
    listener.settings === undefined
      ? listener
      : { ...listener, settings: { ...listener.settings, tracing: undefined } },
  ),
});

if (parentPort !== null) {
  const port = parentPort;
  const setup = workerData as DataThreadSetup;
  const thread = new DataThread(setup, (message) => port.postMessage(message));
  // Without it the thread ends as soon as nothing is open any more.
  port.on('message', (message: ToData) => {
    if (!thread.receive(message)) port.close();
  });
  // Not awaited: messages come only after this module has been evaluated, and listeners come by message.
  void thread.listen(setup);
}
