/** go-spiffe gets its identities from `weft identity serve`: X.509-SVIDs through a rotation, JWT-SVIDs, mutual TLS. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FileJoinRecords } from '@weft/control-plane/join/file-records';
import { Joins } from '@weft/control-plane/join/joins';
import { type Harness, startHarness } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import { newJoinToken } from '@weft/policies/identity/join-token';
import { systemClock } from '@weft/policies/kit/clock';
import { freePort, Program } from '../support/pair-process.ts';
import { goSpiffe, linesOf, startGoSpiffe } from '../support/peers/go-spiffe.ts';
import { waitFor } from '../support/wait.ts';

const idOf = (account: string): string => `spiffe://cluster.local/ns/shop/sa/${account}`;
const folder = mkdtempSync(join(tmpdir(), 'weft-go-spiffe-'));
const records = new FileJoinRecords(join(folder, 'joins'));
const trustFile = join(folder, 'root-cert.pem');
const weft = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');

describe('go-spiffe', { timeout: 180_000 }, () => {
  let harness: Harness;
  const programs: Program[] = [];
  const sockets: Record<string, string> = {};

  const serve = async (account: string): Promise<string> => {
    const { token, digest } = newJoinToken();
    const now = Date.now();
    const record = { digest, namespace: 'shop', serviceAccount: account, createdUnixMs: now, use: undefined };
    assert.ok(records.create({ ...record, expiresUnixMs: now + 60_000 }).ok);
    const tokenFile = join(folder, `${account}.token`);
    writeFileSync(tokenFile, token.reveal(), { mode: 0o600 });
    const socket = join(folder, account, 'api.sock');
    const args = ['--socket', socket, '--control-plane', harness.address, '--trust', trustFile];
    const state = ['--state', join(folder, account, 'state'), '--join-token', `@${tokenFile}`];
    const agent = new Program(process.execPath, [weft, 'identity', 'serve', ...args, ...state]);
    programs.push(agent);
    await agent.until('serving', () => agent.stderr.includes('serving the Workload API for'));
    return socket;
  };
  const start = async (account: string, ...args: readonly string[]): Promise<Program> => {
    const program = await startGoSpiffe(sockets[account] ?? '', ...args);
    programs.push(program);
    return program;
  };

  before(async () => {
    await goSpiffe();
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens, joins: new Joins(records, systemClock) });
    // The shortest that the Mesh takes: leaves are renewed at half of their life.
    harness.apply(
      'apiVersion: weft.dev/v1alpha1\nkind: Mesh\nmetadata: { name: default }\nspec: { certificates: { ttl: 1m } }\n',
    );
    writeFileSync(trustFile, harness.authority.trustBundlePem);
    for (const account of ['vm', 'batch']) sockets[account] = await serve(account);
  });
  after(async () => {
    for (const program of programs) program.child.kill();
    await harness.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('an X.509-SVID that its bundle verifies, and the next one when it is rotated', async () => {
    const program = await start('vm', 'watch', '2');
    const svids = () => linesOf(program).filter((line) => line['svid'] !== undefined);
    const lines = await waitFor('two certificates', () => (svids().length >= 2 ? svids() : undefined), 60_000);
    for (const line of lines) {
      assert.deepEqual(
        { ...line, serial: '' },
        {
          svid: idOf('vm'),
          serial: '',
          key: '*ecdsa.PrivateKey',
          domains: ['cluster.local'],
          anchors: 1,
          verified: true,
        },
      );
    }
    assert.notEqual(lines[0]?.['serial'], lines[1]?.['serial']);
  });

  test('a JWT-SVID that it validates by the bundle, and the Workload API by its keys', async () => {
    const program = await start('vm', 'jwt', 'https://bank.example');
    assert.equal(await program.exitCode(), 0, program.stdout + program.stderr);
    const [line] = linesOf(program);
    assert.deepEqual(
      { ...line, lifeSeconds: 0 },
      {
        jwt: idOf('vm'),
        asked: idOf('vm'),
        audience: ['https://bank.example'],
        lifeSeconds: 0,
        refusedElsewhere: true,
      },
    );
    const life = Number(line?.['lifeSeconds']);
    assert.ok(life > 100 && life <= 300, `${life} s`);
  });

  test('mutual TLS between two of its workloads; one that is somebody else is refused', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const server = await start('vm', 'serve', address, idOf('batch'));
    await server.until('listening', () => linesOf(server).length > 0);
    const client = await start('batch', 'dial', address, idOf('vm'));
    assert.equal(await client.exitCode(), 0, client.stdout + client.stderr);
    assert.deepEqual(linesOf(client), [{ answer: `hello ${idOf('batch')}\n`, peer: idOf('vm') }]);
    const stranger = await start('vm', 'dial', address, idOf('vm'));
    assert.equal(await stranger.exitCode(), 1, stranger.stdout);
  });
});
