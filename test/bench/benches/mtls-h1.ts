import { join } from 'node:path';
import type { Bench, Context } from '../context.ts';
import { type Comparison, Field, measureFresh, report, type Samples } from '../field.ts';
import { connectionsTo } from '../measure.ts';
import { kernelShare, printProfiles } from '../profile.ts';
import { pair } from '../subjects/contestants.ts';
import { haproxyPair } from '../subjects/references.ts';
import type { Contestant, Subject, Wire } from '../subjects/subject.ts';
import { measureAtRate, saturatedHttp1, shortRuns, warmUpSeconds } from './load.ts';

const bench = 'mtls-h1';

/** Weft carries HTTP/1 over HTTP/2 between sidecars; Envoy keeps HTTP/1 unless it is told otherwise. */
const defaultWire = { weft: 'h2', envoy: 'h1' } as const satisfies Record<string, Wire>;
const discardS = 1;

const profileFolder = ({ options }: Context, wire: Wire): string | undefined =>
  options.profileFolder === undefined ? undefined : join(options.profileFolder, `weft-${wire}`);

async function contestants(context: Context): Promise<readonly Contestant[]> {
  const { files, without } = context;
  const { port: applicationPort } = await context.http1();
  const of = (kind: 'weft' | 'envoy', wire: Wire): Contestant =>
    pair(
      context[kind],
      {
        files,
        applicationPort,
        wire,
        application: 'h1',
        features: { without },
        profileFolder: kind === 'weft' ? profileFolder(context, wire) : undefined,
      },
      `${kind}-${wire}`,
    );
  return [of('weft', 'h2'), of('envoy', 'h1'), of('weft', 'h1'), of('envoy', 'h2')];
}

type Load = Pick<Comparison, 'metric' | 'load'>;

/** Default against default first, then each wire for both. */
const comparisons = (context: Context, { metric, load }: Load): readonly Comparison[] => {
  const what = { bench, metric, note: context.note, ...(load === undefined ? {} : { load }) };
  const note = ['weft h2, envoy h1', context.note].filter((part) => part !== undefined).join('; ');
  const peer = `envoy-${defaultWire.envoy}`;
  return [
    { ...what, subject: `weft-${defaultWire.weft}`, peer, wire: 'default', note },
    { ...what, subject: 'weft-h1', peer: 'envoy-h1', wire: 'h1' },
    { ...what, subject: 'weft-h2', peer: 'envoy-h2', wire: 'h2' },
  ];
};

/**
 * Whatever a proxy says: HTTP/1 needs a connection for each request that is under way, HTTP/2 shares a few. A row about one
 * wire is not to be filled by the other.
 */
function checkWire({ wirePort = 0 }: Subject, wire: Wire, requests: number): void {
  const connections = connectionsTo(wirePort);
  const possible = wire === 'h2' ? connections <= requests / 4 : connections > requests / 8;
  if (possible && connections > 0) return;
  throw new Error(`${requests} requests at once went over ${connections} connections: the wire is not ${wire}`);
}

const warmUp = (context: Context, field: Field): Promise<void> =>
  field.warmUp(async (subject, key) => {
    await saturatedHttp1(context, subject, warmUpSeconds(context));
    if (key !== 'haproxy') checkWire(subject, key.endsWith('-h2') ? 'h2' : 'h1', context.options.connections);
  });

const haproxyNote = 'reference: no identity check, authorization, retries, tracing or metrics a request';

async function measureCpu(context: Context, all: readonly Contestant[]): Promise<Samples> {
  const { runs, seconds } = shortRuns(context);
  const { port } = await context.http1();
  const haproxy = haproxyPair(context.folder, { files: context.files, mode: 'http', applicationPort: port });
  const field = await Field.start([...all, haproxy]);
  try {
    await warmUp(context, field);
    const saturated = await field.measure(runs, (subject) => saturatedHttp1(context, subject, seconds));
    const reference = { bench, subject: 'haproxy', peer: 'envoy-h1', wire: 'h1', note: haproxyNote };
    for (const metric of ['cpu_us_per_request', 'requests_per_second', 'rss_anon_mb']) {
      report(context.report, saturated, [
        ...comparisons(context, { metric, load: 'saturated' }),
        { ...reference, metric, load: 'saturated' },
      ]);
    }
    const slow = await measureAtRate(context, field, { path: '/', protocol: 'h1' });
    const metric = 'cpu_us_per_request';
    report(context.report, slow, [
      ...comparisons(context, { metric, load: '1000 rps' }),
      { ...reference, metric, load: '1000 rps' },
    ]);
    return saturated;
  } finally {
    await field.stop();
  }
}

/** Sidecars that have just become ready: the only thing left out is the first second, of every subject; it has rows of its own. */
async function measureLatency(context: Context, all: readonly Contestant[], rate: number): Promise<void> {
  const { options, loadgen } = context;
  const samples = await measureFresh(all, options.runs, async ({ port }) => {
    const load = { port, path: '/', protocol: 'h1', connections: options.connections, discard: discardS } as const;
    const { p50_ms, p99_ms, p999_ms, lag_p99_ms } = await loadgen.rate({ ...load, rate, seconds: options.seconds });
    return { p50_ms, p99_ms, p999_ms, generator_lag_p99_ms: lag_p99_ms };
  });
  const load = `open loop, ${rate} rps`;
  for (const metric of ['p50_ms', 'p99_ms', 'p999_ms']) {
    report(context.report, samples, comparisons(context, { metric, load }));
  }
  // Much more than nothing here says that the machine was too busy for the rows above.
  const [lag] = comparisons(context, { metric: 'generator_lag_p99_ms', load });
  if (lag !== undefined) report(context.report, samples, [lag]);
}

/** Weft alone: a profiler changes what it measures, so that these runs give no rows. */
async function profile(context: Context, all: readonly Contestant[], folder: string): Promise<void> {
  const { options } = context;
  const field = await Field.start(all.filter(({ key }) => key.startsWith('weft')));
  const shares: string[] = [];
  await warmUp(context, field);
  const samples = await field.measure(options.runs, async (subject, key) => {
    const sample = await saturatedHttp1(context, subject);
    for (const [at, { pid }] of subject.programs.entries()) {
      shares.push(`${key} ${at === 0 ? 'client' : 'server'}: ${(kernelShare(pid) * 100).toFixed(0)} % in the kernel`);
    }
    return sample;
  });
  // With SIGTERM a profile is written.
  await field.stop('SIGTERM');
  for (const wire of ['h2', 'h1'] as const) {
    const failure = samples.failure(`weft-${wire}`);
    if (failure === undefined) printProfiles(join(folder, `weft-${wire}`));
    else console.error(`# weft-${wire} failed: ${failure}`);
  }
  console.error(`# ${shares.slice(-2 * 2).join('; ')}`);
}

async function measureFirstSecond(context: Context, all: readonly Contestant[], rate: number): Promise<void> {
  const { options, loadgen } = context;
  const samples = await measureFresh(all, options.runs, async ({ port }) => {
    const load = {
      port,
      path: '/',
      protocol: 'h1',
      connections: options.connections,
      rate,
      seconds: discardS,
    } as const;
    const { p50_ms, p99_ms } = await loadgen.rate(load);
    return { p50_ms, p99_ms };
  });
  const load = `the first second, ${rate} rps`;
  for (const metric of ['p50_ms', 'p99_ms']) report(context.report, samples, comparisons(context, { metric, load }));
}

export const mtlsHttp1: Bench = {
  what: 'HTTP/1.1 through two sidecars with mutual TLS between them',
  async run(context) {
    const all = await contestants(context);
    const { profileFolder: folder } = context.options;
    if (folder !== undefined) return profile(context, all, folder);
    const saturated = await measureCpu(context, all);
    const capacity = saturated.value(`envoy-${defaultWire.envoy}`, 'requests_per_second');
    if (capacity === undefined) throw new Error(`Envoy gave no capacity: ${saturated.failure('envoy-h1')}`);
    const rate = Math.floor(capacity / 2);
    await measureFirstSecond(context, all, rate);
    await measureLatency(context, all, rate);
  },
};
