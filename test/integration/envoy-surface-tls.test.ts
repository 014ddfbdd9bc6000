/** Certificates of a listener: which one a client gets, on Weft and on a real Envoy, and what happens when files change. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { checkCertificates } from '../../sidecar/bootstrap/certificates.ts';
import { loadBootstrap } from '../../sidecar/bootstrap/load.ts';
import { bootstrap, cluster, httpListener, type JsonObject, route, typed } from '../support/pair-bootstrap.ts';
import { adminPage } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { type Subject, Surface, same } from './envoy-surface.fixture.ts';

const surface = new Surface('surface-tls');

after(() => surface.close());

const LOGGED = [
  'UPSTREAM_TLS_VERSION',
  'UPSTREAM_TLS_CIPHER',
  'UPSTREAM_PEER_SUBJECT',
  'UPSTREAM_PEER_ISSUER',
  'UPSTREAM_PEER_URI_SAN',
  'UPSTREAM_PEER_DNS_SAN',
  'DOWNSTREAM_TLS_VERSION',
  'DOWNSTREAM_TLS_CIPHER',
  'DOWNSTREAM_PEER_SUBJECT',
  'DOWNSTREAM_PEER_ISSUER',
  'DOWNSTREAM_PEER_SERIAL',
  'DOWNSTREAM_PEER_DNS_SAN',
  'DOWNSTREAM_PEER_URI_SAN',
  'DOWNSTREAM_PEER_FINGERPRINT_256',
];

interface Files {
  readonly certificate: string;
  readonly key: string;
}

function issue(folder: string, name: string, kind: 'ec' | 'rsa', names: readonly string[]): Files {
  const files = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  const algorithm = kind === 'rsa' ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const sans = names.map((one) => `DNS:${one}`).join(',');
  const options = ['req', '-x509', '-nodes', '-days', '1', '-newkey', ...algorithm, '-subj', `/O=weft/CN=${name}`];
  const extension = sans === '' ? [] : ['-addext', `subjectAltName=${sans}`];
  execFileSync('openssl', [...options, ...extension, '-keyout', files.key, '-out', files.certificate], {
    stdio: 'ignore',
  });
  return files;
}

const socketOf = (certificates: readonly Files[], more: JsonObject = {}, validation?: JsonObject): JsonObject => ({
  name: 'tls',
  typed_config: typed('extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    ...more,
    common_tls_context: {
      ...(validation === undefined ? {} : { validation_context: validation }),
      tls_certificates: certificates.map(({ certificate, key }) => ({
        certificate_chain: { filename: certificate },
        private_key: { filename: key },
      })),
    },
  }),
});

function handshake(port: number | undefined, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: port ?? 0, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () =>
      resolve(socket),
    );
    socket.on('error', reject);
  });
}

/** The common name of the certificate that a client gets, or why there is none. */
async function servedName(port: number | undefined, options?: ConnectionOptions): Promise<string> {
  try {
    const socket = await handshake(port, options);
    const name = socket.getPeerX509Certificate()?.subject.replace('O=weft\n', '') ?? '';
    socket.destroy();
    return name;
  } catch {
    return 'refused';
  }
}

/** Whether a second connection resumes the session of a first. */
async function resumes(port: number | undefined, version: 'TLSv1.2' | 'TLSv1.3'): Promise<boolean> {
  const versions = { minVersion: version, maxVersion: version } as const;
  const first = await handshake(port, versions);
  let session: Buffer | undefined;
  first.on('session', (one: Buffer) => {
    session = one;
  });
  first.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await new Promise((resolve) => first.once('data', resolve));
  const kept = session ?? first.getSession();
  first.destroy();
  const second = await handshake(port, { ...versions, ...(kept === undefined ? {} : { session: kept }) });
  const reused = second.isSessionReused();
  second.destroy();
  return reused;
}

describe('certificates', { timeout: 90_000 }, () => {
  let both: readonly [Subject, Subject];
  let client: Files;
  let rotating: { readonly mounted: string; turn(version: string): void };

  before(async () => {
    const { folder } = surface;
    const made = [
      issue(folder, 'first', 'ec', ['a.example']),
      issue(folder, 'wild', 'ec', ['*.b.example', 'b.example']),
      issue(folder, 'common.example', 'ec', []),
    ];
    const kinds = [issue(folder, 'one-ec', 'ec', ['c.example']), issue(folder, 'one-rsa', 'rsa', ['c.example'])];
    rotating = mountedSecret(folder);
    const mounted = { certificate: join(rotating.mounted, 'tls.crt'), key: join(rotating.mounted, 'tls.key') };
    client = issue(folder, 'client', 'ec', ['client.example']);
    const files = { cert: readFileSync(kinds[1]?.certificate ?? ''), key: readFileSync(kinds[1]?.key ?? '') };
    const secure = await surface.listen(createSecureServer(files, (_request, response) => void response.end('ok')));
    const upstream: JsonObject = {
      name: 'tls',
      typed_config: typed('extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
        common_tls_context: { tls_params: { tls_maximum_protocol_version: 'TLSv1_3' } },
      }),
    };
    const log: JsonObject = {
      name: 'log',
      typed_config: typed('extensions.access_loggers.stream.v3.StdoutAccessLog', {
        log_format: {
          json_format: {
            local: '%UPSTREAM_LOCAL_ADDRESS%',
            name: '%REQUESTED_SERVER_NAME%',
            ip: '%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%',
            ...Object.fromEntries(LOGGED.map((operator) => [operator, `%${operator}%`])),
          },
        },
      }),
    };
    const app = await surface.listen(createServer((_request, response) => void response.end('ok')));
    both = await surface.startBoth({
      managers: { names: {}, kinds: {}, tickets: {}, none: {}, mounted: {}, logged: { access_log: [log] } },
      tls: {
        names: socketOf(made),
        kinds: socketOf(kinds),
        tickets: socketOf(made.slice(0, 1)),
        none: socketOf(made.slice(0, 1), { disable_stateless_session_resumption: true }),
        mounted: socketOf([mounted]),
        logged: socketOf(
          made.slice(0, 1),
          { require_client_certificate: true },
          { trusted_ca: { filename: client.certificate } },
        ),
      },
      routes: [route('log', '/log', 'secure'), route('r', '/', 'app')],
      clusters: [
        cluster({ name: 'app', endpoints: [app] }),
        cluster({ name: 'secure', endpoints: [secure], tls: upstream }),
      ],
    });
  });

  for (const servername of [
    'a.example',
    'A.Example',
    'b.example',
    'x.b.example',
    'y.x.b.example',
    'common.example',
    'other',
    '',
  ]) {
    test(`for the name "${servername}"`, async () => {
      await same(both, ({ ports }) => servedName(ports['names'], { servername }));
    });
  }

  test('for a client that takes one kind of key', async () => {
    for (const [ciphers, wanted] of [
      ['ECDHE-RSA-AES128-GCM-SHA256', 'CN=one-rsa'],
      ['ECDHE-ECDSA-AES128-GCM-SHA256', 'CN=one-ec'],
    ] as const) {
      const options = { servername: 'c.example', maxVersion: 'TLSv1.2', ciphers } as const;
      await same(both, ({ ports }) => servedName(ports['kinds'], options), wanted);
    }
  });

  test('both kinds beside other names are refused by path', () => {
    const { folder } = surface;
    const files = ['first', 'one-ec', 'one-rsa'].map((name) => ({
      certificate: join(folder, `${name}.crt`),
      key: join(folder, `${name}.key`),
    }));
    const options = { name: 'l', at: { ip: '127.0.0.1', port: 1 }, direction: 'INBOUND', routes: [] } as const;
    const text = bootstrap({
      id: 'x',
      adminPort: 1,
      listeners: [httpListener({ ...options, tls: socketOf(files) })],
      clusters: [],
    });
    const loaded = loadBootstrap(text);
    assert.ok(loaded.ok);
    const at = 'static_resources.listeners[0].filter_chains[0].transport_socket.typed_config.common_tls_context';
    assert.deepEqual(
      checkCertificates(loaded.value).map(({ path }) => path),
      [`${at}.tls_certificates[2]`],
    );
  });

  test('what a log says of connections', async () => {
    const [weft, envoy] = both;
    for (const { ports } of both) {
      const socket = await handshake(ports['logged'], {
        servername: 'a.example',
        cert: readFileSync(client.certificate),
        key: readFileSync(client.key),
      });
      socket.write('GET /log HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      await new Promise((resolve) => socket.resume().once('close', resolve));
    }
    const lines = ({ program }: Subject) =>
      program.stdout.split('\n').flatMap((line) => (line.startsWith('{"DOWNSTREAM') ? [JSON.parse(line)] : []));
    const [own, other] = await waitFor('lines', () => {
      const found = [...lines(weft), ...lines(envoy)];
      return found.length === 2 ? found : undefined;
    });
    // Envoy knows the name only where the listener filter tls_inspector looked for it.
    const { local, name, ...facts } = own;
    const { local: theirs, name: _, ...wanted } = other;
    assert.equal(name, 'a.example');
    assert.deepEqual(facts, wanted);
    assert.match(local, /^127\.0\.0\.1:\d+$/);
    assert.match(theirs, /^127\.0\.0\.1:\d+$/);
  });

  test('sessions are resumed unless they may not be', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      await same(both, ({ ports }) => resumes(ports['tickets'], version), true);
    }
    // Envoy keeps TLS 1.2 sessions itself then; Weft keeps none.
    await same(both, ({ ports }) => resumes(ports['none'], 'TLSv1.3'), false);
    assert.equal(await resumes(both[0].ports['none'], 'TLSv1.2'), false);
  });

  test('a Secret that is mounted anew is taken by new connections; a broken one is not', async () => {
    const [{ ports, adminPort }] = both;
    const port = ports['mounted'];
    const old = await handshake(port);
    assert.match(old.getPeerX509Certificate()?.subject ?? '', /CN=v1/);
    rotating.turn('v2');
    await waitFor('the new certificate', async () => (await servedName(port)) === 'CN=v2' || undefined);
    rotating.turn('broken');
    const unusable = async (): Promise<true | undefined> => {
      await servedName(port);
      const { text } = await adminPage(adminPort, '/stats/prometheus');
      return /weft_events_total\{[^}]*tls\.files_unusable[^}]*\} [1-9]/.test(text) || undefined;
    };
    await waitFor('the broken file to be counted', unusable);
    assert.equal(await servedName(port), 'CN=v2');
    rotating.turn('v3');
    await waitFor('the one after it', async () => (await servedName(port)) === 'CN=v3' || undefined);
    // Nobody who is connected is disturbed.
    const answer = new Promise<string>((resolve) => old.once('data', (chunk: Buffer) => resolve(chunk.toString())));
    old.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.match(await answer, /^HTTP\/1\.1 200/);
    old.destroy();
  });
});

/** As kubelet mounts Secrets: files are links into `..data`, a link to a folder that is turned to another by a rename. */
function mountedSecret(folder: string): { readonly mounted: string; turn(version: string): void } {
  const mounted = join(folder, 'mounted');
  mkdirSync(mounted);
  for (const version of ['v1', 'v2', 'v3', 'broken']) {
    const inside = join(mounted, `..${version}`);
    mkdirSync(inside);
    const { certificate, key } = issue(inside, version, 'ec', [`${version}.example`]);
    renameSync(certificate, join(inside, 'tls.crt'));
    renameSync(key, join(inside, 'tls.key'));
  }
  const broken = join(mounted, '..broken', 'tls.key');
  writeFileSync(broken, readFileSync(join(mounted, '..v1', 'tls.key')));
  const turn = (version: string): void => {
    symlinkSync(`..${version}`, join(mounted, '..new'));
    renameSync(join(mounted, '..new'), join(mounted, '..data'));
  };
  turn('v1');
  for (const file of ['tls.crt', 'tls.key']) symlinkSync(`..data/${file}`, join(mounted, file));
  return { mounted, turn };
}
