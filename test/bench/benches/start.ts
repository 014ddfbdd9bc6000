import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Context } from '../context.ts';
import { report, Samples } from '../field.ts';
import { singleTexts } from '../subjects/bootstraps.ts';
import type { Kind } from '../subjects/kinds.ts';

const bench = 'start';
const startMsMax = 20_000;
const triesEveryMs = 2;
const runsOfAll = 10;

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    get({ host: '127.0.0.1', port, path: '/', agent: false, timeout: 1_000 }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode === 200)).once('error', () => resolve(false));
    }).once('error', () => resolve(false));
  });

/** From the start of the process to the first request that comes back with the application's answer. */
async function startMs(context: Context, kind: Kind): Promise<number> {
  const { port: applicationPort } = await context.http1();
  const { proxy, port } = await singleTexts(applicationPort, 'h1', { without: context.without });
  const fromMs = performance.now();
  const program = await kind.spawn(proxy);
  try {
    while (!(await answers(port))) {
      if (program.ended) throw new Error(`ended: ${program.stderr}`);
      if (performance.now() - fromMs > startMsMax) throw new Error(`not ready within ${startMsMax} ms`);
      await sleep(triesEveryMs);
    }
    return performance.now() - fromMs;
  } finally {
    await program.stop();
  }
}

export const start: Bench = {
  what: 'from the start of the process to the first answer, with a static bootstrap',
  async run(context) {
    const kinds = [context.weft, context.envoy];
    const samples = new Samples(kinds.map(({ key, name }) => ({ key, name })));
    const runs = context.options.quick ? 1 : runsOfAll;
    for (let run = 0; run < runs; run++) {
      for (const kind of kinds) {
        try {
          samples.add(kind.key, { ready_ms: await startMs(context, kind) });
        } catch (error) {
          samples.fail(kind.key, error);
        }
      }
    }
    const note = context.note;
    report(context.report, samples, [{ bench, metric: 'ready_ms', subject: 'weft', peer: 'envoy', note }]);
  },
};
