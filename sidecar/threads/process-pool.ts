import type { Clock } from '@weft/policies/kit/clock';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { ThreadPool, ThreadPoolOptions } from './pool.ts';

/** EX_SOFTWARE of sysexits.h. */
const EXIT_THREADS_FAILED = 70;

interface Ports {
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

type Work = Pick<ThreadPoolOptions, 'threads' | 'listenerNames' | 'ownIps' | 'bootstrap' | 'everything' | 'want'>;

/** The data threads of a process, which ends when it cannot have them. */
export async function processPool(work: Work, { telemetry, clock, log }: Ports): Promise<ThreadPool> {
  const [{ ThreadPool }, { startWorker }] = await Promise.all([import('./pool.ts'), import('./worker.ts')]);
  return new ThreadPool({
    ...work,
    startThread: startWorker,
    onSpan: (span) => telemetry.spans.add(span),
    ownMetrics: () => telemetry.metrics.render(),
    count: (event) => telemetry.recorder.count(event),
    log,
    clock,
    onFatal: (reason) => {
      log(reason);
      process.exit(EXIT_THREADS_FAILED);
    },
  });
}
