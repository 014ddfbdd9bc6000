/** Bounds of connections to port 15012, by real sockets: in all, of one address, and of such as never call. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { type Harness, signFor, startHarness } from '../testing/harness.ts';
import { shopObjects, shopTokens, web, webToken } from '../testing/shop.ts';
import { DeltaClient } from '../testing/xds-client.ts';
import type { ConnectionLimits } from './connection-gate.ts';

const account = { namespace: 'shop', serviceAccount: 'web' };
const closing: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

async function start(connections: Partial<ConnectionLimits>): Promise<Harness> {
  const harness = await startHarness({ objects: shopObjects, tokens: shopTokens, connections });
  closing.push(() => harness.stop());
  return harness;
}

/** Resolves when it is clear whether it stays: the server says nothing until it is spoken to. */
async function open(harness: Harness, localAddress: string): Promise<Socket> {
  const socket = connect({ port: harness.serving.xdsPort, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  closing.push(() => void socket.destroy());
  await new Promise<void>((resolve) => {
    for (const event of ['connect', 'close']) socket.once(event, () => resolve());
  });
  return socket;
}

const closed = async (socket: Socket): Promise<void> => {
  if (!socket.closed) await new Promise<void>((resolve) => void socket.once('close', () => resolve()));
};
const metric = async ({ serving }: Harness, pattern: RegExp): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${serving.monitoringPort}/metrics`)).text();
  return Number(pattern.exec(text)?.[1]);
};
const openNow = (harness: Harness) => metric(harness, /^weft_control_plane_connections (\d+)$/m);
const refused = (harness: Harness, bound: string) =>
  metric(harness, new RegExp(`^weft_control_plane_connections_refused_total\\{bound="${bound}"\\} (\\d+)$`, 'm'));

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const untilMs = Date.now() + 10_000; !(await holds()); ) {
    if (Date.now() > untilMs) assert.fail(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('connections to the port for xDS and certificates', () => {
  test('one address takes its share and no more; others are served, and there is room again when it lets go', async () => {
    const harness = await start({ connectionsPerAddressMax: 5 });
    const held = await Promise.all(Array.from({ length: 5 }, () => open(harness, '127.0.0.2')));
    await eventually('five', async () => (await openNow(harness)) === 5);
    for (const one of await Promise.all(Array.from({ length: 20 }, () => open(harness, '127.0.0.2'))))
      await closed(one);
    assert.equal(await refused(harness, 'address'), 20);
    const signed = await signFor(harness, webToken, account);
    assert.ok(signed.ok, 'from another address');
    assert.ok(held.every((socket) => !socket.closed));
    assert.equal(
      harness.auditLines.filter((line) => line.startsWith('connections refused')).length,
      1,
      'no flood of lines',
    );
    assert.match(harness.auditLines.join('\n'), /connections refused \{"source":"127\.0\.0\.2","limit":5/);
    for (const socket of held) socket.destroy();
    await eventually('none', async () => (await openNow(harness)) === 0);
    const again = await open(harness, '127.0.0.2');
    await eventually('one', async () => (await openNow(harness)) === 1);
    assert.ok(!again.closed);
  });

  test('in all there are so many; streams that are open go on', async () => {
    const harness = await start({ connectionsMax: 6 });
    const stream = DeltaClient.open(harness, webToken, web);
    closing.push(() => stream.close());
    stream.subscribe('listener', ['inbound']);
    const first = await stream.next();
    stream.ack('listener', first);
    const sockets: Socket[] = [];
    for (let i = 0; i < 12; i++) sockets.push(await open(harness, `127.0.1.${i + 1}`));
    await eventually('the refusals', async () => (await refused(harness, 'total')) === 7);
    assert.equal(await openNow(harness), 6);
    stream.subscribe('listener', ['outbound']);
    assert.equal((await stream.next()).resources.length, 1);
    for (const socket of sockets) socket.destroy();
    await eventually('room', async () => (await openNow(harness)) === 1);
    assert.ok((await signFor(harness, webToken, account)).ok);
  });

  test('one that speaks HTTP/2 and never calls ends; one with a stream does not', async () => {
    const harness = await start({ idleMsMax: 300 });
    const stream = DeltaClient.open(harness, webToken, web);
    closing.push(() => stream.close());
    stream.subscribe('listener', ['inbound']);
    stream.ack('listener', await stream.next());
    const idle = connectHttp2(`https://${harness.address}`, {
      ca: harness.authority.trustBundlePem,
      servername: 'weft-control-plane.weft-system.svc',
    });
    idle.on('error', () => undefined);
    await once(idle, 'connect');
    await once(idle, 'close');
    await eventually('one left', async () => (await openNow(harness)) === 1);
    stream.subscribe('listener', ['outbound']);
    assert.equal((await stream.next()).resources.length, 1);
  });
});
