/** The loads that several benchmarks share, as samples. */
import { bodyBytes, grpcPath, grpcResponseBytes } from '../backend.ts';
import type { Context } from '../context.ts';
import { cpuUsDuring, type Field, type Sample, type Samples } from '../field.ts';
import { h2load } from '../load/h2load.ts';
import type { RateOptions } from '../load/loadgen.ts';
import { type ClosedLoad, wrk } from '../load/wrk.ts';
import { rssAnonMb } from '../measure.ts';
import type { Subject } from '../subjects/subject.ts';

export const slowRate = 1_000;
export const slowConnections = 16;
const h2Connections = 4;
const h2Streams = 16;

export const warmUpSeconds = ({ options }: Context): number => (options.quick ? 1 : 2);

/**
 * Twice the runs of half the length: what else the machine does comes and goes within seconds, so that subjects that take
 * turns often meet it alike.
 */
export const shortRuns = ({
  options: { runs, seconds },
}: Context): { readonly runs: number; readonly seconds: number } =>
  seconds < 2 ? { runs, seconds } : { runs: runs * 2, seconds: Math.floor(seconds / 2) };

async function saturated(subject: Subject, load: () => Promise<ClosedLoad>): Promise<Sample> {
  const [cpu, { requests, durationS }] = await cpuUsDuring(subject, load);
  return {
    cpu_us_per_request: cpu / requests,
    requests_per_second: requests / durationS,
    rss_anon_mb: subject.programs.reduce((sum, { pid }) => sum + rssAnonMb(pid), 0),
  };
}

/** As much HTTP/1.1 as goes through. */
export const saturatedHttp1 = (
  { options }: Context,
  subject: Subject,
  seconds: number = options.seconds,
  cores?: number | string,
): Promise<Sample> =>
  saturated(subject, () =>
    wrk({
      port: subject.port,
      path: '/',
      seconds,
      connections: options.connections,
      ...(cores === undefined ? {} : { cores }),
    }),
  );

/** As much HTTP/2 as goes through, over 4 connections with 16 streams each. */
export const saturatedHttp2 = (
  { options }: Context,
  subject: Subject,
  seconds: number = options.seconds,
): Promise<Sample> =>
  saturated(subject, () =>
    h2load({
      port: subject.port,
      path: '/body',
      seconds,
      connections: h2Connections,
      streams: h2Streams,
      responseBytes: bodyBytes,
    }),
  );

/** As many unary calls as go through. */
export const saturatedGrpc = (
  { options }: Context,
  subject: Subject,
  messageFile: string,
  seconds: number = options.seconds,
): Promise<Sample> =>
  saturated(subject, () =>
    h2load({
      port: subject.port,
      path: grpcPath,
      seconds,
      connections: h2Connections,
      streams: h2Streams,
      grpcMessage: messageFile,
      responseBytes: grpcResponseBytes,
    }),
  );

/** CPU time a request at a rate that leaves the proxies idle most of the time. */
async function atRate(
  { loadgen }: Context,
  subject: Subject,
  options: Pick<RateOptions, 'path' | 'protocol' | 'seconds'>,
): Promise<Sample> {
  const load = { ...options, port: subject.port, rate: slowRate, connections: slowConnections };
  const [cpu, { completed }] = await cpuUsDuring(subject, () => loadgen.rate(load));
  return { cpu_us_per_request: cpu / completed };
}

/** In turn, after each has had the same load: another client's requests are shaped differently, and its rate makes other paths hot. */
export async function measureAtRate(
  context: Context,
  field: Field,
  load: Pick<RateOptions, 'path' | 'protocol'>,
): Promise<Samples> {
  const { runs, seconds } = shortRuns(context);
  await field.warmUp((subject) => atRate(context, subject, { ...load, seconds: 2 * warmUpSeconds(context) }));
  return field.measure(runs, (subject) => atRate(context, subject, { ...load, seconds }));
}
