import { freePort } from '../../support/pair-process.ts';
import type { Bench, Context } from '../context.ts';
import { cpuUsDuring, Field, report, type Sample } from '../field.ts';
import { opaquePair } from '../subjects/contestants.ts';
import { bareTlsRelays, haproxyPair } from '../subjects/references.ts';
import type { Subject } from '../subjects/subject.ts';
import { warmUpSeconds } from './load.ts';

const bench = 'tcp-mtls';
const connections = 4;
const gb = 1e9;

async function carried(
  { loadgen }: Context,
  subject: Subject,
  direction: 'pull' | 'push',
  seconds: number,
): Promise<Sample> {
  const port = direction === 'pull' ? subject.port : (subject.secondPort ?? 0);
  const [cpu, done] = await cpuUsDuring(subject, () => loadgen.stream(direction, { port, connections, seconds }));
  return { cpu_s_per_gb: cpu / 1e6 / (done.bytes / gb), gb_per_second: done.bytes / gb / done.seconds };
}

export const tcpMtls: Bench = {
  what: 'an opaque TCP stream through two sidecars with mutual TLS between them',
  async run(context) {
    const { options, files, without, loadgen } = context;
    const [sourcePort, sinkPort] = [await freePort(), await freePort()];
    context.keep(await loadgen.tcpServer(sourcePort, sinkPort));
    const shape = { files, sourcePort, sinkPort, features: { without } };
    const references = [
      haproxyPair(context.folder, { files, mode: 'tcp', applicationPort: sourcePort }),
      bareTlsRelays(files, sourcePort),
    ];
    const field = await Field.start([opaquePair(context.weft, shape), opaquePair(context.envoy, shape), ...references]);
    try {
      await field.warmUp((subject) => carried(context, subject, 'pull', warmUpSeconds(context)));
      const down = await field.measure(options.runs, (one) => carried(context, one, 'pull', options.seconds));
      const isReference = (key: string): boolean => references.some((reference) => reference.key === key);
      const up = await field.measure(
        options.runs,
        (one) => carried(context, one, 'push', options.seconds),
        (key) => !isReference(key),
      );
      for (const metric of ['cpu_s_per_gb', 'gb_per_second']) {
        report(context.report, down, [
          { bench, metric, subject: 'weft', peer: 'envoy', load: 'down' },
          ...references.map(({ key }) => ({
            bench,
            metric,
            subject: key,
            peer: 'envoy',
            load: 'down',
            note: 'reference: no identity check',
          })),
        ]);
        report(context.report, up, [{ bench, metric, subject: 'weft', peer: 'envoy', load: 'up' }]);
      }
    } finally {
      await field.stop();
    }
  },
};
