/**
 * curl -> client sidecar -> TLS 1.3 with both certificates -> server sidecar -> nginx and Python's http.server: the two
 * example bootstraps, each in a process of its own, in both address families.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { clientBootstrap } from '../support/bootstrap/client.yaml.ts';
import { serverBootstrap } from '../support/bootstrap/server.yaml.ts';
import { type CertificateFiles, CertificateFolder } from '../support/certs.ts';
import { type Nginx, startNginx, startPython } from '../support/nginx.ts';
import { curl, curlStatus } from '../support/pair-curl.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { adminPage, startSidecar, testFolder } from '../support/pair-sidecar.ts';

const CLIENT = 'spiffe://cluster.local/ns/shop/sa/client';
const SERVER = 'spiffe://cluster.local/ns/shop/sa/server';
const MIB = 1_048_576;

const folder = testFolder('pair-nginx');
const programs: Program[] = [];
let nginx: Nginx;
let clientFiles: CertificateFiles;
let serverFiles: CertificateFiles;
let clientAdmin = 0;
let serverAdmin = 0;
/** Of the sidecar in front of curl, by family of curl's side; the other side has the other family. */
const ports = { '127.0.0.1': 0, '[::1]': 0, python: 0 };
let inboundPort = 0;

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

async function startPairFor(applicationPort: number, listenIp: string, wireIp: string): Promise<number> {
  const [listenPort, wirePort, adminPort, otherAdminPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const server = serverBootstrap({
    ...serverFiles,
    listenIp: wireIp,
    listenPort: wirePort,
    applicationIp: wireIp === '::1' && applicationPort !== ports.python ? '::1' : '127.0.0.1',
    applicationPort,
    trustDomain: 'cluster.local',
    clientId: CLIENT,
    adminPort: otherAdminPort,
  });
  const client = clientBootstrap({
    ...clientFiles,
    listenIp,
    listenPort,
    upstreamIp: wireIp,
    upstreamPort: wirePort,
    serverId: SERVER,
    adminPort,
  });
  programs.push(await startSidecar(folder, server), await startSidecar(folder, client));
  clientAdmin = adminPort;
  serverAdmin = otherAdminPort;
  inboundPort = wirePort;
  return listenPort;
}

before(async () => {
  const authority = await CertificateFolder.make(folder);
  clientFiles = await authority.issue('client', CLIENT);
  serverFiles = await authority.issue('server', SERVER);
  const nginxPort = await freePort();
  nginx = await startNginx(folder, nginxPort);
  programs.push(nginx.program);
  for (const [name, bytes] of [
    ['0', 0],
    ['1', 1],
    ['1m', MIB],
    ['50m', 50 * MIB],
  ] as const) {
    writeFileSync(join(folder, 'www', name), randomBytes(bytes));
  }
  const pythonPort = await freePort();
  programs.push(await startPython(folder, pythonPort));
  ports.python = await startPairFor(pythonPort, '127.0.0.1', '127.0.0.1');
  ports['[::1]'] = await startPairFor(nginxPort, '::1', '::1');
  ports['127.0.0.1'] = await startPairFor(nginxPort, '127.0.0.1', '127.0.0.1');
});

after(async () => {
  for (const program of programs) await program.stop();
  rmSync(folder, { recursive: true, force: true });
});

const fileOf = (name: string): Buffer => readFileSync(join(folder, 'www', name));

for (const host of ['127.0.0.1', '[::1]'] as const) {
  describe(`nginx through the pair, ${host}`, () => {
    const url = (path: string): string => `http://${host}:${ports[host]}${path}`;

    for (const size of ['0', '1', '1m', '50m']) {
      test(`a file of ${size} bytes down`, async () => {
        const out = join(folder, `down-${size}`);
        const { stdout } = await curl('-o', out, '-w', '%{http_code} %{size_download}', url(`/${size}`));
        assert.equal(stdout, `200 ${fileOf(size).length}`);
        assert.equal(sha256(readFileSync(out)), sha256(fileOf(size)));
      });

      // curl 7.88 never sends the last chunk of an empty file.
      for (const framing of size === '0' ? ['Content-Length'] : ['Content-Length', 'chunked']) {
        test(`a file of ${size} bytes up, ${framing}`, async () => {
          const name = `up-${size}-${framing}-${host === '[::1]' ? 6 : 4}`;
          const chunked = framing === 'chunked' ? ['-H', 'Transfer-Encoding: chunked'] : [];
          const status = await curlStatus('-T', join(folder, 'www', size), ...chunked, url(`/upload/${name}`));
          assert.equal(status, 201);
          assert.equal(sha256(readFileSync(nginx.uploaded(name))), sha256(fileOf(size)));
        });
      }
    }

    test('HEAD has the length and no body', async () => {
      const { stdout } = await curl('-I', url('/1m'));
      assert.match(stdout, /^HTTP\/1.1 200 OK\r\n/);
      assert.match(stdout, /\r\nContent-Length: 1048576\r\n/);
    });

    test('conditional, range and unknown files answer as nginx does', async () => {
      const { stdout: etag } = await curl('-o', '/dev/null', '-w', '%header{etag}', url('/1m'));
      assert.equal(await curlStatus('-H', `If-None-Match: ${etag}`, url('/1m')), 304);
      assert.equal(await curlStatus('-r', '10-19', url('/1m')), 206);
      assert.equal(await curlStatus(url('/unknown')), 404);
      assert.equal(await curlStatus(url('/teapot')), 418);
    });

    test('100-continue: curl is told to go on before it sends', async () => {
      const name = `continue-${host === '[::1]' ? 6 : 4}`;
      const { stderr } = await curl(
        '-v',
        '-o',
        '/dev/null',
        '-H',
        'Expect: 100-continue',
        // After a second it would go on without being told.
        '--expect100-timeout',
        '20',
        '-T',
        join(folder, 'www', '1m'),
        url(`/upload/${name}`),
      );
      assert.match(stderr, /< HTTP\/1.1 100 Continue[\s\S]*< HTTP\/1.1 201 Created/);
      assert.equal(sha256(readFileSync(nginx.uploaded(name))), sha256(fileOf('1m')));
    });

    test('two requests on one connection of curl', async () => {
      const { stderr } = await curl('-v', '-o', '/dev/null', '-o', '/dev/null', url('/1'), url('/1'));
      assert.match(stderr, /Re-using existing connection/i);
      assert.equal(stderr.match(/< HTTP\/1.1 200 OK/g)?.length, 2);
    });

    test('casing of header fields, Host and query pass unchanged', async () => {
      const { stdout } = await curl(
        '-i',
        '-H',
        'X-MiXed: Value',
        '-H',
        'Host: shop.example:8080',
        url('/echo/a%20b?q=1&r=%2F'),
      );
      assert.match(stdout, /\r\nServer: nginx/);
      assert.ok(stdout.endsWith('GET /echo/a%20b?q=1&r=%2F shop.example:8080 Value\n'), stdout);
    });

    test('an application that closes without answering is 502 or 503, and the next request is served', async () => {
      const { stdout } = await curl('-i', '-X', 'POST', '-d', 'x', url('/gone'));
      assert.match(stdout, /^HTTP\/1.1 50[23] /);
      assert.equal(await curlStatus(url('/1')), 200);
    });

    test('200 transfers, 64 at a time', async () => {
      const urls = Array.from({ length: 200 }, () => ['-o', '/dev/null', url('/1m')]).flat();
      const { stdout, exitCode } = await curl(
        '--parallel',
        '--parallel-max',
        '64',
        '--parallel-immediate',
        '-w',
        '%{http_code}:%{size_download}\n',
        ...urls,
      );
      assert.equal(exitCode, 0);
      const results = stdout.trim().split('\n');
      assert.equal(results.length, 200);
      assert.deepEqual(new Set(results), new Set(['200:1048576']));
    });
  });
}

describe('http.server of Python through the pair', () => {
  const url = (path: string): string => `http://127.0.0.1:${ports.python}${path}`;

  test('files, HEAD and errors; it closes each connection after its answer', async () => {
    const out = join(folder, 'python-down');
    const { stdout } = await curl('-o', out, '-w', '%{http_code}', url('/1m'));
    assert.equal(stdout, '200');
    assert.equal(sha256(readFileSync(out)), sha256(fileOf('1m')));
    assert.match((await curl('-I', url('/1m'))).stdout, /^HTTP\/1.[01] 200 OK\r\n[\s\S]*Content-Length: 1048576/i);
    assert.equal(await curlStatus(url('/unknown')), 404);
    assert.equal(await curlStatus('-X', 'POST', '-d', 'x', url('/1')), 501);
  });

  test('many one after another', async () => {
    const urls = Array.from({ length: 50 }, () => ['-o', '/dev/null', url('/1')]).flat();
    const { stdout } = await curl('-w', '%{http_code}\n', ...urls);
    assert.deepEqual(new Set(stdout.trim().split('\n')), new Set(['200']));
  });
});

const output = (command: string, args: readonly string[], input: string): Promise<string> =>
  new Promise((resolve) => {
    const child = execFile(command, args, { timeout: 20_000 }, (_error, stdout, stderr) => resolve(stdout + stderr));
    child.stdin?.end(input);
  });

describe('what an operator sees', () => {
  const sClient = (...args: readonly string[]): Promise<string> =>
    output(
      'openssl',
      [
        's_client',
        '-connect',
        `127.0.0.1:${inboundPort}`,
        '-alpn',
        'weft-http/1.1',
        '-CAfile',
        serverFiles.trustFile,
        ...args,
      ],
      '',
    );

  test('on the wire is TLS 1.3 with the SPIFFE ID of the server', async () => {
    const text = await sClient('-cert', clientFiles.certificateFile, '-key', clientFiles.keyFile);
    assert.match(text, /New, TLSv1.3|Protocol *: TLSv1.3/);
    assert.match(text, /ALPN protocol: weft-http\/1.1/);
    assert.match(text, /Verify return code: 0 \(ok\)/);
    const certificate = /-----BEGIN[\s\S]*?-----END CERTIFICATE-----/.exec(text)?.[0] ?? '';
    assert.match(
      await output('openssl', ['x509', '-noout', '-ext', 'subjectAltName'], certificate),
      new RegExp(SERVER),
    );
  });

  test('TLS 1.2 is refused', async () => {
    assert.match(await sClient('-tls1_2'), /alert protocol version|Cipher is \(NONE\)/);
  });

  test('promtool accepts the metrics of both, and they count the requests', async () => {
    for (const port of [clientAdmin, serverAdmin]) {
      const { status, text } = await adminPage(port, '/stats/prometheus');
      assert.equal(status, 200);
      assert.equal(await output('promtool', ['check', 'metrics'], text), '');
      assert.match(text, /^weft_requests_total\{[^}]*response_code="200"[^}]*\} \d+$/m);
      assert.match(text, /^weft_request_duration_seconds_bucket\{/m);
    }
  });

  test('the pages of the admin interface', async () => {
    assert.deepEqual(await adminPage(clientAdmin, '/ready'), { status: 200, text: 'LIVE\n' });
    const dump: { readonly configs: readonly unknown[] } = JSON.parse(
      (await adminPage(clientAdmin, '/config_dump')).text,
    );
    assert.equal(dump.configs.length, 3);
    assert.match((await adminPage(clientAdmin, '/clusters')).text, /^server::default_priority::max_requests::1024$/m);
    assert.match((await adminPage(clientAdmin, '/listeners')).text, /outbound/);
    assert.equal((await adminPage(clientAdmin, '/nothing')).status, 404);
    assert.equal((await adminPage(clientAdmin, '/quitquitquit')).status, 405);
    const { text } = await adminPage(serverAdmin, '/config_dump');
    assert.ok(!text.includes('PRIVATE KEY'), 'a key is shown');
  });
});
