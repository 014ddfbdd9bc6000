import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { listenSecure, SHARED_KEY, SHARED_KEY_TAKEN } from './shared-key.testing.ts';
import { SocketWriter } from './write.ts';

const MEGABYTE = 1_048_576;

type Kind = 'plaintext' | 'TLS';

class Pairs {
  private readonly server: Server;
  private readonly sockets: Socket[] = [];
  private readonly kind: Kind;

  constructor(kind: Kind) {
    this.kind = kind;
    const options = { allowHalfOpen: true, noDelay: true };
    this.server = kind === 'TLS' ? createTlsServer({ ...SHARED_KEY_TAKEN, ...options }) : createServer(options);
    this.server.on(kind === 'TLS' ? 'secureConnection' : 'connection', (socket: Socket | TLSSocket) => {
      this.keep(socket);
      this.server.emit('taken', socket);
    });
  }

  async listen(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  /** `here` writes, `there` reads when it is told to. */
  async make(): Promise<{ here: Socket; there: Socket }> {
    const taken = once(this.server, 'taken');
    const { port } = this.server.address() as AddressInfo;
    const there =
      this.kind === 'TLS'
        ? connectTls({ ...SHARED_KEY, port, host: '127.0.0.1', checkServerIdentity: () => undefined })
        : connect({ port, host: '127.0.0.1' });
    this.keep(there);
    const [here] = await taken;
    return { here, there };
  }

  private keep(socket: Socket): void {
    socket.on('error', () => undefined);
    this.sockets.push(socket);
  }
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Bytes that are lent are overwritten as soon as they are free. */
function lend(writer: SocketWriter, bytes: Buffer): void {
  const lent = Buffer.from(bytes);
  if (writer.lend(lent)) lent.fill(0xee);
}

function saysTheSame(writer: SocketWriter, socket: Socket): void {
  assert.equal(writer.full, socket.writableNeedDrain);
  assert.equal(writer.shut, socket.destroyed || socket.writableEnded);
}

for (const kind of ['plaintext', 'TLS'] as const) {
  describe(`writing past the stream, ${kind}`, () => {
    const pairs = new Pairs(kind);
    before(() => pairs.listen());
    after(() => pairs.close());

    test('what is written in whichever way arrives as it was, in its order, to a slow reader too', async () => {
      const step = fc.record({
        way: fc.constantFrom('lend', 'give', 'text', 'stream', 'corked', 'turn'),
        bytes: fc.oneof(
          fc.uint8Array({ minLength: 1, maxLength: 40 }),
          fc.integer({ min: 20_000, max: 400_000 }).map((size) => randomBytes(size)),
        ),
      });
      const property = fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const { here, there } = await pairs.make();
        const writer = new SocketWriter(here);
        const expected: Buffer[] = [];
        for (const { way, bytes } of steps) {
          const octets = Buffer.from(bytes);
          if (way === 'turn') {
            await new Promise((resolve) => setImmediate(resolve));
            continue;
          }
          expected.push(octets);
          if (way === 'lend') lend(writer, octets);
          else if (way === 'give') writer.give(octets);
          else if (way === 'text') writer.text(octets.toString('latin1'));
          else if (way === 'stream') here.write(octets);
          else {
            here.cork();
            writer.give(octets);
            here.uncork();
            saysTheSame(writer, here);
          }
        }
        here.end();
        assert.ok((await readAll(there)).equals(Buffer.concat(expected)));
        there.destroy();
      });
      await fc.assert(property, { numRuns: 25 });
    });

    test('a reader that stops is seen as by the stream, and what waits leaves when it goes on', async () => {
      const { here, there } = await pairs.make();
      const writer = new SocketWriter(here);
      const bytes = randomBytes(MEGABYTE);
      let count = 0;
      for (; count < 64 && !here.writableNeedDrain; count++) lend(writer, bytes);
      assert.ok(here.writableNeedDrain, 'the stream knows that it is full');
      assert.ok(here.writableLength > 0);
      const drained = once(here, 'drain');
      const read = readAll(there);
      await drained;
      assert.equal(here.writableLength, 0);
      lend(writer, bytes);
      here.end();
      assert.equal((await read).length, (count + 1) * MEGABYTE);
    });

    test('an end of the stream is seen, and that it was destroyed', async () => {
      for (const stop of ['end', 'destroy'] as const) {
        const { here, there } = await pairs.make();
        there.resume();
        const writer = new SocketWriter(here);
        writer.text('before');
        saysTheSame(writer, here);
        here[stop]();
        assert.equal(writer.shut, true);
        saysTheSame(writer, here);
        here.destroy();
        there.destroy();
      }
    });

    test('a write that cannot be made ends the socket with its error', async () => {
      const { here, there } = await pairs.make();
      const writer = new SocketWriter(here);
      lend(writer, Buffer.from('first'));
      const closed = new Promise((resolve) => here.on('close', resolve));
      const failed = once(here, 'error');
      there.destroy();
      const write = (): void => {
        if (here.destroyed) return;
        lend(writer, Buffer.from('more'));
        setImmediate(write);
      };
      write();
      const [error] = await failed;
      await closed;
      assert.match(String(error), /EPIPE|ECONNRESET/);
      writer.text('nobody hears this');
      assert.equal(here.destroyed, true);
    });

    test('a write that fails at once is told after it, as by the stream', async () => {
      const { here, there } = await pairs.make();
      // Written by the stream, which is done with it.
      await new Promise((resolve) => here.write('unread', () => resolve(undefined)));
      const closed = new Promise((resolve) => here.on('close', resolve));
      // What was not read makes it a reset, which nobody here has been told of.
      there.destroy();
      const writer = new SocketWriter(here);
      for (let i = 0; i < 3; i++) lend(writer, Buffer.from('more'));
      assert.equal(here.destroyed, false);
      await closed;
      assert.equal(here.writableLength, 0);
    });

    test('who waits for the end of a socket that is destroyed during a write hears of it', async () => {
      const { here } = await pairs.make();
      const writer = new SocketWriter(here);
      writer.give(randomBytes(100));
      const ended = new Promise((resolve) => here.end((error?: Error) => resolve(error)));
      here.destroy();
      assert.ok((await ended) instanceof Error);
    });

    test('the end of the stream waits for what is under way', async () => {
      const { here, there } = await pairs.make();
      const writer = new SocketWriter(here);
      const bytes = randomBytes(8 * MEGABYTE);
      writer.give(bytes);
      here.end();
      const finished = once(here, 'finish');
      assert.ok((await readAll(there)).equals(bytes));
      await finished;
    });
  });
}

test('a small write to an idle socket leaves without its stream', async () => {
  const pairs = new Pairs('plaintext');
  await pairs.listen();
  const { here, there } = await pairs.make();
  here.write = () => assert.fail('the stream was asked');
  const writer = new SocketWriter(here);
  assert.equal(writer.lend(Buffer.from('lent, ')), true);
  writer.give(Buffer.from('given, '));
  writer.text('told');
  here.end();
  assert.equal(String(await readAll(there)), 'lent, given, told');
  pairs.close();
});

test('so does one to a TLS socket that was made of an accepted one', async () => {
  const { port, taken, close } = await listenSecure();
  const there = connectTls({ ...SHARED_KEY, port, host: '127.0.0.1', checkServerIdentity: () => undefined });
  const here = await taken;
  here.write = () => assert.fail('the stream was asked');
  new SocketWriter(here).text('told');
  here.end();
  assert.equal(String(await readAll(there)), 'told');
  close();
});

test('the end of a write is no affair of the stream, unless something was asked of that', async (context) => {
  const pairs = new Pairs('TLS');
  await pairs.listen();
  const { here, there } = await pairs.make();
  const state = Reflect.get(here, '_writableState');
  const ended = context.mock.method(state, 'onwrite');
  const writer = new SocketWriter(here);
  // The first settles bits that only a stream which has never written has.
  writer.text('first, ');
  for (const text of ['second, ', 'third, ']) {
    assert.ok(writer.backlogBytes > 0);
    while (writer.backlogBytes > 0) await new Promise((resolve) => setImmediate(resolve));
    writer.text(text);
  }
  assert.equal(ended.mock.callCount(), 0);
  here.write('through the stream, ');
  here.end('last');
  assert.equal(String(await readAll(there)), 'first, second, third, through the stream, last');
  assert.equal(here.writableLength, 0);
  assert.ok(ended.mock.callCount() > 0);
  pairs.close();
});

test('a write to a TLS socket that fails unheard is told to the next who writes', async () => {
  const pairs = new Pairs('TLS');
  await pairs.listen();
  const { here } = await pairs.make();
  const writer = new SocketWriter(here);
  writer.text('unheard');
  // As the runtime does when the other side is gone.
  const unheard = Reflect.get(Reflect.get(writer, 'way'), 'unheard');
  while (unheard.writeStatus === null) await new Promise((resolve) => setImmediate(resolve));
  unheard.writeStatus = -32;
  const failed = once(here, 'error');
  writer.text('not any more');
  assert.equal(here.destroyed, false);
  const [error] = await failed;
  assert.match(String(error), /EPIPE/);
  assert.equal(here.destroyed, true);
  pairs.close();
});

for (const how of ['has ended its side', 'is not read just now'] as const) {
  test(`a peer that ${how} and is gone is seen by the write that fails`, async () => {
    const { port, taken, close } = await listenSecure();
    const raw = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const there = connectTls({ ...SHARED_KEY, socket: raw, checkServerIdentity: () => undefined });
    there.on('error', () => undefined);
    const here = await taken;
    here.resume();
    there.pause();
    const writer = new SocketWriter(here);
    // Looked at before its reads end.
    writer.text('first');
    while (writer.backlogBytes > 0) await new Promise((resolve) => setImmediate(resolve));
    // Nobody there takes anything from here on, so that writes stay under way.
    raw.pause();
    const handle = Reflect.get(raw, '_handle');
    if (how === 'has ended its side') {
      const ended = once(here, 'end');
      there.end();
      await ended;
    } else {
      here.pause();
    }
    handle.readStop();
    const failed = once(here, 'error');
    do {
      writer.give(Buffer.alloc(30_000));
      for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
    } while (writer.backlogBytes === 0);
    raw.resetAndDestroy();
    await failed;
    assert.equal(here.destroyed, true);
    close();
  });
}

test('a write of nothing that is under way is waited for', async () => {
  const pairs = new Pairs('TLS');
  await pairs.listen();
  const { here, there } = await pairs.make();
  here.write('');
  new SocketWriter(here).text('after nothing');
  here.end();
  assert.equal(String(await readAll(there)), 'after nothing');
  pairs.close();
});

test('a stream that is no socket is written to as such', async () => {
  const stream = new PassThrough();
  const writer = new SocketWriter(stream);
  const lent = Buffer.from('lent, ');
  assert.equal(writer.lend(lent), true);
  lent.fill(0);
  writer.give(Buffer.from('given, '));
  writer.text('t\xf6ld');
  stream.end();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString('latin1'), 'lent, given, t\xf6ld');
});

test('where the runtime keeps its state elsewhere, the stream writes', async (context) => {
  const pairs = new Pairs('plaintext');
  await pairs.listen();
  const { here, there } = await pairs.make();
  // An instance of its own, which has not looked yet.
  const other: typeof import('./write.ts') = await import(`./write.ts?${'elsewhere'}`);
  const symbolsOf = Object.getOwnPropertySymbols;
  const hidden = context.mock.method(Object, 'getOwnPropertySymbols', (object: object) =>
    symbolsOf(object).filter(({ description }) => description !== 'kState'),
  );
  const write = context.mock.method(here, 'write');
  const writer = new other.SocketWriter(here);
  const lent = Buffer.from('lent, ');
  assert.equal(writer.lend(lent), true);
  hidden.mock.restore();
  lent.fill(0);
  writer.give(Buffer.from('given, '));
  writer.text('t\xf6ld');
  assert.equal(write.mock.callCount(), 3);
  here.end();
  assert.equal((await readAll(there)).toString('latin1'), 'lent, given, t\xf6ld');
  pairs.close();
});
