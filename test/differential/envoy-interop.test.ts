/** The same two bootstraps with Weft on one side and a real Envoy on the other. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { startEnvoy } from '../support/envoy.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { CLIENT_ID, pairTexts, SERVER_ID } from '../support/pair.ts';
import { curl, curlStatus } from '../support/pair-curl.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { accessLog, startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const MIB = 1_048_576;
const folder = testFolder('interop');
let authority: CertificateFolder;
let nginx: Nginx;
let nginxPort = 0;

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

before(async () => {
  authority = await CertificateFolder.make(folder);
  nginxPort = await freePort();
  nginx = await startNginx(folder, nginxPort);
  writeFileSync(join(folder, 'www', '20m'), randomBytes(20 * MIB));
  writeFileSync(join(folder, 'www', 'small'), 'hello\n');
});

after(async () => {
  await nginx.program.stop();
  rmSync(folder, { recursive: true, force: true });
});

for (const [client, server] of [
  ['weft', 'envoy'],
  ['envoy', 'weft'],
  ['envoy', 'envoy'],
] as const) {
  describe(`${client} calls ${server}`, () => {
    let url = '';
    let clientProgram: Program;
    let serverProgram: Program;

    before(async () => {
      const texts = await pairTexts(authority, { applicationPort: nginxPort });
      const start = (kind: 'weft' | 'envoy', text: string, adminPort: number): Promise<Program> =>
        kind === 'weft' ? startSidecar(folder, text) : startEnvoy(folder, text, adminPort);
      serverProgram = await start(server, texts.server, texts.serverAdmin);
      clientProgram = await start(client, texts.client, texts.clientAdmin);
      url = `http://127.0.0.1:${texts.port}`;
    });

    after(async () => {
      await clientProgram.stop();
      await serverProgram.stop();
    });

    test('a small answer, and 404', async () => {
      assert.equal((await curl(`${url}/small`)).stdout, 'hello\n');
      assert.equal(await curlStatus(`${url}/unknown`), 404);
    });

    test('20 MiB down and up, with a length and chunked', async () => {
      const file = join(folder, 'www', '20m');
      const down = join(folder, 'down');
      assert.equal((await curl('-o', down, '-w', '%{http_code}', `${url}/20m`)).stdout, '200');
      assert.equal(sha256(down), sha256(file));
      for (const more of [[], ['-H', 'Transfer-Encoding: chunked']]) {
        const name = `${client}-${server}-${more.length}`;
        assert.equal(await curlStatus('-T', file, ...more, `${url}/upload/${name}`), 201);
        assert.equal(sha256(nginx.uploaded(name)), sha256(file));
      }
    });

    test('HEAD, and casing of fields', async () => {
      assert.match((await curl('-I', `${url}/20m`)).stdout, /\r\nContent-Length: 20971520\r\n/);
      const { stdout } = await curl('-H', 'X-MiXed: v', '-H', 'Host: a.example', `${url}/echo`);
      assert.equal(stdout, 'GET /echo a.example v\n');
    });

    test('200 requests on 20 connections', async () => {
      const urls = Array.from({ length: 200 }, () => ['-o', '/dev/null', `${url}/small`]).flat();
      const { stdout } = await curl('--parallel', '--parallel-max', '20', '-w', '%{http_code}\n', ...urls);
      assert.deepEqual(new Set(stdout.trim().split('\n')), new Set(['200']));
    });

    test('Weft has verified the identity of Envoy', async () => {
      if (server === 'weft') {
        const line = await waitFor('the log', () => accessLog(serverProgram).find(({ path }) => path === '/small'));
        assert.equal(line.source, CLIENT_ID);
        assert.equal(line.mtls, true);
      } else if (client === 'weft') {
        const line = await waitFor('the log', () => accessLog(clientProgram).find(({ path }) => path === '/small'));
        assert.equal(line.status, 200);
      }
    });
  });
}

test('Weft refuses an Envoy with another identity than expected', async () => {
  const texts = await pairTexts(authority, { applicationPort: nginxPort });
  const envoy = await startEnvoy(folder, texts.server, texts.serverAdmin);
  const wary = await startSidecar(folder, texts.client.replaceAll(SERVER_ID, `${SERVER_ID}-other`));
  try {
    assert.equal(await curlStatus(`http://127.0.0.1:${texts.port}/small`), 503);
    const line = await waitFor('the log', () => accessLog(wary).find(({ flags }) => flags === 'UF'));
    assert.match(line.details, new RegExp(`names \\[${SERVER_ID}\\], none of which matches .*${SERVER_ID}-other`));
  } finally {
    await wary.stop();
    await envoy.stop();
  }
});

test('an anchor that is no root is one to both', async () => {
  const middle = await CertificateFolder.make(folder, 'middle', await CertificateFolder.make(folder, 'above'));
  const texts = await pairTexts(middle, { applicationPort: nginxPort });
  const otherTexts = await pairTexts(middle, { applicationPort: nginxPort });
  const programs = [
    await startEnvoy(folder, texts.server, texts.serverAdmin),
    await startSidecar(folder, texts.client),
    await startSidecar(folder, otherTexts.server),
    await startEnvoy(folder, otherTexts.client, otherTexts.clientAdmin),
  ];
  try {
    for (const { port } of [texts, otherTexts]) assert.equal(await curlStatus(`http://127.0.0.1:${port}/small`), 200);
  } finally {
    for (const program of programs) await program.stop();
  }
});
