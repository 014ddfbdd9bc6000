/** Protocols in which the server speaks first, through listeners that are declared opaque. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { accepts } from '../support/nginx.ts';
import { RawOrigin } from '../support/pair-origin.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';
import { type PeerPair, startOpaquePair } from '../support/peers/pair.ts';
import { python } from '../support/peers/python.ts';
import { waitFor } from '../support/wait.ts';

const folder = testFolder('peers-server-first');
let authority: CertificateFolder;

before(async () => {
  authority = await CertificateFolder.make(folder);
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('SMTP: aiosmtpd and smtplib of Python', () => {
  let server: Program;
  let pair: PeerPair;

  before(async () => {
    const port = await freePort();
    server = await python('smtp_server.py', String(port));
    await server.until('listening', () => accepts('127.0.0.1', port));
    pair = await startOpaquePair(folder, authority, port);
  });

  after(async () => {
    await pair?.stop();
    await server?.stop();
  });

  test('a mail of 2 MB arrives as it was sent', async () => {
    const client = await python('smtp_client.py', String(pair.port), '2000000');
    assert.equal(await client.exitCode(), 0, client.stderr);
    const line = await waitFor('the mail', () => server.stdout.split('\n')[0] || undefined);
    assert.match(line, new RegExp(`^from@shop.example to@shop.example \\d{7} ${client.stdout.trim()}$`));
  });
});

describe('a greeting as MySQL sends it', () => {
  const greeting = Buffer.from('4a0000000a382e302e333600080000003b1f5f1c7a6c4f1200ffffff0200ffdf15', 'hex');
  let origin: RawOrigin;
  let pair: PeerPair;

  before(async () => {
    origin = await RawOrigin.start((socket, bytes) => socket.write(bytes));
    origin.onConnection((socket) => socket.write(greeting));
    pair = await startOpaquePair(folder, authority, origin.port);
  });

  after(async () => {
    await pair?.stop();
    await origin?.close();
  });

  test('comes before the client has said anything, and what it answers goes through', async () => {
    const socket = connect(pair.port, '127.0.0.1');
    const [first]: Buffer[] = await once(socket, 'data');
    assert.deepEqual(first, greeting);
    socket.write('login');
    const [second]: Buffer[] = await once(socket, 'data');
    assert.equal(String(second), 'login');
    socket.destroy();
  });
});
