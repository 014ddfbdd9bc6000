import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import { ok, type Result } from '@weft/policies/kit/result';
import type { OverloadState } from '../overload/state.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { DataThreads } from '../threads/data-threads.ts';
import { tlsOfBootstrap } from '../warm-up-tls.ts';
import type { Replicas } from '../xds/client.ts';
import type { Change } from '../xds/table-source.ts';
import { changeOf } from './endpoint-change.ts';
import type { EndpointDiscovery } from './endpoint-discovery.ts';
import type { Bootstrap } from './load.ts';
import { noIdentity } from './no-identity.ts';

interface ThreadPorts {
  readonly telemetry: Telemetry;
  readonly overload: OverloadState;
  readonly endpoints: EndpointDiscovery;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (line: string) => void;
}

interface BootstrapThreads {
  readonly threads: DataThreads;
  /** Where changes of endpoints are applied. */
  readonly replicas: Replicas;
}

/** The first request of who waited for the port comes at once, and must not wait in turn. */
const WARM_UP_AFTER_MS = 10;
/** It says that it is ready no later than this after its process began, */
const READY_WITHIN_MS = 215;
/** unless it was slow to start: the first requests of each kind take this long. */
const WARM_UP_MS_MIN = 40;

/** The data path of a bootstrap; what one kind of it needs is not loaded for the other. */
export const startBootstrapThreads = (
  bootstrap: Bootstrap,
  concurrency: number,
  ports: ThreadPorts,
): Promise<Result<BootstrapThreads, string>> =>
  concurrency === 1 ? oneThread(bootstrap, ports) : manyThreads(bootstrap, concurrency, ports);

async function oneThread(
  bootstrap: Bootstrap,
  { telemetry, overload, endpoints, clock, prng }: ThreadPorts,
): Promise<Result<BootstrapThreads, string>> {
  const [{ createDataPlane }, { localThread }, { ReplicaSource }] = await Promise.all([
    import('../data-plane.ts'),
    import('../threads/local.ts'),
    import('../threads/replica-source.ts'),
  ]);
  const { listeners } = bootstrap;
  // All of it is there from the start: nobody waits, and nothing is wanted.
  const source = new ReplicaSource({
    clock,
    waitersMax: 0,
    wantedMax: 0,
    complete: true,
    want: () => undefined,
    count: (event) => telemetry.recorder.count(event),
  });
  source.apply([...changesOf(bootstrap), ...endpoints.assignments().map(changeOf)]);
  const dataPlane = createDataPlane({
    source,
    listenerNames: listeners.map(({ name }) => name),
    certificates: noIdentity,
    recorder: telemetry.recorder,
    logSinks: telemetry.logSinks,
    clock,
    prng,
    ownIps: new Set(),
    overload,
  });
  const threads = localThread(dataPlane, telemetry, {
    after: (isQuiet) => warmUpWhile(isQuiet, bootstrap, { clock, prng }),
  });
  return ok({ threads, replicas: localReplica((changes) => source.apply(changes)) });
}

/** Requests of its own, until somebody else's come. */
async function warmUpWhile(
  isQuiet: () => boolean,
  { listeners, clusters }: Bootstrap,
  { clock, prng }: Pick<ThreadPorts, 'clock' | 'prng'>,
): Promise<void> {
  await new Promise<void>((resolve) => {
    clock.after(WARM_UP_AFTER_MS, resolve);
  });
  if (!isQuiet()) return;
  const { warmUp } = await import('../warm-up.ts');
  const budgetMs = Math.max(WARM_UP_MS_MIN, READY_WITHIN_MS - 1_000 * process.uptime());
  await warmUp({ clock, prng }, { budgetMs, tls: tlsOfBootstrap(listeners, clusters), isWanted: isQuiet });
}

async function manyThreads(
  bootstrap: Bootstrap,
  concurrency: number,
  { telemetry, endpoints, clock, log }: ThreadPorts,
): Promise<Result<BootstrapThreads, string>> {
  const [{ checkAddresses }, { processPool }] = await Promise.all([
    import('../threads/probe.ts'),
    import('../threads/process-pool.ts'),
  ]);
  const { listeners, node } = bootstrap;
  const free = await checkAddresses(listeners, telemetry.recorder);
  if (!free.ok) return free;
  const changes = changesOf(bootstrap);
  const work = {
    threads: concurrency,
    listenerNames: listeners.map(({ name }) => name),
    ownIps: [],
    bootstrap: { listeners, node },
    everything: () => [...changes, ...endpoints.assignments().map(changeOf)],
    want: () => undefined,
  };
  const pool = await processPool(work, { telemetry, clock, log });
  return ok({ threads: pool, replicas: pool });
}

/** This thread, as the one that applies what is published. */
function localReplica(apply: (changes: readonly Change[]) => string | undefined): Replicas {
  let failures: string[] = [];
  return {
    publish(changes) {
      const failure = apply(changes);
      if (failure !== undefined) failures.push(failure);
    },
    whenApplied(done) {
      const settled = failures;
      failures = [];
      done(settled);
    },
  };
}

/** Static clusters have their endpoints themselves: under their names there may be services with others. */
const changesOf = ({ listeners, clusters }: Bootstrap): readonly Change[] => [
  ...listeners.map((value): Change => ({ kind: 'listener', name: value.name, entry: { value } })),
  ...clusters.map((value): Change => ({ kind: 'cluster', name: value.name, entry: { value } })),
];
