import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { copyLanded, readInto } from './read.ts';

const MEGABYTE = 1_048_576;

/** Copies what is lent, as a codec has to. */
class Collector {
  readonly chunks: Buffer[] = [];
  readonly borrowed: boolean[] = [];
  bytes = 0;
  onChunk: (() => void) | undefined = undefined;

  onBytes(chunk: Buffer, borrowed: boolean): void {
    this.chunks.push(Buffer.from(chunk));
    this.borrowed.push(borrowed);
    this.bytes += chunk.length;
    this.onChunk?.();
  }

  until(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.bytes >= bytes) resolve();
      };
      this.onChunk = look;
      look();
    });
  }
}

describe('reading', () => {
  let server: Server;
  const accepted: Socket[] = [];

  before(async () => {
    server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => undefined);
      accepted.push(socket);
      server.emit('taken');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  after(() => {
    for (const socket of accepted) socket.destroy();
    server.close();
  });

  async function pair(): Promise<{ client: Socket; socket: Socket }> {
    const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true });
    client.on('error', () => undefined);
    await once(server, 'taken');
    const socket = accepted.at(-1);
    assert.ok(socket);
    return { client, socket };
  }

  test('all bytes come, lent, and then the end', async () => {
    const { client, socket } = await pair();
    const sink = new Collector();
    readInto(socket, sink);
    socket.resume();
    const sent = Buffer.alloc(MEGABYTE);
    for (let i = 0; i < sent.length; i++) sent[i] = i % 251;
    client.end(sent);
    await once(socket, 'end');
    assert.ok(Buffer.concat(sink.chunks).equals(sent));
    assert.ok(sink.borrowed.every((lent) => lent));
  });

  test('two sockets take turns with the same memory', async () => {
    const [a, b] = [await pair(), await pair()];
    const [fromA, fromB] = [new Collector(), new Collector()];
    readInto(a.socket, fromA);
    readInto(b.socket, fromB);
    a.socket.resume();
    b.socket.resume();
    for (let i = 0; i < 50; i++) {
      a.client.write('a'.repeat(100));
      b.client.write('b'.repeat(200));
    }
    await Promise.all([fromA.until(5_000), fromB.until(10_000)]);
    assert.equal(Buffer.concat(fromA.chunks).toString(), 'a'.repeat(5_000));
    assert.equal(Buffer.concat(fromB.chunks).toString(), 'b'.repeat(10_000));
  });

  test('nothing is read while it is paused', async () => {
    const { client, socket } = await pair();
    const sink = new Collector();
    readInto(socket, sink);
    socket.resume();
    client.write('one');
    await sink.until(3);
    socket.pause();
    client.write('two');
    // The echo comes after whatever the server had read by then.
    const other = await pair();
    other.client.end();
    other.socket.resume();
    await once(other.socket, 'end');
    assert.equal(sink.bytes, 3);
    socket.resume();
    await sink.until(6);
    assert.equal(Buffer.concat(sink.chunks).toString(), 'onetwo');
  });

  test('what brings bytes comes straight from the handle, the end by the listener of the runtime', async () => {
    const { client, socket } = await pair();
    const handle: unknown = Reflect.get(socket, '_handle');
    assert.ok(typeof handle === 'object' && handle !== null);
    const own: unknown = Reflect.get(handle, 'onread');
    assert.ok(typeof own === 'function');
    let told = 0;
    Reflect.set(handle, 'onread', (...rest: unknown[]): unknown => {
      told++;
      return Reflect.apply(own, handle, rest);
    });
    const sink = new Collector();
    readInto(socket, sink);
    socket.resume();
    client.write('one');
    await sink.until(3);
    client.write('two');
    await sink.until(6);
    assert.equal(told, 0);
    client.end();
    await once(socket, 'end');
    assert.ok(told > 0);
    assert.equal(Buffer.concat(sink.chunks).toString(), 'onetwo');
  });

  test('who reads from a socket after somebody else gets what comes from then on, and its end', async () => {
    const { client, socket } = await pair();
    const [first, second] = [new Collector(), new Collector()];
    readInto(socket, first);
    socket.resume();
    client.write('one');
    await first.until(3);
    readInto(socket, second);
    client.write('two');
    await second.until(3);
    client.end();
    await once(socket, 'end');
    assert.deepEqual(
      [first, second].map(({ chunks }) => Buffer.concat(chunks).toString()),
      ['one', 'two'],
    );
  });

  test('what had been read before comes first, and is not lent', async () => {
    const { client, socket } = await pair();
    const sink = new Collector();
    socket.unshift(Buffer.from('first '));
    readInto(socket, sink);
    socket.resume();
    await sink.until(6);
    client.write('second');
    await sink.until(12);
    assert.equal(Buffer.concat(sink.chunks).toString(), 'first second');
    assert.deepEqual(sink.borrowed, [false, true]);
  });

  test('a stream that is no socket gives its chunks', async () => {
    const sink = new Collector();
    const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    readInto(stream, sink);
    stream.push('bytes');
    await sink.until(5);
    assert.deepEqual(sink.borrowed, [false]);
  });

  test('a read within another ends both connections', async () => {
    const [a, b] = [await pair(), await pair()];
    const inner = new Collector();
    readInto(b.socket, inner);
    const symbol = Object.getOwnPropertySymbols(b.socket).find(({ description }) => description === 'kBufferCb');
    assert.ok(symbol);
    const read: unknown = Reflect.get(b.socket, symbol);
    assert.ok(typeof read === 'function');
    readInto(a.socket, { onBytes: () => void Reflect.apply(read, b.socket, [3]) });
    a.socket.resume();
    a.client.write('bytes');
    await Promise.all([once(a.socket, 'close'), once(b.socket, 'close')]);
    assert.equal(inner.bytes, 0);
  });

  test('nor is what was read within another copied', async () => {
    const [a, b] = [await pair(), await pair()];
    let copied: Buffer | undefined = Buffer.alloc(0);
    readInto(a.socket, {
      onBytes: () => {
        copied = copyLanded(b.socket, 3);
      },
    });
    a.socket.resume();
    a.client.write('bytes');
    await Promise.all([once(a.socket, 'close'), once(b.socket, 'close')]);
    assert.equal(copied, undefined);
  });
});
