/** grpc-js as client and as server through two sidecars, and against the Go peer each way. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { CertificateFolder } from '../support/certs.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';
import { goCalls, goPeers, startGoServer } from '../support/peers/go-peers.ts';
import { JsClient, type JsServer, startJsServer } from '../support/peers/grpc-js.ts';
import { type PeerPair, startPeerPair } from '../support/peers/pair.ts';
import { waitFor } from '../support/wait.ts';

/** `fromHttp2Headers` takes binary values as they are on the wire. */
const BINARY = Buffer.from('for -bin').toString('base64');

const folder = testFolder('peers-grpc-js');
let authority: CertificateFolder;

before(async () => {
  authority = await CertificateFolder.make(folder);
  await goPeers();
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function collect(stream: AsyncIterable<Buffer>): Promise<readonly Buffer[]> {
  const messages: Buffer[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

/** All that a client of grpc-js does, against any server of weft.test.Echo. */
function calls(client: () => JsClient): void {
  test('unary calls, one after the other and at once', async () => {
    for (let i = 0; i < 20; i++) assert.equal(String((await client().unary(Buffer.from(`${i}`))).value), `${i}`);
    const many = await Promise.all(Array.from({ length: 200 }, (_, i) => client().unary(Buffer.from(`${i}`))));
    assert.deepEqual(
      many.map(({ value }) => String(value)),
      Array.from({ length: 200 }, (_, i) => `${i}`),
    );
  });

  test('metadata, also binary', async () => {
    const { header, trailer } = await client().unary(Buffer.alloc(0), { 'x-bin': BINARY, 'x-text': 'plain' });
    assert.deepEqual(header.get('echo-bin').map(String), ['for -bin']);
    assert.deepEqual(trailer.get('echo-text'), ['plain']);
  });

  test('a status with a message that has to be encoded', async () => {
    await assert.rejects(client().unary(Buffer.alloc(0), { 'x-fail': '9' }), {
      code: status.FAILED_PRECONDITION,
      details: 'as asked: 100 % ü',
    });
  });

  test('4 MB there and back', async () => {
    const big = Buffer.alloc(4 << 20, 'abc');
    const { value } = await client().unary(big);
    assert.ok(value.equals(big), `${value.length} bytes`);
  });

  test('a deadline reaches the server; one that passes ends the call at both ends', async () => {
    const { header } = await client().unary(Buffer.alloc(0), {}, 30_000);
    const left = Number(header.get('x-left-ms')[0]);
    assert.ok(left <= 30_000 && left > 20_000, `${left} ms`);
    const cancelled = async (): Promise<number> =>
      Number((await client().unary(Buffer.alloc(0), { 'x-stats': '1' })).value);
    const before = await cancelled();
    await assert.rejects(client().unary(Buffer.alloc(0), { 'x-hang': '1' }, 200), { code: status.DEADLINE_EXCEEDED });
    await waitFor('the server to know', async () => ((await cancelled()) > before ? true : undefined));
  });

  test('a stream of the client', async () => {
    const answer = new Promise<string>((resolve, reject) => {
      const stream = client().clientStream((error, value) => (error === null ? resolve(String(value)) : reject(error)));
      for (let i = 0; i < 300; i++) stream.write(Buffer.alloc(1_000));
      stream.end();
    });
    assert.equal(await answer, '300 300000');
  });

  test('a stream of the server, and one that the client cancels', async () => {
    const messages = await collect(client().serverStream(300, 1_000));
    assert.equal(messages.length, 300);
    assert.ok(messages.every(({ length }) => length === 1_000));
    const endless = client().serverStream(-1, 10_000);
    await once(endless, 'data');
    endless.cancel();
    const [error]: { code?: number }[] = await once(endless, 'error');
    assert.equal(error?.code, status.CANCELLED);
  });

  test('both at once', async () => {
    const stream = client().bidi();
    const got: string[] = [];
    for (let i = 0; i < 50; i++) {
      stream.write(Buffer.from(`${i}`));
      const [message]: Buffer[] = await once(stream, 'data');
      got.push(String(message));
    }
    stream.end();
    const [end]: { code?: number }[] = await once(stream, 'status');
    assert.equal(end?.code, status.OK);
    assert.equal(got.join(), Array.from({ length: 50 }, (_, i) => `${i}`).join());
  });
}

describe('grpc-js to grpc-js', () => {
  let server: JsServer;
  let pair: PeerPair;
  let client: JsClient;

  before(async () => {
    server = await startJsServer();
    const ends = { applicationPort: server.port, wire: 'http2', application: 'http2' } as const;
    pair = await startPeerPair(folder, authority, ends);
    client = new JsClient(pair.port);
  });

  after(async () => {
    client?.close();
    await pair?.stop();
    server?.stop();
  });

  calls(() => client);

  test('a Go client gets the same', async () => {
    const cases = ['unary', 'client-stream', 'server-stream', 'bidi', 'server-goes-first', 'deadline', 'large'];
    const outcomes = await goCalls(pair.port, ...cases);
    assert.deepEqual(outcomes, Object.fromEntries(cases.map((name) => [name, ''])));
  });
});

describe('grpc-js to Go', () => {
  let server: Program;
  let pair: PeerPair;
  let client: JsClient;

  before(async () => {
    const port = await freePort();
    server = await startGoServer(port);
    pair = await startPeerPair(folder, authority, { applicationPort: port, wire: 'http2', application: 'http2' });
    client = new JsClient(pair.port);
  });

  after(async () => {
    client?.close();
    await pair?.stop();
    await server?.stop();
  });

  calls(() => client);
});
