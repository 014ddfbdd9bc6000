import type { Bench, Context } from '../context.ts';
import { Field, report, type Sample } from '../field.ts';
import { single } from '../subjects/contestants.ts';
import { bareRelay, floor, haproxySingle, nginxSingle } from '../subjects/references.ts';
import type { Contestant, Subject, Wire } from '../subjects/subject.ts';
import { saturatedHttp1, saturatedHttp2, shortRuns, warmUpSeconds } from './load.ts';

const metrics = ['cpu_us_per_request', 'requests_per_second', 'rss_anon_mb'] as const;

interface Plain {
  readonly bench: string;
  readonly wire: Wire;
  readonly references: readonly Contestant[];
  load(context: Context, subject: Subject, seconds?: number): Promise<Sample>;
}

async function run(context: Context, applicationPort: number, { bench, wire, references, load }: Plain): Promise<void> {
  const { without, note } = context;
  const { runs, seconds } = shortRuns(context);
  const shape = { applicationPort, wire, features: { without } };
  const field = await Field.start([single(context.weft, shape), single(context.envoy, shape), ...references]);
  try {
    await field.warmUp((subject) => load(context, subject, warmUpSeconds(context)));
    const samples = await field.measure(runs, (subject) => load(context, subject, seconds));
    for (const metric of metrics) {
      report(context.report, samples, [
        { bench, metric, subject: 'weft', peer: 'envoy', note },
        ...references.map(({ key }) => ({ bench, metric, subject: key, peer: 'envoy', note: 'reference' })),
      ]);
    }
  } finally {
    await field.stop();
  }
}

export const plainHttp1: Bench = {
  what: 'HTTP/1.1 through one sidecar, plaintext',
  async run(context) {
    const { port } = await context.http1();
    const references = [
      haproxySingle(context.folder, port, 'h1'),
      nginxSingle(context.folder, port),
      floor(port, 'h1'),
      bareRelay(port),
    ];
    await run(context, port, { bench: 'h1-plain', wire: 'h1', references, load: saturatedHttp1 });
  },
};

export const plainHttp2: Bench = {
  what: 'HTTP/2 through one sidecar, plaintext on both sides',
  async run(context) {
    const { port } = await context.http2();
    const references = [haproxySingle(context.folder, port, 'h2'), floor(port, 'h2'), bareRelay(port)];
    await run(context, port, { bench: 'h2-plain', wire: 'h2', references, load: saturatedHttp2 });
  },
};
