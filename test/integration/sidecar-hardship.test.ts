/** One sidecar under hardship: few descriptors, a log that nobody reads, peers that break off, stall or pour. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bootstrap, cluster, httpListener, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { curlStatus } from '../support/pair-curl.ts';
import { answerOk, httpOrigin, RawOrigin } from '../support/pair-origin.ts';
import { freePort, Program } from '../support/pair-process.ts';
import { clientsGone, runSidecar, startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const folder = testFolder('hardship');
after(() => rmSync(folder, { recursive: true, force: true }));

const main = fileURLToPath(new URL('../../sidecar/main.ts', import.meta.url));

interface Made {
  readonly text: string;
  readonly port: number;
  readonly adminPort: number;
}

async function single(applicationPort: number, action: JsonObject = {}, more: JsonObject = {}): Promise<Made> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const text = bootstrap({
    id: 'single',
    adminPort,
    listeners: [
      httpListener({
        name: 'outbound',
        at: { ip: '127.0.0.1', port },
        direction: 'OUTBOUND',
        routes: [route('any', '/', 'application', action)],
        ...more,
      }),
    ],
    clusters: [cluster({ name: 'application', endpoints: [{ ip: '127.0.0.1', port: applicationPort }] })],
  });
  return { text, port, adminPort };
}

async function started(t: TestContext, made: Made): Promise<Program> {
  const program = await startSidecar(folder, made.text);
  t.after(() => program.stop());
  return program;
}

async function okOrigin(t: TestContext) {
  const origin = await RawOrigin.start(answerOk);
  t.after(() => origin.close());
  return origin;
}

const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

function residentMb(pid: number): number {
  return Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}

async function descriptorsWithoutClients(program: Program, made: Made): Promise<number> {
  await clientsGone(made.adminPort, made.port);
  return descriptors(program.pid);
}

const status = (port: number): Promise<number> => curlStatus(`http://127.0.0.1:${port}/`);

function open(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  return socket;
}

/** Many requests over kept connections; the number that was not answered 200. */
async function load(port: number, requests: number, concurrency: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  let [left, failed] = [requests, 0];
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const sent = httpRequest({ port, host: '127.0.0.1', agent, path: '/x' }, (response) => {
        if (response.statusCode !== 200) failed++;
        response.resume().on('end', resolve);
      });
      sent.on('error', () => {
        failed++;
        resolve();
      });
      sent.end();
    });
  const worker = async (): Promise<void> => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  agent.destroy();
  return failed;
}

test('an access log that nobody reads stops no request', async (t) => {
  const origin = await okOrigin(t);
  const made = await single(origin.port);
  const file = join(folder, 'unread.json');
  writeFileSync(file, made.text);
  const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning', main, '-c', file];
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  await waitFor('serving', () => stderr.includes(' serving ') || undefined);
  // A pipe holds 64 KiB; these are some 2 MB of lines.
  assert.equal(await load(made.port, 4_000, 8), 0);
});

const DESCRIPTORS_MAX = 64;

test('out of descriptors: connections are refused, nothing ends, and all is well again afterwards', async (t) => {
  const origin = await okOrigin(t);
  const made = await single(origin.port);
  const program = await started(t, made);
  // Behind the back of the guard, which looks at a share of what was allowed at start, and would turn them away before.
  execFileSync('prlimit', ['--pid', String(program.pid), `--nofile=${DESCRIPTORS_MAX}`]);
  const clients: Socket[] = [];
  // Those that are refused are gone for good, and what the warm-up has open comes back: clients come until none is left.
  await waitFor('the descriptors to be used up', () => {
    for (let i = 0; i < 10; i++) {
      const client = open(made.port);
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      clients.push(client);
    }
    return descriptors(program.pid) >= DESCRIPTORS_MAX || undefined;
  });
  for (const client of clients) client.destroy();
  await waitFor('an answer', async () => ((await status(made.port)) === 200 ? true : undefined));
  assert.equal(program.ended, false, program.stderr);
});

const LIMITED_DESCRIPTORS = 256;

test('near the limit of descriptors a proxy with the rights of what ships turns new work away, and takes it again', async (t) => {
  const origin = await okOrigin(t);
  const made = await single(origin.port);
  const file = join(folder, 'limited.yaml');
  writeFileSync(file, made.text);
  const limit = `--nofile=${LIMITED_DESCRIPTORS}:${LIMITED_DESCRIPTORS}`;
  const weft = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
  const args = [limit, process.execPath, '--disable-warning=ExperimentalWarning', weft, 'sidecar', '-c', file];
  const program = new Program('prlimit', args);
  t.after(() => program.stop());
  await program.until('serving', () => program.stderr.includes(' serving '));
  assert.equal(await status(made.port), 200);
  const clients: Socket[] = [];
  const full = `of ${LIMITED_DESCRIPTORS}; new connections and requests are turned away`;
  await waitFor('the guard to see it', () => {
    if (program.stderr.includes(full)) return true;
    // Some at a time, so that it looks before there is none left.
    if (descriptors(program.pid) < LIMITED_DESCRIPTORS * 0.9) {
      for (let i = 0; i < 10; i++) clients.push(open(made.port));
    }
    return undefined;
  });
  assert.match(program.stderr, /overload: descriptors \d+ of /);
  assert.notEqual(await status(made.port), 200);
  for (const client of clients) client.destroy();
  await program.until('new work to be taken again', () => program.stderr.includes('new work is taken again'));
  assert.equal(await status(made.port), 200);
});

test('a second sidecar on the same ports says which, in one line', async (t) => {
  const origin = await okOrigin(t);
  const made = await single(origin.port);
  await started(t, made);
  const same = runSidecar(folder, made.text.replaceAll(String(made.adminPort), String(await freePort())));
  assert.equal(await same.exitCode(), 64);
  assert.match(same.stderr, new RegExp(`^weft sidecar: .*cannot listen on 127.0.0.1:${made.port}: EADDRINUSE\n$`));
  const other = { ...(await single(origin.port)) };
  const admin = runSidecar(folder, other.text.replaceAll(String(other.adminPort), String(made.adminPort)));
  assert.equal(await admin.exitCode(), 64);
  assert.match(admin.stderr, new RegExp(`^weft sidecar: .*admin.*127.0.0.1:${made.adminPort}.*EADDRINUSE.*\n$`));
});

describe('peers that break off, stall or pour', () => {
  test('leave no descriptor behind, and only their own exchange fails', async (t) => {
    let upstreamBreaks = true;
    const origin = await RawOrigin.start((socket, bytes) => {
      if (!bytes.toString('latin1').includes('/break')) return answerOk(socket, bytes);
      if (!upstreamBreaks) return undefined;
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome');
      setTimeout(() => socket.resetAndDestroy(), 20);
    });
    t.after(() => origin.close());
    const silent = route('silent', '/break/never-answered', 'application', { timeout: '1s' });
    const made = await single(origin.port, {}, { routes: [silent, route('any', '/', 'application')] });
    const program = await started(t, made);
    assert.equal(await load(made.port, 200, 4), 0);
    const before = await descriptorsWithoutClients(program, made);
    const broken: Promise<unknown>[] = [];
    for (let i = 0; i < 50; i++) {
      const client = open(made.port);
      client.resume().write(`GET /break/${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const half = open(made.port);
      half.write('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nsome');
      setTimeout(() => half.resetAndDestroy(), 20);
      broken.push(once(client, 'close'));
      if (i % 10 === 0) await broken.at(-1);
    }
    // One that is still under way would be answered 504 from here on, and its connection kept.
    await Promise.all(broken);
    upstreamBreaks = false;
    assert.equal(await curlStatus(`http://127.0.0.1:${made.port}/break/never-answered`), 504);
    assert.equal(await load(made.port, 200, 4), 0);
    const left = await descriptorsWithoutClients(program, made);
    assert.ok(left <= before + 4, `${left} descriptors, ${before} before; 4 connections to the origin may be kept`);
  });

  test('thousands of silent connections and slow heads cost little, and stand in nobody’s way', async (t) => {
    const origin = await okOrigin(t);
    const made = await single(origin.port);
    const program = await started(t, made);
    assert.equal(await load(made.port, 500, 8), 0);
    const beforeMb = residentMb(program.pid);
    const clients: Socket[] = [];
    t.after(() => {
      for (const client of clients) client.destroy();
    });
    for (let i = 0; i < 3_000; i++) {
      const client = open(made.port);
      clients.push(client);
      if (i % 2 === 0) client.write('GET / HTTP/1.1\r\nHo');
      if (i % 250 === 0) await once(client, 'connect');
    }
    await waitFor('all connections', () => descriptors(program.pid) > 3_000 || undefined);
    assert.equal(await load(made.port, 500, 8), 0);
    const costMb = residentMb(program.pid) - beforeMb;
    assert.ok(costMb < 120, `${costMb} MB for 3,000 connections`);
  });

  test('200 MB to a client that reads slowly, and to a server that does, pass through bounded memory', async (t) => {
    const total = 200_000_000;
    const chunk = Buffer.alloc(100_000, 0x61);
    let received = 0;
    const origin = await httpOrigin((request, response) => {
      if (request.method === 'POST') {
        request.on('data', (piece: Buffer) => {
          received += piece.length;
          request.pause();
          setImmediate(() => request.resume());
        });
        request.on('end', () => response.end('done'));
        return;
      }
      response.writeHead(200, { 'content-length': total });
      let sent = 0;
      const more = (): void => {
        while (sent < total) {
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    t.after(() => origin.close());
    const made = await single(origin.port, { timeout: '60s' });
    const program = await started(t, made);
    assert.equal(await status(made.port), 200);
    let peakMb = 0;
    const watch = setInterval(() => {
      peakMb = Math.max(peakMb, residentMb(program.pid));
    }, 50);
    t.after(() => clearInterval(watch));
    const stalled = open(made.port);
    stalled.pause();
    stalled.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const upload = httpRequest({
      port: made.port,
      host: '127.0.0.1',
      method: 'POST',
      headers: { 'content-length': total },
    });
    const answered = once(upload, 'response');
    for (let sent = 0; sent < total; sent += chunk.length) {
      if (!upload.write(chunk)) await once(upload, 'drain');
    }
    upload.end();
    const [response] = await answered;
    response.resume();
    assert.equal(received, total);
    // The other one has not been read at all so far: it is in the buffers of the kernel, not of the sidecar.
    let bytes = 0;
    stalled.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    stalled.resume();
    await waitFor('the download', () => bytes > total || undefined, 60_000);
    stalled.destroy();
    // A sidecar that has just started has up to 150 MB of garbage; either body alone would be more than the rest.
    assert.ok(peakMb < 220, `${peakMb} MB`);
  });
});

test('many requests later memory and descriptors are where they were', async (t) => {
  const origin = await okOrigin(t);
  const made = await single(origin.port);
  const program = await started(t, {
    ...made,
    text: made.text.replaceAll('"access_log":"all"', '"access_log":"errors"'),
  });
  assert.equal(await load(made.port, 10_000, 16), 0);
  const [beforeMb, before] = [residentMb(program.pid), await descriptorsWithoutClients(program, made)];
  for (let round = 0; round < 4; round++) assert.equal(await load(made.port, 10_000, 16), 0);
  const growthMb = residentMb(program.pid) - beforeMb;
  assert.ok(growthMb < 25, `${growthMb} MB more after 40,000 requests`);
  const left = await descriptorsWithoutClients(program, made);
  assert.ok(left <= before + 16, `${left} descriptors, ${before} before; 16 connections to the origin may be kept`);
});

test('SIGTERM in the middle of heads and silence: what is under way is answered, and the process ends', async (t) => {
  let answer: (() => void) | undefined;
  const origin = await httpOrigin((_request, response) => {
    answer = () => void response.end('late');
  });
  t.after(() => origin.close());
  const made = await single(origin.port);
  const program = await started(t, made);
  const [silent, slow] = [open(made.port), open(made.port)];
  slow.write('GET / HTTP/1.1\r\nHo');
  const busy = curlStatus(`http://127.0.0.1:${made.port}/`);
  await waitFor('the request at the application', () => answer !== undefined || undefined);
  program.child.kill('SIGTERM');
  await once(silent, 'close');
  answer?.();
  assert.equal(await busy, 200);
  slow.destroy();
  assert.equal(await program.exitCode(), 0);
});
