/** gRPC clients and servers made with google.golang.org/grpc, through two sidecars. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { adminPage, testFolder } from '../support/pair-sidecar.ts';
import { goCalls, goPeers, outcomesOf, startGoClient, startGoServer } from '../support/peers/go-peers.ts';
import { type PeerPair, startPeerPair } from '../support/peers/pair.ts';

const CASES = [
  'unary',
  'metadata',
  'client-stream',
  'server-stream',
  'bidi',
  'server-goes-first',
  'status-details',
  'unknown-method',
  'deadline',
  'deadline-passed',
  'cancel',
  'large',
  'slow-reader',
  'idle-stream',
] as const;

/** HTTP/1.1 takes a connection for each. */
const HTTP2_CASES = [...CASES, 'thousand-streams'] as const;

const folder = testFolder('peers-go');
let authority: CertificateFolder;

before(async () => {
  authority = await CertificateFolder.make(folder);
  await goPeers();
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** gRPC needs trailers and both directions at once: HTTP/1.1 between the sidecars carries them too. */
for (const wire of ['http2', 'http1'] as const) {
  const cases = wire === 'http2' ? HTTP2_CASES : CASES;
  describe(`Go to Go, ${wire} between the sidecars`, () => {
    let server: Program;
    let pair: PeerPair;
    let outcomes: Readonly<Record<string, string>> = {};

    before(async () => {
      const port = await freePort();
      server = await startGoServer(port);
      pair = await startPeerPair(folder, authority, { applicationPort: port, wire, application: 'http2' });
      outcomes = await goCalls(pair.port, ...cases);
    });

    after(async () => {
      await pair?.stop();
      await server?.stop();
    });

    for (const name of cases) {
      test(name, () => assert.equal(outcomes[name], ''));
    }

    test('calls and messages are counted, with their status', async () => {
      const { text } = await adminPage(pair.clientAdmin, '/stats/prometheus');
      const count = (pattern: RegExp): number =>
        [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
      assert.ok(count(/^weft_requests_total\{[^}]*protocol="grpc"[^}]*grpc_status="0"[^}]*\} (\d+)$/gm) > 100);
      assert.ok(count(/^weft_requests_total\{[^}]*grpc_status="9"[^}]*\} (\d+)$/gm) === 1);
      assert.ok(count(/^weft_grpc_request_messages_total\{[^}]*\} (\d+)$/gm) > 700);
      assert.ok(count(/^weft_grpc_response_messages_total\{[^}]*\} (\d+)$/gm) > 700);
    });
  });
}

describe('a server that sends GOAWAY, dies, and is gone', () => {
  test('connections that the server closes gracefully cost no call', async () => {
    const port = await freePort();
    const server = await startGoServer(port, 300);
    const pair = await startPeerPair(folder, authority, { applicationPort: port, wire: 'http2', application: 'http2' });
    try {
      assert.deepEqual(await goCalls(pair.port, 'goaway'), { goaway: '' });
    } finally {
      await pair?.stop();
      await server?.stop();
    }
  });

  test('a call that is cut between messages ends with a status, and one to nobody with the reason', async () => {
    const port = await freePort();
    const server = await startGoServer(port);
    const pair = await startPeerPair(folder, authority, { applicationPort: port, wire: 'http2', application: 'http2' });
    try {
      const client = await startGoClient(pair.port, 'broken-stream');
      await client.until('a call', () => client.stdout.includes('talking'));
      await server?.stop();
      assert.deepEqual(await outcomesOf(client, 'broken-stream'), { 'broken-stream': '' });
      assert.deepEqual(await goCalls(pair.port, 'own-error'), { 'own-error': '' });
    } finally {
      await pair?.stop();
      await server?.stop();
    }
  });
});
