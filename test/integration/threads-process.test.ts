/** Real sidecar processes with two data threads, and the guards against running out of memory or descriptors. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bootstrap, cluster, httpListener, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { answerOk, httpOrigin, RawOrigin } from '../support/pair-origin.ts';
import { freePort, Program } from '../support/pair-process.ts';
import { accessLog, adminPage, runSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const folder = testFolder('threads');
after(() => rmSync(folder, { recursive: true, force: true }));

const main = fileURLToPath(new URL('../../sidecar/main.ts', import.meta.url));
const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning', main];

interface Made {
  readonly text: string;
  readonly port: number;
  readonly adminPort: number;
}

async function single(applicationPort: number, fields: JsonObject = {}): Promise<Made> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const text = bootstrap({
    id: 'threads',
    adminPort,
    listeners: [
      httpListener({
        name: 'outbound',
        at: { ip: '127.0.0.1', port },
        direction: 'OUTBOUND',
        routes: [route('any', '/', 'application', { timeout: '60s' })],
      }),
    ],
    clusters: [cluster({ name: 'application', endpoints: [{ ip: '127.0.0.1', port: applicationPort }], fields })],
  });
  return { text, port, adminPort };
}

async function started(t: TestContext, made: Made, ...more: readonly string[]): Promise<Program> {
  const program = runSidecar(folder, made.text, ...more);
  t.after(() => program.stop());
  await program.until('serving', () => program.stderr.includes(' serving '));
  return program;
}

/** Under limits that a shell sets. */
async function limited(t: TestContext, made: Made, prelude: string): Promise<Program> {
  const file = join(folder, `limited-${made.port}.json`);
  writeFileSync(file, made.text);
  const program = new Program('bash', ['-c', `${prelude}; exec "$@"`, 'bash', process.execPath, ...flags, '-c', file]);
  t.after(() => program.stop());
  await program.until('serving', () => program.stderr.includes(' serving '));
  return program;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** On a connection of its own unless an agent is given; status 0 when there was no answer. */
function get(port: number, agent: Agent | false = false, path = '/'): Promise<Answer> {
  return new Promise((resolve) => {
    const sent = httpRequest({ port, host: '127.0.0.1', agent, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', () => resolve({ status: 0, text }));
    });
    sent.on('error', (error) => resolve({ status: 0, text: error.message }));
    sent.end();
  });
}

const okOrigin = async (t: TestContext): Promise<RawOrigin> => {
  const origin = await RawOrigin.start(answerOk);
  t.after(() => origin.close());
  return origin;
};

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });

const metric = (text: string, start: string): number =>
  text
    .split('\n')
    .filter((line) => line.startsWith(start))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);

describe('two data threads', () => {
  test('serve together: what they count, log and list is one', async (t) => {
    const origin = await okOrigin(t);
    const made = await single(origin.port);
    const program = await started(t, made, '--concurrency', '2');
    const answers = await Promise.all(Array.from({ length: 60 }, () => get(made.port)));
    assert.deepEqual(
      answers.filter(({ status }) => status !== 200),
      [],
    );
    await waitFor('60 lines of the access log', () => (accessLog(program).length === 60 ? true : undefined));
    const { text } = await adminPage(made.adminPort, '/stats/prometheus');
    assert.equal(metric(text, 'weft_requests_total{'), 60);
    assert.equal(metric(text, 'weft_connections_opened_total{direction="outbound"}'), 60);
    assert.equal(text.split('\n').filter((line) => line.startsWith('weft_requests_total{')).length, 1);
    const open = Array.from({ length: 20 }, () => connect(made.port, '127.0.0.1'));
    t.after(() => {
      for (const socket of open) socket.destroy();
    });
    await waitFor('20 connections', async () => {
      const { text } = await adminPage(made.adminPort, '/stats?filter=^listener');
      return text === `listener.127.0.0.1_${made.port}.downstream_cx_active: 20\n` ? true : undefined;
    });
    const clusters = (await adminPage(made.adminPort, '/clusters')).text;
    // Each thread has connections of its own, and at least one.
    const active = /::cx_active::(\d+)\n/.exec(clusters);
    assert.ok(Number(active?.[1]) >= 2, clusters);
    assert.match(clusters, /::rq_total::60\n/);
  });

  test('hold the limits of a cluster together', async (t) => {
    const held: ServerResponse[] = [];
    const origin = await httpOrigin((_request, response) => void held.push(response));
    t.after(() => origin.close());
    const limits = { thresholds: [{ max_requests: 3, max_connections: 100, max_pending_requests: 100 }] };
    const made = await single(origin.port, { circuit_breakers: limits });
    await started(t, made, '--concurrency', '2');
    const statuses: number[] = [];
    const all = Array.from({ length: 30 }, async () => {
      const { status } = await get(made.port);
      statuses.push(status);
    });
    await waitFor('what is beyond the limit to be refused', () => (statuses.length === 27 ? true : undefined));
    assert.deepEqual([...new Set(statuses)], [503]);
    await waitFor('the others at the application', () => (held.length === 3 ? true : undefined));
    for (const response of held) response.end('late');
    await Promise.all(all);
    assert.equal(statuses.filter((status) => status === 200).length, 3);
    const { text } = await adminPage(made.adminPort, '/stats/prometheus');
    assert.equal(metric(text, 'weft_events_total{event="cluster.requests.overflow"}'), 27);
  });

  test('drain together: what is under way is finished, and the process ends with 0', async (t) => {
    const held: ServerResponse[] = [];
    const origin = await httpOrigin((_request, response) => void held.push(response));
    t.after(() => origin.close());
    const made = await single(origin.port);
    const program = await started(t, made, '--concurrency', '2');
    const under = Array.from({ length: 10 }, () => get(made.port));
    await waitFor('ten requests at the application', () => (held.length === 10 ? true : undefined));
    program.child.kill('SIGTERM');
    await waitFor('nothing new to be taken', async () => ((await isOpen(made.port)) ? undefined : true));
    for (const response of held) response.end('done');
    assert.deepEqual(
      new Set((await Promise.all(under)).map(({ status, text }) => `${status} ${text}`)),
      new Set(['200 done']),
    );
    assert.equal(await program.exitCode(), 0, program.stderr);
    assert.equal(accessLog(program).filter(({ status }) => status === 200).length, 10);
  });

  test('say that an address is taken, also by a sidecar that would share it', async (t) => {
    const origin = await okOrigin(t);
    const made = await single(origin.port);
    await started(t, made, '--concurrency', '2');
    const text = made.text.replaceAll(String(made.adminPort), String(await freePort()));
    const second = runSidecar(folder, text, '--concurrency', '2');
    assert.equal(await second.exitCode(), 64);
    assert.match(second.stderr, /cannot listen on 127\.0\.0\.1:\d+: EADDRINUSE/);
  });

  test('a number of threads that makes no sense is refused', async () => {
    for (const wrong of ['0', '65', 'two', '1.5']) {
      const program = runSidecar(folder, '{}', '--concurrency', wrong);
      assert.equal(await program.exitCode(), 64);
      assert.match(program.stderr, /--concurrency is ".*", must be a whole number from 1 to 64/);
    }
  });

  test('an access log that nobody reads stops neither of them', async (t) => {
    const origin = await okOrigin(t);
    const made = await single(origin.port);
    const file = join(folder, 'unread.json');
    writeFileSync(file, made.text);
    const child = spawn(process.execPath, [...flags, '-c', file, '--concurrency', '2'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    await waitFor('serving', () => stderr.includes(' serving ') || undefined);
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    t.after(() => agent.destroy());
    // A pipe holds 64 KiB; these are some 2 MB of lines.
    for (let round = 0; round < 40; round++) {
      const answers = await Promise.all(Array.from({ length: 100 }, () => get(made.port, agent)));
      assert.ok(answers.every(({ status }) => status === 200));
    }
  });
});

/** Answers of a client that keeps its connection. */
class Kept {
  private readonly socket: Socket;
  private text = '';

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
    });
  }

  async status(): Promise<number> {
    this.text = '';
    this.socket.write('GET /kept HTTP/1.1\r\nHost: a\r\n\r\n');
    const text = await waitFor('an answer', () => (this.text.includes('\r\n\r\n') ? this.text : undefined));
    return Number(text.slice(9, 12));
  }

  destroy(): void {
    this.socket.destroy();
  }
}

describe('guards', () => {
  test('few descriptors left: new work is turned away, what is open goes on, and it recovers', async (t) => {
    const origin = await okOrigin(t);
    const made = await single(origin.port);
    const program = await limited(t, made, 'ulimit -n 200');
    const kept = new Kept(made.port);
    t.after(() => kept.destroy());
    assert.equal(await kept.status(), 200);
    const idle = Array.from({ length: 190 }, () => connect(made.port, '127.0.0.1').on('error', () => undefined));
    t.after(() => {
      for (const socket of idle) socket.destroy();
    });
    await waitFor('the guard', () => program.stderr.includes('overload: descriptors') || undefined);
    assert.equal((await get(made.port)).status, 0);
    assert.equal(await kept.status(), 503);
    const line = await waitFor('its record', () => accessLog(program).find(({ flags: flag }) => flag === 'OM'));
    assert.equal(line.status, 503);
    for (const socket of idle) socket.destroy();
    await waitFor('new work to be taken again', async () => ((await get(made.port)).status === 200 ? true : undefined));
    await waitFor(
      'the guard to say so',
      () => program.stderr.includes('overload: new work is taken again') || undefined,
    );
    assert.equal(await kept.status(), 200);
  });

  const groups = '/sys/fs/cgroup/memory';
  const skip =
    process.getuid?.() === 0 && existsSync(join(groups, 'memory.limit_in_bytes')) ? false : 'needs root and cgroup v1';

  test('little memory left in its group: shed, and recover with a wider limit', { skip }, async (t) => {
    const origin = await okOrigin(t);
    const made = await single(origin.port);
    const group = join(groups, `weft-test-${process.pid}`);
    mkdirSync(group);
    t.after(async () => {
      await waitFor('the group to be empty', () =>
        readFileSync(join(group, 'cgroup.procs'), 'utf8') === '' ? true : undefined,
      );
      rmdirSync(group);
    });
    writeFileSync(join(group, 'memory.limit_in_bytes'), String(1 << 30));
    const program = await limited(t, made, `echo $$ > ${join(group, 'cgroup.procs')}`);
    assert.equal((await get(made.port)).status, 200);
    // As the guard counts: what is cached of files is given back when it has to be.
    const heldBytes = (): number => {
      const cached = /^total_inactive_file (\d+)$/m.exec(readFileSync(join(group, 'memory.stat'), 'utf8'))?.[1];
      return Number(readFileSync(join(group, 'memory.usage_in_bytes'), 'utf8')) - Number(cached);
    };
    const kept = new Kept(made.port);
    t.after(() => kept.destroy());
    assert.equal(await kept.status(), 200);
    // In place, as a pod is resized: what the process has is now more than nine tenths of it, and not all but a little.
    writeFileSync(join(group, 'memory.limit_in_bytes'), String(Math.round(heldBytes() * 1.08)));
    await waitFor('the guard', () => program.stderr.includes('overload: memory') || undefined);
    assert.equal(await kept.status(), 503);
    writeFileSync(join(group, 'memory.limit_in_bytes'), String(1 << 30));
    await waitFor('new work to be taken again', async () => ((await get(made.port)).status === 200 ? true : undefined));
    assert.equal(await kept.status(), 200);
    await program.stop();
  });
});
