/** go-spiffe gets its identities from `weft identity serve`: X.509-SVIDs through a rotation, JWT-SVIDs, mutual TLS. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort, type Program } from '../support/pair-process.ts';
import { goSpiffe, startGoSpiffe } from '../support/peers/go-spiffe.ts';
import { waitFor } from '../support/wait.ts';
import { linesOf, shopIdentity, startWorkloadApis, type WorkloadApis } from '../support/workload-apis.ts';

describe('go-spiffe', { timeout: 180_000 }, () => {
  let apis: WorkloadApis;
  const sockets: Record<string, string> = {};
  const start = async (account: string, ...args: readonly string[]): Promise<Program> =>
    apis.add(await startGoSpiffe(sockets[account] ?? '', ...args));

  before(async () => {
    await goSpiffe();
    apis = await startWorkloadApis('go-spiffe');
    for (const account of ['vm', 'batch']) sockets[account] = await apis.serve(account);
  });
  after(() => apis?.stop());

  test('an X.509-SVID that its bundle verifies, and the next one when it is rotated', async () => {
    const program = await start('vm', 'watch', '2');
    const svids = () => linesOf(program).filter((line) => line['svid'] !== undefined);
    const lines = await waitFor('two certificates', () => (svids().length >= 2 ? svids() : undefined), 60_000);
    for (const line of lines) {
      assert.deepEqual(
        { ...line, serial: '' },
        {
          svid: shopIdentity('vm'),
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
        jwt: shopIdentity('vm'),
        asked: shopIdentity('vm'),
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
    const server = await start('vm', 'serve', address, shopIdentity('batch'));
    await server.until('listening', () => linesOf(server).length > 0);
    const client = await start('batch', 'dial', address, shopIdentity('vm'));
    assert.equal(await client.exitCode(), 0, client.stdout + client.stderr);
    assert.deepEqual(linesOf(client), [{ answer: `hello ${shopIdentity('batch')}\n`, peer: shopIdentity('vm') }]);
    const stranger = await start('vm', 'dial', address, shopIdentity('vm'));
    assert.equal(await stranger.exitCode(), 1, stranger.stdout);
  });
});
