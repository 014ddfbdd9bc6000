/** What access logs say of the same requests: one bootstrap, with every operator that Weft takes, on Weft and on Envoy. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { plainLogFields } from '../../policies/model/log-fields.ts';
import { CLOSE, exchange, get, type Subject, Surface } from '../integration/envoy-surface.fixture.ts';
import { cluster, type JsonObject, route, typed } from '../support/pair-bootstrap.ts';
import { waitFor } from '../support/wait.ts';

const surface = new Surface('access-log');

after(() => surface.close());

const LISTED = '{"operators": ["TRACE_ID", {"command": "REQ", "param": ":authority", "max_length": 3}]}';
const points = ['DS_RX_BEG', 'DS_RX_END', 'US_TX_BEG', 'US_TX_END', 'US_RX_BEG', 'DS_TX_BEG', 'DS_TX_END'];

/** Said alike. */
const withArguments: readonly string[] = [
  'REQ(X-A?:PATH):4',
  'RESP(X-B)',
  'RESP(:STATUS)',
  'TRAILER(X-T)',
  'PATH',
  'PATH(NQ)',
  'PATH(WQ:PATH)',
  'PATH(NQ:ORIG)',
  'QUERY_PARAM(w)',
  'QUERY_PARAM(none)',
  'QUERY_PARAM(empty)',
  'QUERY_PARAMS',
  'QUERY_PARAMS(DECODED)',
  'QUERY_PARAMS(ORIG):5',
  'GRPC_STATUS',
  'ENVIRONMENT(WEFT_NONE)',
  'RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)',
  'REQUESTED_SERVER_NAME(SNI_FIRST)',
  'REQUESTED_SERVER_NAME(HOST_FIRST:HOST)',
  'REQUESTED_SERVER_NAME(HOST_FIRST:ORIG)',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(12)',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(0)',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(40)',
  'DOWNSTREAM_PEER_CERT_V_START',
  'DOWNSTREAM_PEER_CERT_V_END(%Y-%m-%d %I %p %A %B %u %w %R %T %2f)',
  'UPSTREAM_PEER_CERT_V_START(%s.%3f)',
  'UPSTREAM_PEER_CERT_V_END',
  `COALESCE(${LISTED})`,
];

/** Of another connection, another moment, or counted on another wire: said by both or by neither. */
const own = new Set<string>([
  'START_TIME(%s)',
  'START_TIME_LOCAL',
  'EMIT_TIME',
  'EMIT_TIME_LOCAL(%Y %z)',
  ...points.slice(1).map((point) => `COMMON_DURATION(DS_RX_BEG:${point}:ns)`),
  ...plainLogFields.filter((field) =>
    /ADDRESS$|_PORT$|_ID$|IDS_ATTEMPTED|DURATION$|_BYTES|^UPSTREAM_HOST$|HOSTNAME$|TLS_CIPHER$|REMOTE_ADDRESS_WITHOUT_PORT$/.test(
      field,
    ),
  ),
]);
const format: JsonObject = Object.fromEntries(
  [...plainLogFields, ...withArguments, ...own].map((operator) => [operator, `%${operator}%`]),
);

interface Files {
  readonly certificate: string;
  readonly key: string;
}

function issue(name: string): Files {
  const files = { certificate: join(surface.folder, `${name}.crt`), key: join(surface.folder, `${name}.key`) };
  const names = `subjectAltName=DNS:${name}.example,IP:10.1.2.3,email:${name}@a.example,URI:https://a/${name}`;
  const made = ['req', '-x509', '-nodes', '-days', '1', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const more = ['-subj', `/O=weft/CN=${name}`, '-addext', names, '-keyout', files.key, '-out', files.certificate];
  execFileSync('openssl', [...made, ...more], { stdio: 'ignore' });
  return files;
}

const commonTls = (shown: Files, trusted: Files): JsonObject => ({
  tls_certificates: [{ certificate_chain: { filename: shown.certificate }, private_key: { filename: shown.key } }],
  validation_context: { trusted_ca: { filename: trusted.certificate } },
});

describe('access logs', { timeout: 60_000 }, () => {
  let both: readonly [Subject, Subject];
  let client: Files;

  before(async () => {
    client = issue('client');
    const server = issue('server');
    const answer = createServer((_request, response) => void response.setHeader('x-b', 'b').end('hello'));
    const keys = { cert: readFileSync(server.certificate), key: readFileSync(server.key), requestCert: true };
    const app = await surface.listen(answer);
    const secure = await surface.listen(
      createSecureServer({ ...keys, ca: readFileSync(client.certificate) }, (_request, response) => {
        response.end('secure');
      }),
    );
    const log: JsonObject = {
      name: 'log',
      typed_config: typed('extensions.access_loggers.stream.v3.StdoutAccessLog', {
        log_format: { json_format: { ...format, key: 'line %REQ(X-CASE)%' } },
      }),
    };
    const opaqueLog: JsonObject = {
      name: 'log',
      typed_config: typed('extensions.access_loggers.stream.v3.StdoutAccessLog', {
        log_format: { json_format: { ...format, key: 'line tcp%REQ(X-CASE)%' } },
      }),
    };
    const tls = {
      name: 'tls',
      typed_config: typed('extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
        require_client_certificate: true,
        common_tls_context: commonTls(server, client),
      }),
    };
    const upstreamTls = {
      name: 'tls',
      typed_config: typed('extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
        sni: 'server.example',
        common_tls_context: {
          ...commonTls(client, server),
          tls_params: { tls_maximum_protocol_version: 'TLSv1_3', ecdh_curves: ['X25519'] },
        },
      }),
    };
    both = await surface.startBoth({
      managers: { plain: { access_log: [log], delayed_close_timeout: '0.05s' }, tls: { access_log: [log] } },
      proxies: { tcp: { cluster: 'secure', access_log: [opaqueLog] } },
      tls: { tls, tcp: tls },
      routes: [
        route('secure', '/secure', 'secure', { prefix_rewrite: '/other', host_rewrite_literal: 'rewritten' }),
        { match: { prefix: '/own' }, direct_response: { status: 418, body: { inline_string: 'own' } } },
        route('r', '/', 'app'),
      ],
      clusters: [
        cluster({ name: 'app', endpoints: [app] }),
        cluster({ name: 'secure', endpoints: [secure], tls: upstreamTls }),
      ],
    });
  });

  const lineOf = async (proxy: Subject, name: string): Promise<Record<string, unknown>> => {
    const found = await waitFor(name, () =>
      proxy.program.stdout.split('\n').find((line) => line.includes(`"line ${name}"`)),
    );
    return JSON.parse(found);
  };

  async function compare(name: string, not: readonly string[] = []): Promise<void> {
    const [weft, envoy] = await Promise.all(both.map((proxy) => lineOf(proxy, name)));
    const wrong: string[] = [];
    for (const operator of Object.keys(format)) {
      if (not.includes(operator)) continue;
      const ours = weft?.[operator];
      const theirs = envoy?.[operator];
      const alike = own.has(operator) ? (ours === null) === (theirs === null) : ours === theirs;
      if (!alike) wrong.push(`${operator}: weft ${JSON.stringify(ours)}, envoy ${JSON.stringify(theirs)}`);
    }
    assert.deepEqual(wrong, []);
  }

  for (const [name, path] of [
    ['plain', '/a/b?w=1%202&empty=&w=3&x=%2F%3D%26%21%2A%27%28%29%7E%2B%C3%A9+&y&%41=%42'],
    ['rewritten', '/secure/x?q=%41'],
    ['direct', '/own'],
  ] as const) {
    test(`of plaintext: ${name}`, async () => {
      for (const { ports } of both) {
        await exchange(ports['plain'] ?? 0, get(path, `X-Case: ${name}`, 'X-A: 12345', CLOSE));
      }
      await compare(name);
    });
  }

  test('of opaque bytes in TLS', async () => {
    await shakeHands('tcp');
    await compare('tcp-', ['REQUESTED_SERVER_NAME', 'REQUESTED_SERVER_NAME(SNI_FIRST)']);
  });

  test('of TLS', async () => {
    await shakeHands('tls');
    // Envoy knows the name only where the listener filter tls_inspector looked for it.
    await compare('tls', ['REQUESTED_SERVER_NAME', 'REQUESTED_SERVER_NAME(SNI_FIRST)']);
  });

  async function shakeHands(name: string): Promise<void> {
    for (const { ports } of both) {
      const socket = await new Promise<TLSSocket>((resolve, reject) => {
        const options = { cert: readFileSync(client.certificate), key: readFileSync(client.key) };
        const made = connect({
          port: ports[name] ?? 0,
          servername: 'server.example',
          rejectUnauthorized: false,
          ...options,
        });
        made.once('secureConnect', () => resolve(made)).once('error', reject);
      });
      socket.write(get('/secure', 'X-Case: tls', CLOSE));
      await new Promise((resolve) => socket.resume().once('close', resolve));
    }
  }
});
