/** Node's http and http2, and http.client, urllib and h2 of Python, through two sidecars in all translations. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { testFolder } from '../support/pair-sidecar.ts';
import { type NodeOrigin, startNodeOrigin } from '../support/peers/node-origin.ts';
import { type PeerPair, type Spoken, startPeerPair } from '../support/peers/pair.ts';
import { python } from '../support/peers/python.ts';
import { waitFor } from '../support/wait.ts';

const PAIRS: readonly { readonly wire: Spoken; readonly application: Spoken }[] = [
  { wire: 'http2', application: 'http1' },
  { wire: 'http2', application: 'http2' },
  { wire: 'http1', application: 'http1' },
];
const BIG_BYTES = 8_000_000;

const folder = testFolder('peers-node');
let authority: CertificateFolder;

before(async () => {
  authority = await CertificateFolder.make(folder);
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function read(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Pauses after each chunk, so that the sender is always ahead. */
async function readSlowly(stream: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return bytes;
}

for (const { wire, application } of PAIRS) {
  describe(`${wire} between the sidecars, ${application} to the application`, { timeout: 60_000 }, () => {
    let origin: NodeOrigin;
    let pair: PeerPair;
    let session: ClientHttp2Session;
    let agent: Agent;

    before(async () => {
      origin = await startNodeOrigin(application);
      pair = await startPeerPair(folder, authority, { wire, application, applicationPort: origin.port });
      session = connect(`http://127.0.0.1:${pair.port}`);
      session.on('error', () => undefined);
      agent = new Agent({ keepAlive: true, maxSockets: 20 });
    });

    after(async () => {
      session?.destroy();
      agent?.destroy();
      await pair?.stop();
      await origin?.stop();
    });

    const send = (method: string, path: string, headers = {}) =>
      request({ host: '127.0.0.1', port: pair.port, agent, method, path, headers });

    const answerTo = async (sent: ReturnType<typeof send>): Promise<IncomingMessage> => {
      const [response]: IncomingMessage[] = await once(sent, 'response');
      return response ?? assert.fail('no response');
    };

    const headOf = async (stream: ReturnType<ClientHttp2Session['request']>): Promise<IncomingHttpHeaders> => {
      const [head]: IncomingHttpHeaders[] = await once(stream, 'response');
      return head ?? assert.fail('no head');
    };

    test('http: trailers both ways', async () => {
      const sent = send('POST', '/trailers', { te: 'trailers', trailer: 'x-sent' });
      sent.write('body');
      sent.addTrailers({ 'x-sent': '42' });
      sent.end();
      const response = await answerTo(sent);
      assert.equal(String(await read(response)), 'body');
      assert.equal(response.trailers['x-sum'], '42');
    });

    test('http2: trailers both ways', async () => {
      const stream = session.request(
        { ':method': 'POST', ':path': '/trailers', te: 'trailers', trailer: 'x-sent' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sent': '42' }));
      const trailers = once(stream, 'trailers');
      stream.end('body');
      assert.equal(String(await read(stream)), 'body');
      const [got]: IncomingHttpHeaders[] = await trailers;
      assert.equal(got?.['x-sum'], '42');
    });

    test('early hints come before the answer', async () => {
      const sent = send('GET', '/hints');
      const hints = once(sent, 'information');
      const answered = answerTo(sent);
      sent.end();
      const [information]: { statusCode: number; headers: IncomingHttpHeaders }[] = await hints;
      assert.equal(information?.statusCode, 103);
      assert.match(String(information?.headers['link']), /style\.css/);
      (await answered).resume();
      const stream = session.request({ ':path': '/hints' });
      const [head]: IncomingHttpHeaders[] = await once(stream, 'headers');
      assert.equal(head?.[constants.HTTP2_HEADER_STATUS], 103);
      assert.equal(String(await read(stream)), 'after');
    });

    test('200 requests at once of each', async () => {
      const many = Array.from({ length: 200 }, async (_, i) => {
        const sent = send('GET', `/echo/${i}`);
        sent.end();
        const stream = session.request({ ':path': `/echo/${i}` });
        const both = await Promise.all([answerTo(sent).then(read), read(stream)]);
        return both.map(String);
      });
      const want = `GET /echo/`;
      for (const [i, [one, two]] of (await Promise.all(many)).entries()) {
        assert.deepEqual([one, two], [`${want}${i} 0\n`, `${want}${i} 0\n`]);
      }
    });

    test('a big answer to a slow reader, beside quick ones on the same connection', async () => {
      const stream = session.request({ ':path': `/pour/${BIG_BYTES}` });
      const slow = readSlowly(stream);
      for (let i = 0; i < 20; i++) {
        assert.equal(String(await read(session.request({ ':path': '/echo' }))), 'GET /echo 0\n');
      }
      assert.equal(await slow, BIG_BYTES);
      const sent = send('GET', `/pour/${BIG_BYTES}`);
      sent.end();
      assert.equal(await readSlowly(await answerTo(sent)), BIG_BYTES);
    });

    test('a big request to a slow reader', async () => {
      const bytes = randomBytes(BIG_BYTES);
      const stream = session.request({ ':method': 'POST', ':path': '/slow' });
      stream.end(bytes);
      assert.equal(String(await read(stream)), 'taken');
      assert.equal(origin.taken(), sha256(bytes));
      const sent = send('POST', '/slow', { 'transfer-encoding': 'chunked' });
      sent.end(bytes);
      assert.equal(String(await read(await answerTo(sent))), 'taken');
      assert.equal(origin.taken(), sha256(bytes));
    });

    test('a client that gives up is told to the application', async () => {
      const before = origin.aborted();
      const stream = session.request({ ':path': '/pour/1000000000' });
      await headOf(stream);
      stream.close(constants.NGHTTP2_CANCEL);
      await waitFor('the first', () => origin.aborted() > before || undefined);
      const sent = send('GET', '/pour/1000000000');
      sent.on('error', () => undefined);
      sent.end();
      (await answerTo(sent)).destroy();
      await waitFor('the second', () => origin.aborted() > before + 1 || undefined);
      // The connection of the first goes on.
      assert.equal(String(await read(session.request({ ':path': '/echo' }))), 'GET /echo 0\n');
    });

    test('an application that breaks off is never a complete answer', async () => {
      const sent = send('GET', '/break');
      sent.end();
      await assert.rejects(async () => read(await answerTo(sent)));
      await assert.rejects(read(session.request({ ':path': '/break' })));
      assert.equal(String(await read(session.request({ ':path': '/echo' }))), 'GET /echo 0\n');
    });

    test('nothing is pushed, and a client that offers nothing is served', async () => {
      const other = connect(`http://127.0.0.1:${pair.port}`, { settings: { enablePush: false } });
      assert.equal(String(await read(other.request({ ':path': '/echo' }))), 'GET /echo 0\n');
      other.close();
      await once(other, 'close');
    });

    for (const args of [[], ['h2']] as const) {
      test(`Python: ${args.length === 0 ? 'http.client and urllib' : 'h2'}`, async () => {
        const client = await python('http_client.py', String(pair.port), ...args);
        assert.equal(await client.exitCode(), 0, client.stderr);
        assert.equal(client.stdout, 'ok\n');
      });
    }
  });
}
