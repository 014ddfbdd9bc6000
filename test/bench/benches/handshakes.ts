import { SERVER_ID } from '../../support/pair.ts';
import type { Bench, Context } from '../context.ts';
import { cpuUsDuring, Field, report, type Sample } from '../field.ts';
import { wrk } from '../load/wrk.ts';
import { alpnOf } from '../subjects/bootstraps.ts';
import { pair } from '../subjects/contestants.ts';
import type { Kind } from '../subjects/kinds.ts';
import type { Contestant, Subject } from '../subjects/subject.ts';
import { warmUpSeconds } from './load.ts';

const bench = 'handshakes';
const workers = 16;
/** The client offers this one group; P-256 certificates on both sides. */
const groups = ['X25519', 'X25519MLKEM768'] as const;

/** From the time on a processor: the load's own core would bound what a clock shows. */
const perSecondOfCore = (cpuUs: number, connections: number): Sample => ({
  connections_per_core_second: (connections / cpuUs) * 1e6,
});

/** New connections to the server's sidecar, none resumed, with one request each. */
async function terminate(
  { loadgen, files }: Context,
  subject: Subject,
  group: string,
  seconds: number,
): Promise<Sample> {
  const [, serverProgram] = subject.programs;
  if (serverProgram === undefined) throw new Error('a pair has two programs');
  const server = { ...subject, programs: [serverProgram] };
  const client = { port: subject.wirePort ?? 0, group, alpn: alpnOf('h1'), files: files.client, serverId: SERVER_ID };
  const [cpu, { connections }] = await cpuUsDuring(server, () => loadgen.handshakes({ ...client, workers, seconds }));
  return perSecondOfCore(cpu, connections);
}

/** Requests through the pair, whose connections between the sidecars are for one request each. */
async function throughPair(subject: Subject, seconds: number): Promise<Sample> {
  const load = { port: subject.port, path: '/', seconds, connections: workers };
  const [cpu, { requests }] = await cpuUsDuring(subject, () => wrk(load));
  return perSecondOfCore(cpu, requests);
}

async function measureTermination(context: Context): Promise<void> {
  const { options, files, without } = context;
  const { port: applicationPort } = await context.http1();
  const shape = { files, applicationPort, wire: 'h1', application: 'h1', features: { without } } as const;
  const field = await Field.start([pair(context.weft, shape), pair(context.envoy, shape)]);
  try {
    await field.warmUp((subject) => terminate(context, subject, 'X25519', warmUpSeconds(context)));
    for (const group of groups) {
      const samples = await field.measure(options.runs, (one) => terminate(context, one, group, options.seconds));
      const metric = 'connections_per_core_second';
      report(context.report, samples, [
        { bench, metric, subject: 'weft', peer: 'envoy', load: `server side, ${group}`, note: 'more is better' },
      ]);
    }
  } finally {
    await field.stop();
  }
}

async function measurePair(context: Context): Promise<void> {
  const { options, files, without } = context;
  const { port: applicationPort } = await context.http1();
  // Where Weft does not take a group from the bootstrap, it has OpenSSL's first choice, and Envoy is told to have the same.
  const [own, post] = groups;
  const group = without.has('ecdh_curves') ? post : own;
  const shape = { files, applicationPort, wire: 'h1', application: 'h1', requestsPerConnectionMax: 1 } as const;
  const envoyFeatures = { without: new Set([...without].filter((field) => field !== 'ecdh_curves')) };
  const of = (kind: Kind): Contestant =>
    pair(kind, { ...shape, group, features: kind.key === 'envoy' ? envoyFeatures : { without } });
  const field = await Field.start([of(context.weft), of(context.envoy)]);
  try {
    await field.warmUp((subject) => throughPair(subject, warmUpSeconds(context)));
    const samples = await field.measure(options.runs, (subject) => throughPair(subject, options.seconds));
    const note = 'more is better; each side resumes sessions as it does by itself';
    const metric = 'connections_per_core_second';
    report(context.report, samples, [
      { bench, metric, subject: 'weft', peer: 'envoy', load: `both sidecars, ${group}`, note },
    ]);
  } finally {
    await field.stop();
  }
}

export const handshakes: Bench = {
  what: 'new mutual TLS connections for each second of a core',
  async run(context) {
    await measureTermination(context);
    await measurePair(context);
  },
};
