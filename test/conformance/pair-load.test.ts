/** Some seconds of wrk through the pair: no error, and nothing left behind. Numbers are printed, not judged. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { startNginx } from '../support/nginx.ts';
import { type Pair, startPair } from '../support/pair.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { clientsGone, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const SECONDS = Number(process.env['WEFT_LOAD_SECONDS'] ?? 5);
const CONNECTIONS = 32;
/** Of the kernel's clock in /proc/<pid>/stat: USER_HZ, which is 100 on every Linux. */
const TICKS_PER_SECOND = 100;
/** Garbage that waits for its collection is no leak; what grows with each request is: 5 s are some 50,000 of them. */
const GROWTH_KB_MAX = 60_000;

const folder = testFolder('pair-load');
let nginx: Program;
let nginxPort = 0;
let pair: Pair;

before(async () => {
  nginxPort = await freePort();
  mkdirSync(join(folder, 'www'), { recursive: true });
  writeFileSync(join(folder, 'www', 'small'), 'x'.repeat(1_000));
  nginx = (await startNginx(folder, nginxPort)).program;
  pair = await startPair(folder, await CertificateFolder.make(folder), { applicationPort: nginxPort, logs: false });
});

after(async () => {
  await pair.stop();
  await nginx.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** User and system time of the process. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function anonymousKb(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

const withoutCallers = (): Promise<void> => clientsGone(pair.clientAdmin, pair.port);

interface Load {
  readonly requests: number;
  readonly text: string;
}

function wrk(port: number, seconds: number): Promise<Load> {
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--latency', `http://127.0.0.1:${port}/small`];
  return new Promise((resolve, reject) => {
    execFile('wrk', args, { timeout: (seconds + 20) * 1_000 }, (error, stdout) => {
      if (error !== null) reject(error);
      else resolve({ requests: Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0), text: stdout });
    });
  });
}

test(`${CONNECTIONS} connections for ${SECONDS} s`, { timeout: 120_000 }, async () => {
  const pids = { client: pair.clientProgram.pid, server: pair.serverProgram.pid };
  // The code is compiled, buffers and pools have grown.
  await wrk(pair.port, 3);
  await withoutCallers();
  const before = {
    client: { cpu: cpuSeconds(pids.client), kb: anonymousKb(pids.client), fds: descriptors(pids.client) },
    server: { cpu: cpuSeconds(pids.server), kb: anonymousKb(pids.server), fds: descriptors(pids.server) },
  };
  const nginxBefore = cpuSeconds(nginx.pid);
  const load = await wrk(pair.port, SECONDS);
  const nginxThrough = cpuSeconds(nginx.pid) - nginxBefore;
  assert.ok(load.requests > 1_000, load.text);
  assert.doesNotMatch(load.text, /Non-2xx|Socket errors/);
  const us = (seconds: number, requests: number): string => `${((seconds * 1e6) / requests).toFixed(1)} us`;
  const direct = await wrk(nginxPort, 2);
  console.log(
    `# ${load.requests} requests; CPU a request: client ${us(cpuSeconds(pids.client) - before.client.cpu, load.requests)}, ` +
      `server ${us(cpuSeconds(pids.server) - before.server.cpu, load.requests)}, nginx ${us(nginxThrough, load.requests)}; ` +
      `direct ${direct.requests} requests in 2 s`,
  );
  console.log(
    load.text
      .split('\n')
      .filter((line) => /%|Requests\/sec/.test(line))
      .map((line) => `# ${line.trim()}`)
      .join('\n'),
  );
  await withoutCallers();
  for (const side of ['client', 'server'] as const) {
    // How many connections are kept for the next request depends on how many were under way at once; the server has both ends.
    const kept = side === 'client' ? CONNECTIONS : 2 * CONNECTIONS;
    await waitFor(`the descriptors of the ${side} to be back at ${before[side].fds}, and ${kept} at most`, () =>
      descriptors(pids[side]) <= before[side].fds + kept ? true : undefined,
    );
    const grownKb = anonymousKb(pids[side]) - before[side].kb;
    console.log(
      `# ${side}: ${before[side].kb} kB, ${grownKb} kB more after the load, ${descriptors(pids[side])} descriptors`,
    );
    assert.ok(grownKb < GROWTH_KB_MAX, `the ${side} grew by ${grownKb} kB`);
  }
});
