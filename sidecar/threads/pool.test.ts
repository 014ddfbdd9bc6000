import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { describe, test } from 'node:test';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import { SLOTS, SlotShare } from '../cluster/shared-slots.ts';
import { testCluster } from '../filters/testing.ts';
import type { Change } from '../xds/table-source.ts';
import { ThreadPool } from './pool.ts';
import type { DataThreadSetup, ToData } from './protocol.ts';
import type { ThreadEvents } from './worker.ts';

/** A thread that does what the test says. */
class FakeThread {
  readonly setup: DataThreadSetup;
  readonly events: ThreadEvents;
  readonly received: ToData[] = [];

  constructor(setup: DataThreadSetup, events: ThreadEvents) {
    this.setup = setup;
    this.events = events;
  }

  up(): void {
    this.applied(this.setup.version);
    this.events.onMessage({ kind: 'listening' });
  }

  applied(version: number, error?: string): void {
    this.events.onMessage({ kind: 'applied', version, error });
  }

  die(reason = 'boom'): void {
    this.events.onEnd(reason);
  }

  of<K extends ToData['kind']>(kind: K): Extract<ToData, { readonly kind: K }>[] {
    return this.received.filter((message): message is Extract<ToData, { readonly kind: K }> => message.kind === kind);
  }
}

const cluster = testCluster('shop', {});
const upsert: Change = { kind: 'cluster', name: 'shop', entry: { value: cluster } };

function make() {
  const clock = new ManualClock();
  const started: FakeThread[] = [];
  const known: Change[] = [];
  const wanted: string[] = [];
  const counted: string[] = [];
  const lines: string[] = [];
  const fatal: string[] = [];
  const pool = new ThreadPool({
    threads: 2,
    startThread: (setup, events) => {
      const thread = new FakeThread(setup, events);
      started.push(thread);
      return { post: (message) => thread.received.push(message), kill: (reason) => thread.die(reason) };
    },
    listenerNames: ['in'],
    ownIps: [],
    bootstrap: undefined,
    everything: () => known,
    want: (kind, name) => wanted.push(`${kind} ${name}`),
    onSpan: () => undefined,
    ownMetrics: () => '# TYPE own counter\nown 1\n',
    count: (event) => counted.push(event),
    log: (line) => lines.push(line),
    clock,
    onFatal: (reason) => fatal.push(reason),
  });
  const thread = (at: number): FakeThread => started.at(at) ?? assert.fail(`thread ${at} was not started`);
  return { clock, pool, started, thread, known, wanted, counted, lines, fatal };
}

async function running() {
  const made = make();
  const up = made.pool.start();
  made.thread(0).up();
  made.thread(1).up();
  assert.ok((await up).ok);
  return made;
}

describe('thread pool', () => {
  test('has started when all listen, and not when one cannot', async () => {
    const { pool, thread } = make();
    let result: boolean | undefined;
    const up = pool.start().then(({ ok }) => {
      result = ok;
    });
    thread(0).up();
    await Promise.resolve();
    assert.equal(result, undefined);
    thread(1).events.onMessage({ kind: 'failed', reason: 'EADDRINUSE' });
    await up;
    assert.equal(result, false);
  });

  test('a version is settled when every thread has applied it, in order, with all errors', async () => {
    const { pool, thread } = await running();
    const settled: string[] = [];
    pool.publish([upsert]);
    pool.whenApplied((errors) => settled.push(`first ${errors.join()}`));
    pool.publish([upsert]);
    pool.whenApplied((errors) => settled.push(`second ${errors.join()}`));
    thread(0).applied(1);
    thread(0).applied(2, 'bad route');
    assert.equal(settled.length, 0);
    thread(1).applied(1);
    assert.deepEqual(settled, ['first ']);
    thread(1).applied(2);
    assert.deepEqual(settled, ['first ', 'second bad route']);
    pool.whenApplied((errors) => settled.push(`nothing open ${errors.join()}`));
    assert.equal(settled.at(-1), 'nothing open ');
  });

  test('a thread that dies is not waited for, and its successor begins with what is newest', async () => {
    const { clock, pool, thread, known, counted, lines, started } = await running();
    pool.adopt({
      spiffeId: 'spiffe://a/b' as SpiffeId,
      notBeforeUnixMs: 0,
      notAfterUnixMs: 1,
      serialHex: '',
      chainPem: '',
      key: createSecretKey(Buffer.alloc(32)),
      trustPem: '',
      generation: 7,
      ticketKeys: new Uint8Array(48),
    });
    pool.retire('in');
    known.push(upsert);
    pool.publish([upsert]);
    let settled = 0;
    pool.whenApplied(() => settled++);
    thread(0).applied(1);
    thread(1).die('out of luck');
    assert.equal(settled, 1);
    assert.deepEqual(counted, ['data_thread_ended']);
    assert.match(lines[0] ?? '', /data thread 1 ended: out of luck; started again in 100 ms/);
    assert.equal(started.length, 2);
    clock.advance(100);
    const { setup } = thread(2);
    assert.equal(setup.index, 1);
    assert.equal(setup.version, 1);
    assert.deepEqual(setup.changes, [upsert]);
    assert.deepEqual(setup.retired, ['in']);
    assert.equal(setup.certificate?.generation, 7);
    assert.ok(setup.clusterBlocks.some(([name]) => name === 'shop'));
  });

  test('what a dead thread had under way is given back', async () => {
    const { pool, thread } = await running();
    pool.publish([upsert]);
    const block = thread(0).of('changes')[0]?.clusterBlocks[0]?.[1] ?? assert.fail();
    const shares = [new SlotShare(block, 0), new SlotShare(block, 1)] as const;
    shares[0].set(SLOTS.requests, 3);
    shares[1].set(SLOTS.requests, 4);
    thread(1).die();
    assert.equal(shares[0].total(SLOTS.requests), 3);
  });

  test('a cluster keeps its block while it changes, and gets another one when it comes back', async () => {
    const { pool, thread } = await running();
    pool.publish([upsert]);
    pool.publish([{ ...upsert, entry: { value: { ...cluster, connectTimeoutMs: 5 } } }]);
    pool.publish([{ kind: 'cluster', name: 'shop', entry: { absent: true } }]);
    pool.publish([upsert]);
    const blocks = thread(0)
      .of('changes')
      .map(({ clusterBlocks }) => clusterBlocks[0]?.[1]);
    assert.ok(blocks[0] instanceof SharedArrayBuffer && blocks[3] instanceof SharedArrayBuffer);
    assert.equal(blocks[1], undefined);
    assert.equal(blocks[2], undefined);
    assert.notEqual(blocks[0], blocks[3]);
  });

  test('one that does not apply in time counts as dead', async () => {
    const { clock, pool, thread, lines } = await running();
    pool.publish([upsert]);
    let settled = 0;
    pool.whenApplied(() => settled++);
    thread(0).applied(1);
    clock.advance(30_000);
    assert.equal(settled, 1);
    assert.match(lines[0] ?? '', /did not apply the configuration in time/);
  });

  test('starts back off, and the process is given up when one fails again and again', async () => {
    const { clock, thread, fatal, started } = await running();
    thread(1).die();
    const delays: number[] = [];
    for (let i = 0; i < 5; i++) {
      const before = started.length;
      let waitedMs = 0;
      while (started.length === before && waitedMs < 10_000) {
        clock.advance(50);
        waitedMs += 50;
      }
      delays.push(waitedMs);
      thread(-1).die('cannot be loaded');
    }
    assert.deepEqual(delays, [100, 200, 400, 800, 1_600]);
    assert.deepEqual(fatal, ['data thread 1 cannot be started: cannot be loaded']);
  });

  test('a name that a thread needs is asked for', async () => {
    const { thread, wanted } = await running();
    thread(1).events.onMessage({ kind: 'want', resource: 'address', name: '10.0.0.1' });
    assert.deepEqual(wanted, ['address 10.0.0.1']);
  });

  test('metrics are the sum, and what a thread last said outlives it; a silent thread is left out in time', async () => {
    const { clock, pool, thread, counted } = await running();
    const answer = (at: number, value: string): void => {
      const id = thread(at).of('ask').at(-1)?.id ?? assert.fail();
      thread(at).events.onMessage({ kind: 'answer', id, value });
    };
    const first = pool.metrics();
    answer(0, '# TYPE n counter\nn 2\n# TYPE g gauge\ng 1\n');
    answer(1, '# TYPE n counter\nn 3\n# TYPE g gauge\ng 1\n');
    assert.equal(await first, '# TYPE own counter\nown 1\n# TYPE n counter\nn 5\n# TYPE g gauge\ng 2\n');
    thread(1).die();
    const second = pool.metrics();
    answer(0, '# TYPE n counter\nn 4\n# TYPE g gauge\ng 1\n');
    assert.match(await second, /\nn 7\n[\s\S]*g 1\n/);
    const third = pool.metrics();
    clock.advance(2_000);
    assert.match(await third, /\nn 3\n/);
    assert.deepEqual(counted, ['data_thread_ended', 'data_thread_silent']);
  });

  test('drains all, waits for no longer than its bound, and starts nothing again', async () => {
    const { clock, pool, thread, started } = await running();
    let drained = false;
    const wait = pool.drain(1_000).then(() => {
      drained = true;
    });
    thread(0).events.onMessage({ kind: 'drained' });
    await Promise.resolve();
    assert.equal(drained, false);
    thread(1).die();
    await wait;
    clock.advance(60_000);
    assert.equal(started.length, 2);
    const closed = pool.close();
    assert.equal(thread(0).of('close').length, 1);
    thread(0).die('ended');
    await closed;
  });
});
