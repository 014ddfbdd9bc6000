/** The settings of OpenSSL that a sidecar is started with. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { TestAuthority } from './listener-rig.fixture.ts';

const run = promisify(execFile);
const settings = fileURLToPath(new URL('../../sidecar/openssl.cnf', import.meta.url));

/** Both sides in a process of its own: the settings are read at its start. The byte of the server comes after its tickets. */
const program = `
const tls = require('node:tls');
const { KEY: key, CERTIFICATE: cert } = process.env;
const server = tls.createServer({ key, cert }, (socket) => socket.end('x')).listen(0, '127.0.0.1', () => {
  const options = { host: '127.0.0.1', port: server.address().port, rejectUnauthorized: false };
  const client = tls.connect(options, () => client.end());
  let tickets = 0;
  client.on('session', () => tickets++);
  client.on('close', () => { console.log(tickets); server.close(); });
  client.resume();
});`;

async function ticketsWith(...flags: string[]): Promise<number> {
  const authority = await TestAuthority.make();
  const { certPem, keyPem } = await authority.issue('spiffe://cluster.local/ns/shop/sa/web' as SpiffeId);
  const env = { ...process.env, KEY: keyPem, CERTIFICATE: certPem };
  const { stdout } = await run(process.execPath, [...flags, '-e', program], { env, timeout: 20_000 });
  return Number.parseInt(stdout, 10);
}

test('a server sends one ticket, not two', async () => {
  assert.equal(await ticketsWith(), 2);
  assert.equal(await ticketsWith('--openssl-config', settings), 1);
});
