import { availableParallelism } from 'node:os';
import type { Bench, Context } from '../context.ts';
import { allCores } from '../cores.ts';
import { cpuUsDuring, Field, report, type Sample } from '../field.ts';
import { threadCpuUs } from '../measure.ts';
import { single } from '../subjects/contestants.ts';
import type { Kind } from '../subjects/kinds.ts';
import type { Contestant, Subject } from '../subjects/subject.ts';
import { saturatedHttp1, warmUpSeconds } from './load.ts';

const bench = 'scale';
const splitConnections = 64;
const splitRate = 2_000;

const keyOf = (kind: Kind, concurrency: number): string => `${kind.key}-${concurrency}`;

/**
 * The same number of requests on each connection: what a data thread works is what it has of the connections. The two
 * busiest threads are those; 1 means that the load is split evenly, 0.5 that one has half of the other's.
 */
async function split({ loadgen, options }: Context, subject: Subject): Promise<Sample> {
  const { pid } = subject.programs[0] ?? { pid: 0 };
  const before = threadCpuUs(pid);
  const shape = { path: '/', protocol: 'h1', connections: splitConnections, rate: splitRate } as const;
  const load = { ...shape, port: subject.port, seconds: options.seconds, cores: allCores };
  await cpuUsDuring(subject, () => loadgen.rate(load));
  const [most = 0, next = 0] = [...threadCpuUs(pid)]
    .map(([tid, us]) => us - (before.get(tid) ?? 0))
    .sort((a, b) => b - a);
  return { least_loaded_thread_share: next / most };
}

export const scale: Bench = {
  what: 'two data threads against one: CPU time a request, and how even they are loaded',
  async run(context) {
    const { options, without, note } = context;
    const { port: applicationPort } = await context.http1();
    const contestants = [context.weft, context.envoy].flatMap((kind) =>
      [1, 2].map((concurrency): Contestant => {
        const shape = { applicationPort, wire: 'h1', features: { without }, cores: allCores, concurrency } as const;
        const { name, start } = single(kind, shape);
        return { key: keyOf(kind, concurrency), name: `${name}, concurrency ${concurrency}`, start };
      }),
    );
    const field = await Field.start(contestants);
    try {
      // Each data thread is warmed by its share of the requests, and compiles for itself.
      await field.warmUp((subject) => saturatedHttp1(context, subject, 3 * warmUpSeconds(context), allCores));
      const load = (subject: Subject): Promise<Sample> => saturatedHttp1(context, subject, options.seconds, allCores);
      const saturated = await field.measure(options.runs, load);
      const where = `load and proxies share ${availableParallelism()} cores`;
      const all = note === undefined ? where : `${where}; ${note}`;
      for (const { key } of [context.weft, context.envoy]) {
        const [subject, peer] = [`${key}-2`, `${key}-1`];
        report(context.report, saturated, [{ bench, metric: 'cpu_us_per_request', subject, peer, note: all }]);
      }
      const two = (key: string): boolean => key.endsWith('-2');
      const shares = await field.measure(options.runs, (subject) => split(context, subject), two);
      const [subject, peer] = [keyOf(context.weft, 2), keyOf(context.envoy, 2)];
      const what = `${splitConnections} connections, ${splitRate} rps; 1 is even`;
      report(context.report, shares, [{ bench, metric: 'least_loaded_thread_share', subject, peer, note: what }]);
    } finally {
      await field.stop();
    }
  },
};
