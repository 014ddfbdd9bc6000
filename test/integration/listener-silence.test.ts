/** How long a client that says nothing is waited for: as long as it takes where it has to speak first, briefly where its server may. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { anyTraffic } from '@weft/policies/model/listener';
import { chain, http, listener, plaintext, type Rig, startRig, tcp } from './listener-rig.fixture.ts';

describe('silent clients', () => {
  let greeter: Server;
  let rig: Rig;
  const timeouts = (): number => rig.recorder.events.filter((event) => event === 'listener.detect_timeout').length;
  before(async () => {
    greeter = createServer((socket) => {
      socket.write('220 ready\r\n');
      socket.on('data', (bytes) => socket.end(`heard ${bytes.toString('latin1').split(' ', 1)[0]}\r\n`));
      socket.on('error', () => undefined);
    });
    greeter.listen(0, '127.0.0.1');
    await once(greeter, 'listening');
    const address = greeter.address();
    assert.ok(address !== null && typeof address === 'object');
    const tls = chain(tcp('greeter'), { match: { ...anyTraffic, transportProtocol: 'tls' } });
    const plain = (terminal: Parameters<typeof chain>[0]) =>
      chain(terminal, { match: { ...anyTraffic, transportProtocol: 'raw_buffer' } });
    const ofPort = (name: string, ...filterChains: readonly ReturnType<typeof chain>[]) =>
      listener(name, { detectTls: true, detectTimeoutMs: 50, filterChains });
    rig = await startRig({
      clusters: { greeter: { address: { ip: '127.0.0.1', port: address.port }, security: plaintext } },
      listeners: [
        ofPort('bytes', tls, plain(tcp('greeter'))),
        ofPort('http', tls, plain(http('greeter'))),
        ofPort('strict', tls),
        { ...ofPort('closing', tls, plain(tcp('greeter'))), closesUndetected: true },
        { ...ofPort('patient', tls, plain(tcp('greeter'))), closesUndetected: true, detectTimeoutMs: 10_000 },
      ],
    });
  });
  after(() => {
    rig?.manager.close();
    greeter.close();
  });

  test('a port of opaque bytes: the server may speak first', async () => {
    const socket = connect(rig.port('bytes'), '127.0.0.1');
    const [greeting] = await once(socket, 'data');
    assert.equal(String(greeting), '220 ready\r\n');
    socket.destroy();
  });

  for (const beginning of ['', '\x16\x03\x01']) {
    test(`a listener that closes what does not tell in time what it is: ${beginning.length} bytes`, async () => {
      const socket = connect(rig.port('closing'), '127.0.0.1');
      socket.write(beginning, 'latin1');
      const heard: Buffer[] = [];
      socket.on('data', (bytes: Buffer) => heard.push(bytes)).on('error', () => undefined);
      await once(socket, 'close');
      assert.deepEqual(heard, []);
      assert.equal(rig.recorder.records.at(-1)?.flag, 'SI');
    });
  }

  test('a listener that closes takes who tells in time', async () => {
    const socket = connect(rig.port('patient'), '127.0.0.1');
    socket.write('hello there\r\n');
    const [greeting] = await once(socket, 'data');
    assert.match(String(greeting), /^220 ready/);
    socket.destroy();
  });

  for (const name of ['http', 'strict']) {
    test(`a port where the client speaks first (${name}): a late first flight is still what it is`, async () => {
      const counted = timeouts();
      const socket = connect(rig.port(name), '127.0.0.1');
      await once(socket, 'connect');
      await new Promise((resolve) => setTimeout(resolve, 250));
      // A ClientHello of TLS 1.3, cut to the least that is one: record, handshake, version, random, no session, one suite.
      const hello = Buffer.from(`160301002d010000290303${'00'.repeat(32)}00000213010100`, 'hex');
      socket.write(hello);
      const [greeting] = await once(socket, 'data');
      assert.match(String(greeting), /^220 ready/, 'it went the way of TLS');
      assert.equal(timeouts(), counted);
      socket.destroy();
    });
  }
});
