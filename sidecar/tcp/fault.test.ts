import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { systemClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { TcpFault } from '@weft/policies/model/fault';
import { always } from '@weft/policies/model/fraction';
import { TcpFaults } from '../cluster/tcp-fault.ts';
import { testCluster, testEndpoint, World } from '../filters/testing.ts';
import { TestRecorder } from '../http/h1/testing.ts';
import { deadlinesOf } from '../net/deadlines.ts';
import { Relay } from './relay.ts';

const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, onConnection);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A relay between a client and an echo server over real sockets. */
async function echoThrough(bytes: number, rates: { readonly requestRate: number; readonly responseRate: number }) {
  const echo = await listen((socket) => socket.pipe(socket));
  let done: Promise<unknown> | undefined;
  const proxy = await listen((downstream) => {
    const upstream = connect({ port: echo, host: '127.0.0.1', allowHalfOpen: true });
    done = new Promise((resolve) => {
      new Relay(downstream, upstream, {
        firstBytes: undefined,
        idleTimeoutMs: 10_000,
        clock: systemClock,
        deadlines: deadlinesOf(systemClock),
        rates,
        onEnd: resolve,
      });
    });
  });
  const client = connect(proxy, '127.0.0.1');
  const startMs = performance.now();
  client.end(Buffer.alloc(bytes, 'x'));
  let received = 0;
  for await (const chunk of client) received += (chunk as Buffer).length;
  const tookMs = performance.now() - startMs;
  await done;
  return { received, tookMs };
}

describe('opaque bytes under a fault', () => {
  for (const rates of [
    { requestRate: 200, responseRate: 0 },
    { requestRate: 0, responseRate: 200 },
  ]) {
    test(`go no faster than ${JSON.stringify(rates)}, and all of them arrive`, async () => {
      const { received, tookMs } = await echoThrough(100 * 1024, rates);
      assert.equal(received, 100 * 1024);
      assert.ok(tookMs > 350, `${tookMs} ms`);
    });
  }

  const made = (fault: TcpFault) => {
    const world = new World();
    world.source.cluster(testCluster('db', { fault }));
    world.source.assignment('db', [testEndpoint('10.0.0.1', 5432)]);
    world.server('10.0.0.1', 5432);
    const results: string[] = [];
    const open = () =>
      world.clusters.forTcp.connect('db', { ip: '10.0.0.1', port: 5432 }, (result) => {
        results.push('error' in result ? result.error.flag : 'connected');
      });
    return { world, results, open };
  };

  test('wait before they are connected', () => {
    const { world, results, open } = made({ delay: { delayMs: 500, share: always } });
    open();
    open().cancel();
    world.clock.advance(499);
    assert.deepEqual([results.length, world.dials.length], [0, 0]);
    world.clock.advance(2);
    assert.deepEqual(results, ['connected']);
  });

  test('are reset in the place of a connection', () => {
    const { world, results, open } = made({ reset: { share: always } });
    open();
    assert.deepEqual([results, world.dials.length], [['FI'], 0]);
    assert.equal(world.count('fault.reset'), 1);
  });

  test('no more of them than the bound', () => {
    const recorder = new TestRecorder();
    const faults = new TcpFaults(new SeededPrng(1), recorder);
    const fault: TcpFault = { reset: { share: always }, activeMax: 1 };
    const first = faults.draw(fault);
    assert.equal(faults.draw(fault), undefined);
    first?.end();
    first?.end();
    assert.equal(faults.draw(fault)?.resets, true);
    assert.deepEqual(recorder.events, ['fault.reset', 'fault.overflow', 'fault.reset']);
  });
});
