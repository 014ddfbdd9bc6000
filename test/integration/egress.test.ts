/** What leaves the mesh: the outbound listener with ExternalServices, in both modes, and attempts to get around it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RequestRecord } from '@weft/sidecar/telemetry/record';
import { EgressNamespace, egressCertificates, egressWorld, mesh } from '../support/egress.ts';
import { waitFor } from '../support/wait.ts';

const FIXTURE = fileURLToPath(new URL('./egress.fixture.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'weft-egress-'));
const ca = join(folder, 'ca.pem');
let proxy: ChildProcess;

const net = new EgressNamespace(`weft-eg-${process.pid}`);
const curl = (...args: string[]): Promise<string> => net.curl(...args);
const raw = (address: string, port: number, text: string): string => net.raw(address, port, text);
const status = (...args: string[]): Promise<string> => curl('-o', '/dev/null', '-w', '%{http_code}', ...args);
const at = (host: string, port: number, address: string): string[] => ['--resolve', `${host}:${port}:${address}`];

interface Stats {
  readonly records: readonly RequestRecord[];
  readonly events: readonly string[];
  readonly asked: readonly string[];
}

async function stats(): Promise<Stats> {
  proxy.send('stats');
  const [message]: unknown[] = await once(proxy, 'message');
  assert.ok(typeof message === 'object' && message !== null && 'records' in message);
  return message as Stats;
}

async function apply(text: string): Promise<void> {
  proxy.send(`apply ${text}`);
  await once(proxy, 'message');
}

const lastRecord = async (matches: (record: RequestRecord) => boolean): Promise<RequestRecord> =>
  waitFor('the record', async () => (await stats()).records.findLast(matches));

before(async () => {
  await egressCertificates(folder);
  const objects = join(folder, 'objects.yaml');
  writeFileSync(objects, egressWorld(ca));
  net.create();
  proxy = spawn(
    'ip',
    [
      ...['netns', 'exec', net.name, process.execPath, '--experimental-ffi', '--disable-warning=ExperimentalWarning'],
      ...[FIXTURE, folder, objects],
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  await once(proxy, 'message');
});

after(async () => {
  if (proxy !== undefined && proxy.exitCode === null) {
    proxy.kill('SIGKILL');
    await once(proxy, 'exit');
  }
  net.delete();
  rmSync(folder, { recursive: true, force: true });
});

describe('declared hosts', () => {
  test('a request goes where the sidecar finds its Host, whatever address the client connected to', async () => {
    const evil = at('api.example.com', 80, '10.88.0.66');
    assert.equal(await curl(...evil, 'http://api.example.com/'), '10.88.0.1 api.example.com plain\n');
    assert.equal(
      await curl(...at('v6.example.com', 80, '[fd88::66]'), 'http://v6.example.com/'),
      'fd88::1 v6.example.com plain\n',
    );
    const record = await lastRecord((one) => one.authority === 'api.example.com');
    assert.equal(record.destinationService, 'shop/api');
    assert.equal(record.status, 200);
  });

  test('TLS of the application goes where the sidecar finds its server name', async () => {
    const evil = at('api.example.com', 443, '10.88.0.66');
    const answer = await curl('--cacert', ca, ...evil, 'https://api.example.com/');
    assert.equal(answer, '10.88.0.1 api.example.com tls api.example.com\n');
    const v6 = await curl('--cacert', ca, ...at('v6.example.com', 443, '[fd88::66]'), 'https://v6.example.com/');
    assert.equal(v6, 'fd88::1 v6.example.com tls v6.example.com\n');
    const record = await lastRecord((one) => one.protocol === 'tcp' && one.authority === 'api.example.com');
    assert.deepEqual(
      [record.destinationService, record.cluster],
      ['shop/api', 'external/shop/api/443/api.example.com'],
    );
  });

  test('wildcards by Host and by server name', async () => {
    const evil = at('a.wild.example.com', 80, '10.88.0.66');
    assert.equal(await curl(...evil, 'http://a.wild.example.com/'), '10.88.0.1 a.wild.example.com plain\n');
    const tls = await curl('--cacert', ca, ...at('b.wild.example.com', 443, 'fd88::66'), 'https://b.wild.example.com/');
    assert.equal(tls, '10.88.0.1 b.wild.example.com tls b.wild.example.com\n');
    assert.ok((await stats()).asked.includes('b.wild.example.com'));
  });

  test('the sidecar begins TLS, and checks whom it meets', async () => {
    const secure = await curl(...at('secure.example.com', 8080, '10.88.0.66'), 'http://secure.example.com:8080/');
    assert.equal(secure, '10.88.0.1 secure.example.com:8080 tls secure.example.com\n');
    const below = await curl(...at('x.tls.example.com', 8080, '10.88.0.66'), 'http://x.tls.example.com:8080/');
    assert.equal(below, '10.88.0.1 x.tls.example.com:8080 tls x.tls.example.com\n');
    const misnamed = await curl(...at('misnamed.example.org', 8080, '10.88.0.1'), 'http://misnamed.example.org:8080/');
    assert.match(misnamed, /none of which matches \[dns exact misnamed\.example\.org\]/);
    // Authorities of the system know nothing of the test's.
    const unvouched = await curl(...at('api.example.com', 8082, '10.88.0.1'), 'http://api.example.com:8082/');
    assert.match(unvouched, /unable to get local issuer|certificate verify failed|unable to verify/i);
  });

  test('bytes by address', async () => {
    assert.equal(raw('10.88.0.1', 3306, ''), 'db at 10.88.0.1\n');
    assert.equal(raw('fd88::1', 3306, ''), 'db at fd88::1\n');
    const record = await lastRecord((one) => one.destination === '10.88.0.1:3306');
    assert.equal(record.destinationService, 'shop/db');
    assert.equal(raw('10.88.0.66', 3306, ''), '');
    assert.equal(raw('fd88::66', 3306, ''), '');
  });
});

describe('registry only', () => {
  const refused = /^exit (35|52|56)$/;

  test('an unknown Host is answered 502, an unknown server name is closed, and both are told', async () => {
    assert.equal(await status(...at('evil.example.org', 80, '10.88.0.66'), 'http://evil.example.org/'), '502');
    assert.match(await curl('-k', ...at('evil.example.org', 443, '10.88.0.66'), 'https://evil.example.org/'), refused);
    const request = await lastRecord((one) => one.status === 502);
    assert.deepEqual(
      [request.authority, request.destinationService, request.route],
      ['evil.example.org', 'external/unknown', 'block_all'],
    );
    const connection = await lastRecord((one) => one.flag === 'UH' && one.destination === '10.88.0.66:443');
    assert.deepEqual([connection.authority, connection.destinationService], ['evil.example.org', 'external/unknown']);
  });

  test('a port that nobody declared is closed, in both families', async () => {
    assert.match(await curl('http://10.88.0.66:9999/'), refused);
    assert.match(await curl('http://[fd88::66]:9999/'), refused);
    const record = await lastRecord((one) => one.flag === 'UH' && one.destination === '10.88.0.66:9999');
    assert.equal(record.authority, '10.88.0.66:9999');
  });

  test('a Host that is declared does not lead to an address that is not', async () => {
    assert.equal(await curl('-H', 'Host: api.example.com', 'http://10.88.0.66/'), '10.88.0.1 api.example.com plain\n');
    assert.equal(
      await curl('-H', 'Host: api.example.com:443', 'http://10.88.0.66/'),
      '10.88.0.1 api.example.com:443 plain\n',
    );
    assert.match(await curl('-H', 'Host: api.example.com', 'http://10.88.0.66:9999/'), refused);
  });

  test('addresses and other spellings are no declared hosts', async () => {
    const hosts = [
      '10.88.0.66',
      '10.88.0.1',
      '[fd88::1]',
      '[::ffff:10.88.0.1]',
      '168296449',
      'api.example.com.',
      'example.com',
      'wild.example.com',
      'evilwild.example.com',
      '.wild.example.com',
      'a.wild.example.com.evil.example.org',
      'api.example.com@evil.example.org',
    ];
    for (const host of hosts) {
      const code = await status('-H', `Host: ${host}`, 'http://10.88.0.66/');
      assert.match(code, /^(400|502)$/, host);
    }
    assert.equal(await curl('-H', 'Host: API.Example.COM', 'http://10.88.0.66/'), '10.88.0.1 API.Example.COM plain\n');
  });

  test('the target of a request counts before its Host', () => {
    // RFC 9112 section 3.2.2: with an absolute-form the Host field is ignored.
    const absolute = raw(
      '10.88.0.66',
      80,
      'GET http://evil.example.org/ HTTP/1.1\\r\\nHost: api.example.com\\r\\nConnection: close\\r\\n\\r\\n',
    );
    assert.match(absolute, /^HTTP\/1\.1 502 /);
    const allowed = raw(
      '10.88.0.66',
      80,
      'GET http://api.example.com/ HTTP/1.1\\r\\nHost: evil.example.org\\r\\nConnection: close\\r\\n\\r\\n',
    );
    assert.match(allowed, /10\.88\.0\.1 api\.example\.com plain/);
    const twice = raw(
      '10.88.0.66',
      80,
      'GET / HTTP/1.1\\r\\nHost: api.example.com\\r\\nHost: evil.example.org\\r\\n\\r\\n',
    );
    assert.match(twice, /^HTTP\/1\.1 400 /);
    const none = raw('10.88.0.66', 80, 'GET / HTTP/1.0\\r\\n\\r\\n');
    assert.match(none, /^HTTP\/1\.[01] (400|502) /);
  });

  test('CONNECT opens no tunnel, and no Upgrade but WebSocket passes', async () => {
    for (const target of ['evil.example.org:443', 'api.example.com:443', '10.88.0.66:9999']) {
      const answer = raw('10.88.0.66', 80, `CONNECT ${target} HTTP/1.1\\r\\nHost: ${target}\\r\\n\\r\\n`);
      assert.match(answer, /^HTTP\/1\.1 40[0345] /, target);
    }
    const upgrade = ['Host: api.example.com', 'Connection: Upgrade', 'Upgrade: tunnel'];
    assert.equal(await status(...upgrade.flatMap((field) => ['-H', field]), 'http://10.88.0.66/'), '403');
  });

  test('each request of a connection is judged for itself', () => {
    const both = raw(
      '10.88.0.66',
      80,
      'GET / HTTP/1.1\\r\\nHost: api.example.com\\r\\n\\r\\nGET / HTTP/1.1\\r\\nHost: evil.example.org\\r\\nConnection: close\\r\\n\\r\\n',
    );
    assert.match(both, /^HTTP\/1\.1 200 [\s\S]*10\.88\.0\.1 api\.example\.com plain[\s\S]*HTTP\/1\.1 502 /);
  });

  test('HTTP/2 is judged as HTTP/1 is', async () => {
    const h2 = ['--http2-prior-knowledge', ...at('evil.example.org', 80, '10.88.0.66')];
    assert.equal(await status(...h2, 'http://evil.example.org/'), '502');
    assert.equal(await status(...h2, '-H', 'Host: api.example.com', 'http://evil.example.org/'), '502');
  });

  test('TLS without a server name, or one that only its Host would allow, goes nowhere', async () => {
    assert.match(await curl('-k', 'https://10.88.0.1/'), refused);
    const fronted = ['-k', ...at('evil.example.org', 443, '10.88.0.66'), '-H', 'Host: api.example.com'];
    assert.match(await curl(...fronted, 'https://evil.example.org/'), refused);
  });

  test('bytes that are neither TLS nor HTTP do not pass on a port for these', () => {
    assert.equal(raw('10.88.0.66', 80, 'SSH-2.0-x\\r\\n'), '');
    assert.equal(raw('10.88.0.66', 443, 'GET / HTTP/1.1\\r\\nHost: api.example.com\\r\\n\\r\\n'), '');
  });

  test('an IPv4 address by way of IPv6 is the IPv4 address', () => {
    assert.equal(raw('::ffff:10.88.0.66', 3306, ''), '');
    assert.equal(raw('::ffff:10.88.0.1', 3306, ''), 'db at 10.88.0.1\n');
  });
});

describe('allowed', () => {
  before(() => apply(mesh('Allow')));

  test('what nobody declared passes, with its name in the record', async () => {
    assert.equal(await curl('http://10.88.0.66:9999/'), '10.88.0.66 10.88.0.66:9999 plain\n');
    const unknown = at('evil.example.org', 443, '10.88.0.66');
    assert.equal(
      await curl('-k', ...unknown, 'https://evil.example.org/'),
      '10.88.0.66 evil.example.org tls evil.example.org\n',
    );
    assert.equal(await curl('-H', 'Host: evil.example.org', 'http://[fd88::66]/'), 'fd88::66 evil.example.org plain\n');
    const opaque = await lastRecord((one) => one.destination === '10.88.0.66:9999' && one.flag !== 'UH');
    assert.deepEqual(
      [opaque.cluster, opaque.destinationService, opaque.authority],
      ['passthrough', 'external/unknown', '10.88.0.66:9999'],
    );
    const tls = await lastRecord((one) => one.destination === '10.88.0.66:443' && one.flag !== 'UH');
    assert.deepEqual(
      [tls.cluster, tls.destinationService, tls.authority],
      ['passthrough', 'external/unknown', 'evil.example.org'],
    );
    const request = await lastRecord((one) => one.route === 'allow_any');
    assert.deepEqual(
      [request.cluster, request.destinationService, request.authority],
      ['passthrough', 'external/unknown', 'evil.example.org'],
    );
  });

  test('declared hosts still go where the sidecar finds them', async () => {
    assert.equal(await curl('-H', 'Host: api.example.com', 'http://10.88.0.66/'), '10.88.0.1 api.example.com plain\n');
  });

  test('a server that speaks first is heard', () => {
    assert.equal(raw('10.88.0.66', 3306, ''), 'db at 10.88.0.66\n');
  });
});
