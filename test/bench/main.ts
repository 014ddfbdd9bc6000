/**
 * `npm run bench -- <name> [--json]`: Weft against Envoy on this machine, run by run in turn, the ratio of medians.
 * Proxies on one core, load and application on another. With --json, one object a line.
 */
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startNginx } from '../support/nginx.ts';
import { buildPackage } from '../support/package.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';
import { cpuUs, median, pin, rssAnonMib, wrk } from './measure.ts';
import { envoy, pair, type Setup, type Subject, single, weft } from './subjects.ts';

const benches: Readonly<Record<string, { readonly what: string; readonly setup: Setup }>> = {
  'h1-plain': { what: 'HTTP/1.1 through one proxy, plaintext', setup: single },
  'mtls-h1': { what: 'HTTP/1.1 through two proxies with mutual TLS between them', setup: pair },
};

const EX_USAGE = 64;
const warmUpSeconds = 4;
const loadCore = 0;
const proxyCore = 1;

interface Sample {
  readonly cpu_us_per_request: number;
  readonly requests_per_second: number;
  readonly p99_ms: number;
  readonly rss_anon_mib: number;
}

const metrics = ['cpu_us_per_request', 'requests_per_second', 'p99_ms', 'rss_anon_mib'] as const;

const sum = (programs: readonly Program[], read: (pid: number) => number): number =>
  programs.reduce((total, { pid }) => total + read(pid), 0);

async function sample({ port, programs }: Subject, seconds: number, connections: number): Promise<Sample> {
  const beforeUs = sum(programs, cpuUs);
  const load = await wrk({ url: `http://127.0.0.1:${port}/echo`, seconds, connections, core: loadCore });
  return {
    cpu_us_per_request: (sum(programs, cpuUs) - beforeUs) / load.requests,
    requests_per_second: load.requests / load.durationS,
    p99_ms: load.p99Ms,
    rss_anon_mib: sum(programs, rssAnonMib),
  };
}

interface Options {
  readonly name: string;
  readonly setup: Setup;
  readonly runs: number;
  readonly seconds: number;
  readonly connections: number;
  readonly json: boolean;
}

function print(options: Options, [subject, peer]: readonly [Subject, Subject], samples: Map<Subject, Sample[]>): void {
  for (const metric of metrics) {
    const value = (of: Subject): number => median((samples.get(of) ?? []).map((one) => one[metric]));
    const [subjectValue, peerValue] = [value(subject), value(peer)];
    const line = {
      bench: options.name,
      subject: subject.name,
      peer: peer.name,
      metric,
      subject_value: Number(subjectValue.toPrecision(4)),
      peer_value: Number(peerValue.toPrecision(4)),
      ratio: Number((subjectValue / peerValue).toPrecision(3)),
      runs: options.runs,
    };
    console.log(
      options.json
        ? JSON.stringify(line)
        : `${line.bench}  ${metric.padEnd(20)} ${line.subject} ${line.subject_value}  ${line.peer} ${line.peer_value}  ratio ${line.ratio}`,
    );
  }
}

async function bench(options: Options): Promise<void> {
  const folder = testFolder('bench');
  const programs: Program[] = [];
  try {
    const built = join(folder, 'dist');
    await buildPackage(built);
    const applicationPort = await freePort();
    const { program } = await startNginx(folder, applicationPort);
    programs.push(program);
    await pin(program.pid, loadCore);
    const start = async (kind: Parameters<Setup>[0]): Promise<Subject> => {
      const subject = await options.setup(kind, folder, applicationPort);
      programs.push(...subject.programs);
      for (const { pid } of subject.programs) await pin(pid, proxyCore);
      return subject;
    };
    const subjects = [await start(weft(built)), await start(envoy)] as const;
    const samples = new Map<Subject, Sample[]>(subjects.map((subject) => [subject, []]));
    for (const subject of subjects) await sample(subject, warmUpSeconds, options.connections);
    for (let run = 0; run < options.runs; run++) {
      for (const subject of subjects) {
        samples.get(subject)?.push(await sample(subject, options.seconds, options.connections));
      }
    }
    print(options, subjects, samples);
  } finally {
    for (const program of programs) await program.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function parse(): Options | string {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean' }, runs: text, seconds: text, connections: text },
  });
  const [name = ''] = positionals;
  const chosen = benches[name];
  const known = Object.entries(benches).map(([key, { what }]) => `  ${key.padEnd(10)} ${what}`);
  const usage = 'npm run bench -- <name> [--json] [--runs 5] [--seconds 5] [--connections 32]';
  if (chosen === undefined || positionals.length !== 1) return [`Usage: ${usage}`, '', ...known].join('\n');
  const numbers = [values.runs ?? '5', values.seconds ?? '5', values.connections ?? '32'].map(Number);
  const [runs = 0, seconds = 0, connections = 0] = numbers;
  if (!numbers.every((number) => Number.isInteger(number) && number > 0)) return 'counts are positive whole numbers';
  if (availableParallelism() < 2) return 'a benchmark needs two cores: one for the proxies, one for the load';
  return { name, setup: chosen.setup, runs, seconds, connections, json: values.json === true };
}

const options = parse();
if (typeof options === 'string') {
  console.error(options);
  process.exitCode = EX_USAGE;
} else {
  await bench(options);
}
