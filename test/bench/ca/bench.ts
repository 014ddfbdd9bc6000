/** How fast the certificate authority is: signing alone, and a crowd of workloads that all come for the first time. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program } from '../../support/pair-process.ts';
import type { Options } from '../context.ts';
import { loadCore, onCore, proxyCore } from '../cores.ts';
import { report, Samples } from '../field.ts';
import { cpuUs } from '../measure.ts';
import type { Report } from '../report.ts';

const bench = 'ca';
const crowd = 10_000;
const crowdQuick = 300;
/** Clients under way at one time: what paces them. */
const parallel = 64;
const startMsMax = 180_000;
const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
const controlPlane = join(import.meta.dirname, '..', '..', '..', 'control-plane', 'main.ts');

const ours = { key: 'weft', name: 'weft' };
/** One verification and one signature, and nothing around them: no authority on this machine can be faster. */
const openssl = { key: 'openssl', name: 'openssl speed' };
const goal = { key: 'goal', name: 'goal' };
const goalSeconds = 30;

const pinned = (core: number, args: readonly string[]): string =>
  execFileSync('taskset', [...onCore(core, process.execPath, [...flags, ...args])], { encoding: 'utf8' });

/** CPU microseconds of what nobody can leave out. */
function opensslUs(seconds: number): number {
  const args = ['speed', '-mr', '-seconds', String(seconds), 'ecdsap256'];
  const text = execFileSync('taskset', [...onCore(proxyCore, 'openssl', args)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // +F4:number:bits:signatures a second:verifications a second
  const [, sign, verify] = /^\+F\d+:\d+:\d+:([0-9.e-]+):([0-9.e-]+)/m.exec(text) ?? [];
  const seen = 1e6 / Number(sign) + 1e6 / Number(verify);
  if (!(seen > 0)) throw new Error(`openssl speed said ${text}`);
  return seen;
}

function signing({ runs, seconds }: Options, to: Report): void {
  const samples = new Samples([ours, openssl]);
  for (let run = 0; run < runs; run++) {
    try {
      const us = Number(pinned(proxyCore, [join(import.meta.dirname, 'signing.ts'), String(seconds)]));
      samples.add(ours.key, { certificates_per_core_second: 1e6 / us });
      samples.add(openssl.key, { certificates_per_core_second: 1e6 / opensslUs(1) });
    } catch (error) {
      samples.fail(ours.key, error);
    }
  }
  const note =
    'request parsed and its signature verified, names checked, certificate written and signed; by CPU time; peer: one P-256 verification and one signature';
  report(to, samples, [
    { bench, metric: 'certificates_per_core_second', subject: ours.key, peer: openssl.key, load: 'signing', note },
  ]);
}

function writeCrowd(folder: string, count: number): void {
  const pods: string[] = [];
  const tokens = ['tokens:'];
  for (let index = 0; index < count; index++) {
    const metadata = `{ name: pod-${index}, namespace: crowd, uid: uid-${index} }`;
    const ip = `10.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
    pods.push(
      `- { kind: Pod, metadata: ${metadata}, spec: { serviceAccountName: account-${index}, containers: [{ name: app }] }, status: { podIP: ${ip} } }`,
    );
    tokens.push(
      `- { token: token-${index}, namespace: crowd, serviceAccount: account-${index}, pod: pod-${index}, uid: uid-${index} }`,
    );
  }
  writeFileSync(join(folder, 'objects.yaml'), `kind: List\nitems:\n${pods.join('\n')}\n`);
  writeFileSync(join(folder, 'tokens.yaml'), `${tokens.join('\n')}\n`);
}

interface Enrolled {
  readonly seconds: number;
  readonly enrolled: number;
  readonly p99Ms: number;
  /** Of the clients, an identity, while the clock runs. */
  readonly cpuUs: number;
}

/** Ten thousand objects and tokens in YAML take their time. */
async function serves(server: Program): Promise<void> {
  const untilMs = performance.now() + startMsMax;
  while (!server.stdout.includes('"serving"')) {
    if (server.ended || performance.now() > untilMs)
      throw new Error(`the control plane did not start: ${server.stderr}`);
    await sleep(100);
  }
}

async function enrol(folder: string, count: number): Promise<Enrolled & { readonly serverUs: number }> {
  const files = ['--static', join(folder, 'objects.yaml'), '--tokens', join(folder, 'tokens.yaml')];
  const ports = ['--xds', '127.0.0.1:0', '--monitoring', '127.0.0.1:0', '--ca-dir', join(folder, 'ca')];
  const server = new Program(
    'taskset',
    onCore(proxyCore, process.execPath, [...flags, controlPlane, ...files, ...ports]),
  );
  try {
    await serves(server);
    const [, port = ''] = /"xdsPort":(\d+)/.exec(server.stdout) ?? [];
    const before = cpuUs(server.pid);
    const args = [port, join(folder, 'ca', 'ca.crt'), String(count), String(parallel)];
    const clients = new Program(
      'taskset',
      onCore(loadCore, process.execPath, [...flags, join(import.meta.dirname, 'clients.ts'), ...args]),
    );
    const code = await clients.exitCode();
    if (code !== 0) throw new Error(`clients ended with ${code}: ${clients.stderr}`);
    const seen: Enrolled = JSON.parse(clients.stdout);
    if (seen.enrolled !== count) throw new Error(`${seen.enrolled} of ${count} enrolled`);
    return { ...seen, serverUs: (cpuUs(server.pid) - before) / count };
  } finally {
    await server.stop();
  }
}

async function enrolment({ runs, quick }: Options, to: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-bench-ca-'));
  const count = quick ? crowdQuick : crowd;
  const samples = new Samples([ours, goal]);
  try {
    writeCrowd(folder, count);
    for (let run = 0; run < Math.min(runs, 3); run++) {
      try {
        rmSync(join(folder, 'ca'), { recursive: true, force: true });
        const { seconds, p99Ms, serverUs, cpuUs: clientUs } = await enrol(folder, count);
        samples.add(ours.key, { seconds_to_enrol: seconds, p99_ms: p99Ms });
        samples.add(ours.key, { server_cpu_us_per_identity: serverUs, client_cpu_us_per_identity: clientUs });
        samples.add(goal.key, { seconds_to_enrol: (goalSeconds * count) / crowd });
      } catch (error) {
        samples.fail(ours.key, error);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const load = `${count} identities`;
  const note = `server on one core, all clients on another, ${parallel} at a time; each: TCP, full TLS 1.3 handshake with the hybrid group, one Sign call with a token, connection closed; token found in a file (no TokenReview), audit line written; keys and requests are made before, and every certificate is verified after`;
  report(to, samples, [{ bench, metric: 'seconds_to_enrol', subject: ours.key, peer: goal.key, load, note }]);
  for (const metric of ['p99_ms', 'server_cpu_us_per_identity', 'client_cpu_us_per_identity'] as const) {
    const value = samples.value(ours.key, metric);
    if (value === undefined) continue;
    const row = { bench, metric, subject: ours.name, peer: '-', peer_value: null, ratio: null, load };
    to.add({ ...row, subject_value: Number(value.toPrecision(4)), runs: samples.values(ours.key, metric).length });
  }
}

export const certificateAuthority = {
  what: 'certificates signed a second, and 10,000 workloads that enrol at once',
  async run(options: Options, to: Report): Promise<void> {
    signing(options, to);
    await enrolment(options, to);
  },
};
