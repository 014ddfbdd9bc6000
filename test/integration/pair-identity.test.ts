/** Who may speak: certificates of the pair that are missing, of somebody else, expired, or files that hold none. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { type CertificateFiles, CertificateFolder } from '../support/certs.ts';
import {
  allowOnly,
  bootstrap,
  cluster,
  denyPath,
  downstreamTls,
  httpListener,
  route,
  upstreamTls,
} from '../support/pair-bootstrap.ts';
import { curl } from '../support/pair-curl.ts';
import { answerOk, RawOrigin } from '../support/pair-origin.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { type AccessLogLine, accessLog, runSidecar, startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const CLIENT = 'spiffe://cluster.local/ns/shop/sa/client';
const OTHER = 'spiffe://cluster.local/ns/shop/sa/other';
const SERVER = 'spiffe://cluster.local/ns/shop/sa/server';
const loopback = (port: number) => ({ ip: '127.0.0.1', port });

const folder = testFolder('pair-identity');
const programs: Program[] = [];
let authority: CertificateFolder;
let stranger: CertificateFolder;
let origin: RawOrigin;
let server: Program;
let serverPort = 0;
let serverFiles: CertificateFiles;

const inbound = (port: number, files: CertificateFiles, adminPort: number): string =>
  bootstrap({
    id: 'server',
    adminPort,
    listeners: [
      httpListener({
        name: 'inbound',
        at: loopback(port),
        direction: 'INBOUND',
        tls: downstreamTls(files),
        filters: [denyPath('shop/no-admin/0', '/admin'), allowOnly('shop/allow-client/0', CLIENT)],
        routes: [route('any', '/', 'application')],
      }),
    ],
    clusters: [cluster({ name: 'application', endpoints: [loopback(origin.port)] })],
  });

const outbound = (port: number, files: CertificateFiles, expected: string, adminPort: number): string =>
  bootstrap({
    id: 'client',
    adminPort,
    listeners: [
      httpListener({
        name: 'outbound',
        at: loopback(port),
        direction: 'OUTBOUND',
        routes: [route('any', '/', 'server')],
      }),
    ],
    clusters: [cluster({ name: 'server', endpoints: [loopback(serverPort)], tls: upstreamTls(files, expected) })],
  });

interface Client {
  readonly program: Program;
  readonly url: string;
}

async function clientWith(files: CertificateFiles, expected = SERVER): Promise<Client> {
  const port = await freePort();
  const program = await startSidecar(folder, outbound(port, files, expected, await freePort()));
  programs.push(program);
  return { program, url: `http://127.0.0.1:${port}` };
}

const logged = (program: Program, what: string, match: (line: AccessLogLine) => boolean): Promise<AccessLogLine> =>
  waitFor(`an access log line of ${what}`, () => accessLog(program).find(match));

before(async () => {
  authority = await CertificateFolder.make(folder);
  stranger = await CertificateFolder.make(folder, 'stranger');
  serverFiles = await authority.issue('server', SERVER);
  origin = await RawOrigin.start(answerOk);
  serverPort = await freePort();
  server = await startSidecar(folder, inbound(serverPort, serverFiles, await freePort()));
  programs.push(server);
});

after(async () => {
  for (const program of programs) await program.stop();
  await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('authorization', () => {
  test('the client that the rule names gets through, and the log says by which rule', async () => {
    const client = await clientWith(await authority.issue('good', CLIENT));
    assert.match((await curl('-i', `${client.url}/hello`)).stdout, /^HTTP\/1.1 200 OK[\s\S]*ok\n$/);
    const line = await logged(server, 'the request', ({ path }) => path === '/hello');
    assert.equal(line.rule, 'shop/allow-client/0');
    assert.equal(line.source, CLIENT);
    assert.equal(line.mtls, true);
  });

  test('a deny rule wins: 403, its name in the log, and the application sees nothing', async () => {
    const client = await clientWith(await authority.issue('denied', CLIENT));
    origin.clear();
    assert.match((await curl('-i', `${client.url}/admin/keys`)).stdout, /^HTTP\/1.1 403 /);
    const line = await logged(server, 'the denial', ({ path }) => path === '/admin/keys');
    assert.equal(line.status, 403);
    assert.equal(line.rule, 'shop/no-admin/0');
    assert.equal(origin.text, '');
  });

  test('a denied path, in all the ways of writing it, stays outside; others arrive as they were judged', async () => {
    const files = await authority.issue('writer', CLIENT);
    const ask = (target: string): Promise<string> => asPeer(files, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    origin.clear();
    for (const target of [
      ...[
        '/%61dmin/x',
        '/a/../admin/x',
        '/a/%2e%2E/admin/x',
        '/a/..;/admin/x',
        '//admin/x',
        '\\admin\\x',
        '/admin;v/x',
      ],
      ...[
        '/a%2f..%2Fadmin/x',
        '/a%5c..%5cadmin/x',
        '/%2561dmin/x',
        '/a/%c0%ae%c0%ae/admin/x',
        '/admin%00',
        '/x#/admin',
      ],
      ...['http://a/admin/x', 'http://a/b/..//admin', 'http://a\\admin/x', '/%zz/admin', '/./admin'],
    ]) {
      assert.match(await ask(target), /^HTTP\/1\.1 (403|400) /, target);
    }
    assert.equal(origin.text, '');
    for (const [target, path] of [
      ['/a/../b/%7Ec?d=/../admin', '/b/~c?d=/../admin'],
      ['/b//c;d=e/%c3%a9', '/b//c;d=e/%C3%A9'],
      ['http://a/b', '/b'],
    ] as const) {
      origin.clear();
      assert.match(await ask(target), /^HTTP\/1\.1 200 /, target);
      assert.ok(origin.text.startsWith(`GET ${path} HTTP/1.1\r\n`), `${target}: ${origin.text}`);
    }
  });

  test('an identity that no rule allows: 403 and who it was', async () => {
    const client = await clientWith(await authority.issue('other', OTHER));
    origin.clear();
    assert.match((await curl('-i', `${client.url}/as-other`)).stdout, /^HTTP\/1.1 403 /);
    const line = await logged(server, 'the denial', ({ path }) => path === '/as-other');
    assert.equal(line.source, OTHER);
    assert.equal(line.flags, 'UAEX');
    assert.notEqual(line.rule + line.details, '');
    assert.equal(origin.text, '');
  });
});

/** What a peer that speaks for itself is answered. */
const asPeer = (files: CertificateFiles | undefined, request: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({
      port: serverPort,
      host: '127.0.0.1',
      ALPNProtocols: ['weft-http/1.1'],
      rejectUnauthorized: false,
      ...(files === undefined ? {} : { cert: readFileSync(files.certificateFile), key: readFileSync(files.keyFile) }),
    });
    let text = '';
    socket.on('secureConnect', () => socket.write(request));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      socket.destroy();
    });
    socket.on('error', (error) => {
      text += error.message;
    });
    socket.on('close', () => resolve(text));
  });

describe('the handshake', () => {
  const handshake = (files?: CertificateFiles): Promise<string> =>
    asPeer(files, 'GET /handshake HTTP/1.1\r\nHost: a\r\n\r\n');

  test('without a certificate: refused, and the log says why', async () => {
    assert.doesNotMatch(await handshake(), /^HTTP/);
    const line = await logged(
      server,
      'the refusal',
      ({ flags, details }) => flags === 'DPE' && /certificate|TLS/i.test(details),
    );
    assert.match(line.details, /no certificate|PEER_DID_NOT_RETURN_A_CERTIFICATE/);
  });

  test('of another authority: refused', async () => {
    assert.doesNotMatch(await handshake(await stranger.issue('forged', CLIENT)), /^HTTP/);
    await logged(server, 'the refusal', ({ details }) => /not trusted|CERTIFICATE_VERIFY_FAILED/.test(details));
  });

  test('of another trust domain: refused, both names in the log', async () => {
    const foreign = 'spiffe://elsewhere.example/ns/shop/sa/client';
    assert.doesNotMatch(await handshake(await authority.issue('foreign', foreign)), /^HTTP/);
    const line = await logged(server, 'the refusal', ({ details }) => details.includes(foreign));
    assert.match(line.details, /spiffe:\/\/cluster.local\//);
  });

  test('expired: refused', async () => {
    const options = { notBeforeMs: Date.now() - 7_200_000, notAfterMs: Date.now() - 60_000 };
    assert.doesNotMatch(await handshake(await authority.issue('expired', CLIENT, options)), /^HTTP/);
    await logged(server, 'the refusal', ({ details }) => /expired|CERTIFICATE_VERIFY_FAILED/i.test(details));
  });

  test('a server with another identity than expected: 503 UF that names both', async () => {
    const client = await clientWith(await authority.issue('wary', CLIENT), OTHER);
    origin.clear();
    const { stdout } = await curl('-i', `${client.url}/wary`);
    assert.match(stdout, /^HTTP\/1.1 503 /);
    const line = await logged(client.program, 'the refusal', ({ path }) => path === '/wary');
    assert.equal(line.flags, 'UF');
    assert.ok(line.details.includes(SERVER) && line.details.includes(OTHER), line.details);
    assert.equal(origin.text, '');
  });

  test('after all of that the right client is served', async () => {
    assert.match(await handshake(await authority.issue('last', CLIENT)), /^HTTP\/1.1 200 OK/);
  });
});

describe('files of a bootstrap are looked at before anything listens', () => {
  const at = 'static_resources.listeners[0].filter_chains[0].transport_socket.typed_config.common_tls_context';
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const wrong: readonly [string, (files: CertificateFiles) => CertificateFiles, RegExp][] = [
    [
      'a certificate that is not there',
      (f) => ({ ...f, certificateFile: join(folder, 'none.pem') }),
      /tls_certificates\[0\].certificate_chain: cannot be read: ENOENT.*none\.pem/,
    ],
    [
      'text instead of a certificate',
      (f) => ({ ...f, certificateFile: write('text.pem', 'hello\n') }),
      /tls_certificates\[0\].certificate_chain: .*text\.pem holds no certificate/,
    ],
    [
      'text instead of a key',
      (f) => ({ ...f, keyFile: write('text.key', 'hello\n') }),
      /tls_certificates\[0\].private_key: .*text\.key holds no private key/,
    ],
    [
      'the key of another certificate',
      (f) => ({ ...f, keyFile: join(folder, 'unrelated.key') }),
      /tls_certificates\[0\].private_key: .*unrelated\.key is not the key of the certificate/,
    ],
    [
      'trust that is not there',
      (f) => ({ ...f, trustFile: join(folder, 'none.pem') }),
      /validation_context.trusted_ca: cannot be read: ENOENT/,
    ],
  ];
  for (const [what, change, expected] of wrong) {
    test(what, async () => {
      await authority.issue('unrelated', OTHER);
      const program = runSidecar(folder, inbound(await freePort(), change(serverFiles), await freePort()));
      assert.equal(await program.exitCode(), 64);
      const line = program.stderr.split('\n').find((text) => text.includes(at)) ?? program.stderr;
      assert.match(line, expected);
      assert.ok(!program.stderr.includes('PRIVATE KEY'));
    });
  }

  test('--check of a good one says so and ends', async () => {
    const program = runSidecar(folder, inbound(await freePort(), serverFiles, await freePort()), '--check');
    assert.equal(await program.exitCode(), 0);
    assert.match(program.stderr, /the bootstrap is good: 1 listeners/);
  });

  test('a port that is taken is named', async () => {
    const program = runSidecar(folder, inbound(serverPort, serverFiles, await freePort()));
    assert.notEqual(await program.exitCode(), 0);
    assert.match(program.stderr, new RegExp(`${serverPort}`));
  });
});
