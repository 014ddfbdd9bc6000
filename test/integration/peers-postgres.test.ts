/** psql -> two sidecars -> PostgreSQL, with the database's own TLS inside that of the mesh. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { freePort, Program } from '../support/pair-process.ts';
import { accessLog, testFolder } from '../support/pair-sidecar.ts';
import { type PeerPair, startOpaquePair } from '../support/peers/pair.ts';
import { psql, psqlArguments, startPostgres } from '../support/peers/postgres.ts';
import { waitFor } from '../support/wait.ts';

const ROWS = 100_000;

describe('PostgreSQL with TLS inside the mesh', () => {
  const folder = testFolder('peers-postgres');
  let server: Program | undefined;
  let pair: PeerPair | undefined;
  let port = 0;

  before(async () => {
    const authority = await CertificateFolder.make(folder);
    const serverPort = await freePort();
    server = await startPostgres(folder, serverPort);
    pair = await startOpaquePair(folder, authority, serverPort);
    port = pair.port;
  });

  after(async () => {
    await pair?.stop();
    // SIGINT is PostgreSQL's fast shutdown.
    await server?.stop('SIGINT');
    rmSync(folder, { recursive: true, force: true });
  });

  test('a query, over TLS 1.3 end to end', async () => {
    const { stdout, stderr } = await psql(port, 'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()');
    assert.equal(stdout.trim(), 't|TLSv1.3', stderr);
  });

  test(`COPY of ${ROWS} rows in and out`, async () => {
    const rows = Array.from({ length: ROWS }, (_, i) => `${i}\t${'x'.repeat(i % 60)}\n`).join('');
    const made = await psql(port, 'create table item (id int primary key, text text)');
    assert.equal(made.exitCode, 0, made.stderr);
    const copied = await psql(port, 'copy item from stdin', rows);
    assert.equal(copied.exitCode, 0, copied.stderr);
    const { stdout } = await psql(port, 'copy (select * from item order by id) to stdout');
    assert.equal(stdout, rows);
    const sent = await waitFor('the log', () =>
      accessLog(pair?.serverProgram ?? assert.fail()).find((line) => line.bytesSent > rows.length),
    );
    assert.equal(sent.protocol, 'tcp');
    assert.equal(sent.mtls, true);
  });

  test('a cancel request, which is a connection of its own, ends a query', async () => {
    const sleeping = new Program('psql', psqlArguments(port, 'select pg_sleep(60)'));
    const asleep = "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)'";
    await waitFor('the query to run', async () =>
      (await psql(port, asleep)).stdout.trim() === '1' ? true : undefined,
    );
    // psql sends a cancel request when it is interrupted.
    sleeping.child.kill('SIGINT');
    await sleeping.exitCode();
    assert.match(sleeping.stderr, /canceling statement due to user request/);
  });

  test('a client that dies ends its connection at the database', async () => {
    const name =
      "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
    const sleeping = new Program('psql', psqlArguments(port, 'select 1; select pg_sleep(60)'));
    await waitFor('the connection', async () => ((await psql(port, name)).stdout.trim() === '1' ? true : undefined));
    await sleeping.stop('SIGKILL');
    await waitFor('its end', async () => ((await psql(port, name)).stdout.trim() === '0' ? true : undefined));
  });
});
