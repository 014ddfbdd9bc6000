import { setTimeout as sleep } from 'node:timers/promises';
import { SERVER_ID } from '../../support/pair.ts';
import type { Bench, Context } from '../context.ts';
import { measureFresh, report, type Sample } from '../field.ts';
import { rssAnonMb } from '../measure.ts';
import { alpnOf } from '../subjects/bootstraps.ts';
import { pair, single } from '../subjects/contestants.ts';
import type { Subject } from '../subjects/subject.ts';
import { idleJoined } from './idle-joined.ts';

const bench = 'idle';
/** What a start leaves behind is collected, or is not, by then. */
const settleMs = 2_000;
const fewConnections = 500;
const manyConnections = 2_000;
const kbOfMb = 1_000;

const settled = async (pid: number, quick: boolean): Promise<number> => {
  await sleep(quick ? settleMs / 10 : settleMs);
  return rssAnonMb(pid);
};

async function slope({ loadgen, files, options }: Context, subject: Subject): Promise<Sample> {
  const [, server] = subject.programs;
  if (server === undefined) throw new Error('a pair has two programs');
  const [few, many] = options.quick ? [50, 200] : [fewConnections, manyConnections];
  const to = { port: subject.wirePort ?? 0, group: 'X25519', alpn: alpnOf('h1'), serverId: SERVER_ID };
  const first = await loadgen.hold({ ...to, files: files.client }, few);
  const fewMb = await settled(server.pid, options.quick);
  const second = await loadgen.hold({ ...to, files: files.client }, many - few);
  const manyMb = await settled(server.pid, options.quick);
  await first.release();
  await second.release();
  return { rss_anon_kb_per_connection: ((manyMb - fewMb) / (many - few)) * kbOfMb };
}

export const idle: Bench = {
  what: 'private memory of a sidecar without traffic, and of idle mutual TLS connections',
  async run(context) {
    const { options, files, without, note } = context;
    const { port: applicationPort } = await context.http1();
    const both = { bench, subject: 'weft', peer: 'envoy', note };
    const one = { applicationPort, wire: 'h1', features: { without } } as const;
    const ready = await measureFresh(
      [single(context.weft, one), single(context.envoy, one)],
      options.runs,
      async (subject) => ({
        rss_anon_mb: await settled(subject.programs[0]?.pid ?? 0, options.quick),
      }),
    );
    report(context.report, ready, [{ ...both, metric: 'rss_anon_mb', load: 'ready, static bootstrap' }]);
    const two = { files, ...one, application: 'h1' } as const;
    const contestants = [pair(context.weft, two), pair(context.envoy, two)];
    const connections = await measureFresh(contestants, options.runs, (subject) => slope(context, subject));
    const load = options.quick ? 'from 50 to 200' : `from ${fewConnections} to ${manyConnections} connections`;
    report(context.report, connections, [{ ...both, metric: 'rss_anon_kb_per_connection', load }]);
    await idleJoined(context);
  },
};
