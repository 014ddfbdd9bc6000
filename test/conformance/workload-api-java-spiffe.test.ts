/** java-spiffe gets its identities from `weft identity serve`, and speaks mutual TLS with go-spiffe, which got its own there. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort, type Program } from '../support/pair-process.ts';
import { goSpiffe, startGoSpiffe } from '../support/peers/go-spiffe.ts';
import { javaSpiffe, startJavaSpiffe } from '../support/peers/java-spiffe.ts';
import { waitFor } from '../support/wait.ts';
import { linesOf, shopIdentity, startWorkloadApis, type WorkloadApis } from '../support/workload-apis.ts';

describe('java-spiffe', { timeout: 180_000 }, () => {
  let apis: WorkloadApis;
  let watching: Program;
  const sockets: Record<string, string> = {};
  const java = async (account: string, ...args: readonly string[]): Promise<Program> =>
    apis.add(await startJavaSpiffe(sockets[account] ?? '', ...args));
  const go = async (account: string, ...args: readonly string[]): Promise<Program> =>
    apis.add(await startGoSpiffe(sockets[account] ?? '', ...args));

  before(async () => {
    await Promise.all([goSpiffe(), javaSpiffe()]);
    apis = await startWorkloadApis('java-spiffe');
    for (const account of ['vm', 'batch']) sockets[account] = await apis.serve(account);
    watching = await java('vm', 'watch', '2');
  });
  after(() => apis?.stop());

  test('a JWT-SVID for two audiences that it validates by the bundle, and the Workload API by its keys', async () => {
    const program = await java('vm', 'jwt', 'https://bank.example');
    assert.equal(await program.exitCode(), 0, program.stdout + program.stderr);
    const [line] = linesOf(program);
    const life = Number(line?.['lifeSeconds']);
    assert.ok(life > 100 && life <= 300, `${life} s`);
    assert.deepEqual(
      { ...line, lifeSeconds: 0 },
      {
        jwt: shopIdentity('vm'),
        asked: shopIdentity('vm'),
        audience: ['another', 'https://bank.example'],
        lifeSeconds: 0,
        refusedElsewhere: true,
      },
    );
  });

  test('TLS 1.3 with a server of go-spiffe, and as a server for its clients; somebody else is refused', async () => {
    const goAddress = `127.0.0.1:${await freePort()}`;
    const javaPort = await freePort();
    const servers = [
      await go('vm', 'serve', goAddress, shopIdentity('batch')),
      await java('vm', 'serve', String(javaPort), shopIdentity('batch')),
    ];
    for (const server of servers) await server.until('listening', () => linesOf(server).length > 0);
    const dialled = await java('batch', 'dial', goAddress, shopIdentity('vm'), '', '');
    assert.equal(await dialled.exitCode(), 0, dialled.stdout + dialled.stderr);
    assert.deepEqual(linesOf(dialled), [{ answer: `hello ${shopIdentity('batch')}\n`, version: 'TLSv1.3', alpn: '' }]);
    const client = await go('batch', 'dial', `127.0.0.1:${javaPort}`, shopIdentity('vm'));
    assert.equal(await client.exitCode(), 0, client.stdout + client.stderr);
    assert.deepEqual(linesOf(client), [{ answer: `hello ${shopIdentity('batch')}\n`, peer: shopIdentity('vm') }]);
    const wrongServer = await java('batch', 'dial', goAddress, shopIdentity('cart'), '', '');
    assert.equal(await wrongServer.exitCode(), 1, wrongServer.stdout);
    const stranger = await go('vm', 'dial', `127.0.0.1:${javaPort}`, shopIdentity('vm'));
    assert.equal(await stranger.exitCode(), 1, stranger.stdout);
  });

  test('an X.509-SVID that its bundle verifies, and the next one when it is rotated', async () => {
    await waitFor('two certificates', () => (watching.ended ? true : undefined), 60_000);
    const lines = linesOf(watching);
    assert.deepEqual(
      lines.map((line) => ({ ...line, serial: '' })),
      [1, 2].map(() => ({
        svid: shopIdentity('vm'),
        serial: '',
        key: 'EC',
        format: 'PKCS#8',
        domain: 'cluster.local',
        anchors: 1,
      })),
      watching.stdout + watching.stderr,
    );
    assert.notEqual(lines[0]?.['serial'], lines[1]?.['serial']);
  });
});
