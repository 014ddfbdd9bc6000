/** Bootstraps with much in them, which a real Envoy takes, and Weft as well; and what TLS settings do. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { type CertificateFiles, CertificateFolder } from '../support/certs.ts';
import { findEnvoy, startEnvoy } from '../support/envoy.ts';
import { bootstrap, cluster, httpListener, type JsonObject, route, typed } from '../support/pair-bootstrap.ts';
import { freePort, Program } from '../support/pair-process.ts';
import { runSidecar, startSidecar, testFolder } from '../support/pair-sidecar.ts';

const CLIENT_ID = 'spiffe://cluster.local/ns/shop/sa/client';
const SERVER_ID = 'spiffe://cluster.local/ns/shop/sa/server';

const folder = testFolder('bootstrap');
let client: CertificateFiles;
let other: CertificateFiles;
let server: CertificateFiles;
let origin: Server;
const programs: Program[] = [];

before(async () => {
  const authority = await CertificateFolder.make(folder);
  client = await authority.issue('client', CLIENT_ID);
  other = await authority.issue('other', CLIENT_ID);
  server = await authority.issue('server', SERVER_ID);
  origin = createServer((_request, response) => void response.end('ok'));
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
});

after(async () => {
  for (const program of programs) await program.stop();
  origin.close();
  rmSync(folder, { recursive: true, force: true });
});

const leaf = (files: CertificateFiles): X509Certificate => new X509Certificate(readFileSync(files.certificateFile));

const spki = (files: CertificateFiles): string =>
  createHash('sha256')
    .update(leaf(files).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');

const tls = (validation: JsonObject): JsonObject => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: typed('extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: {
      tls_params: {
        tls_minimum_protocol_version: 'TLSv1_2',
        tls_maximum_protocol_version: 'TLSv1_3',
        cipher_suites: ['ECDHE-ECDSA-AES256-GCM-SHA384'],
        ecdh_curves: ['P-256'],
      },
      tls_certificates: [
        { certificate_chain: { filename: server.certificateFile }, private_key: { filename: server.keyFile } },
      ],
      validation_context: { trusted_ca: { filename: server.trustFile }, ...validation },
    },
  }),
});

async function made(
  port: number,
  adminPort: number,
  pins: JsonObject,
  manager: JsonObject = {},
  more: readonly JsonObject[] = [],
): Promise<string> {
  const app = { ip: '127.0.0.1', port: (origin.address() as AddressInfo).port };
  return bootstrap({
    id: 'x',
    adminPort,
    listeners: [
      httpListener({
        name: 'l',
        at: { ip: '127.0.0.1', port },
        direction: 'INBOUND',
        tls: tls(pins),
        manager,
        routes: [route('r', '/', 'app')],
      }),
    ],
    clusters: [cluster({ name: 'app', endpoints: [app] }), ...more],
  });
}

const everything: JsonObject = {
  server_header_transformation: 'OVERWRITE',
  server_name: 'front',
  via: 'front',
  generate_request_id: true,
  preserve_external_request_id: true,
  always_set_request_id_in_response: true,
  use_remote_address: true,
  xff_num_trusted_hops: 1,
  skip_xff_append: true,
  forward_client_cert_details: 'SANITIZE_SET',
  set_current_client_cert_details: { uri: true, dns: true },
  strip_any_host_port: true,
  upgrade_configs: [{ upgrade_type: 'websocket' }],
  common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST', idle_timeout: '10s' },
  http_protocol_options: { accept_http_10: true, allow_absolute_url: true, enable_trailers: true },
};

const dns = (name: string, type: string, family: string): JsonObject => ({
  name,
  type,
  dns_lookup_family: family,
  connect_timeout: '1s',
  load_assignment: {
    cluster_name: name,
    endpoints: [
      { lb_endpoints: [{ endpoint: { address: { socket_address: { address: 'localhost', port_value: 80 } } } }] },
    ],
  },
  outlier_detection: {
    consecutive_5xx: 2,
    consecutive_gateway_failure: 2,
    enforcing_consecutive_gateway_failure: 50,
    split_external_local_origin_errors: true,
    max_ejection_time: '400s',
    max_ejection_time_jitter: '1s',
    always_eject_one_host: true,
    success_rate_stdev_factor: 1500,
    failure_percentage_threshold: 50,
  },
  common_lb_config: { healthy_panic_threshold: { value: 20 } },
});

test('what Weft takes, Envoy takes too', { timeout: 60_000 }, async () => {
  const more = [
    dns('a', 'STRICT_DNS', 'V4_ONLY'),
    dns('b', 'LOGICAL_DNS', 'V4_PREFERRED'),
    dns('c', 'STRICT_DNS', 'ALL'),
  ];
  const pins = { verify_certificate_hash: [leaf(client).fingerprint256], verify_certificate_spki: [spki(client)] };
  const text = await made(await freePort(), await freePort(), pins, everything, more);
  const weft = runSidecar(folder, text, '--check');
  const envoy = new Program(await findEnvoy(), ['--mode', 'validate', '--config-yaml', text]);
  programs.push(weft, envoy);
  assert.equal(await weft.exitCode(), 0, weft.stderr);
  assert.equal(await envoy.exitCode(), 0, envoy.stderr);
});

/** The cipher that was agreed on and the answer, or the error. */
function ask(port: number, files: CertificateFiles, version: 'TLSv1.2' | 'TLSv1.3'): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      cert: readFileSync(files.certificateFile),
      key: readFileSync(files.keyFile),
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
    });
    let text = '';
    socket.once('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => resolve('refused'));
    let cipher = '';
    socket.once('secureConnect', () => {
      cipher = version === 'TLSv1.2' ? socket.getCipher().name : version;
    });
    socket.on('close', () => resolve(text === '' ? 'refused' : `${cipher} ${text.slice(9, 12)}`));
  });
}

test('clients are known by the hash of a certificate or of its key; TLS 1.2 has the one suite', {
  timeout: 60_000,
}, async () => {
  for (const pins of [
    { verify_certificate_hash: [leaf(client).fingerprint256] },
    { verify_certificate_spki: [spki(client)] },
  ]) {
    const [weftPort, weftAdmin, envoyPort, envoyAdmin] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    programs.push(await startSidecar(folder, await made(weftPort, weftAdmin, pins)));
    programs.push(await startEnvoy(folder, await made(envoyPort, envoyAdmin, pins), envoyAdmin));
    for (const port of [weftPort, envoyPort]) {
      assert.equal(await ask(port, client, 'TLSv1.3'), 'TLSv1.3 200');
      assert.equal(await ask(port, client, 'TLSv1.2'), 'ECDHE-ECDSA-AES256-GCM-SHA384 200');
      assert.equal(await ask(port, other, 'TLSv1.3'), 'refused');
    }
  }
});
