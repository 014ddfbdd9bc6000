/**
 * An Envoy with a configuration of its own takes the mesh's trust from the control plane, by ADS: each trust domain by its
 * own anchors, at once when they change. Its certificate is a file, as spiffe-helper keeps one.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { createRoot } from '@weft/control-plane/ca/root';
import { syncReport } from '@weft/control-plane/monitoring/sync';
import { type Harness, signFor, startHarness, trustDomain } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { decodePem } from '@weft/policies/identity/x509/pem';
import { CertificateFolder } from '../support/certs.ts';
import { startEnvoy } from '../support/envoy.ts';
import { type Json, type JsonObject, typed } from '../support/pair-bootstrap.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const CONTROL_PLANE = 'weft-control-plane.weft-system.svc';
const CART = 'spiffe://cluster.local/ns/shop/sa/cart';
const PARTNER = 'spiffe://partner.example/ns/shop/sa/cart';
const folder = testFolder('trust-envoy');

interface Peer {
  readonly name: string;
  readonly spiffeId: string;
  readonly chainPem: string;
  readonly keyPem: string;
}

/** Greets whoever shows a certificate by the name in it. */
async function listen({ chainPem, keyPem }: Peer, trustPem: string) {
  const server = createServer({ cert: chainPem, key: keyPem, ca: trustPem, requestCert: true, minVersion: 'TLSv1.3' });
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => {});
    socket.end(`hello ${socket.getPeerCertificate().subjectaltname}`);
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

const loopback = (port: number): JsonObject => ({ socket_address: { address: '127.0.0.1', port_value: port } });
const http2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('extensions.upstreams.http.v3.HttpProtocolOptions', {
    explicit_http_config: { http2_protocol_options: {} },
  }),
};
const upstreamTls = (fields: JsonObject): JsonObject => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: typed('extensions.transport_sockets.tls.v3.UpstreamTlsContext', fields),
});
const cluster = (name: string, port: number, more: JsonObject): JsonObject => ({
  name,
  type: 'STATIC',
  load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(port) } }] }] },
  ...more,
});

const ownCertificate: JsonObject = {
  certificate_chain: { filename: join(folder, 'svid.pem') },
  private_key: { filename: join(folder, 'key.pem') },
};

/** What an operator writes: a certificate from a file, and `weft.dev/trust` for whoever is called. */
function meshTls(spiffeId: string): JsonObject {
  return upstreamTls({
    common_tls_context: {
      tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
      tls_certificates: [ownCertificate],
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: spiffeId } }],
        },
        validation_context_sds_secret_config: {
          name: 'weft.dev/trust',
          sds_config: { ads: {}, resource_api_version: 'V3' },
        },
      },
    },
  });
}

function controlPlaneTls(trustFile: string): JsonObject {
  return upstreamTls({
    sni: CONTROL_PLANE,
    common_tls_context: {
      alpn_protocols: ['h2'],
      tls_certificates: [ownCertificate],
      validation_context: {
        trusted_ca: { filename: trustFile },
        match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: CONTROL_PLANE } }],
      },
    },
  });
}

describe('trust of the mesh in an Envoy', { timeout: 60_000 }, () => {
  let harness: Harness;
  let envoy: Program | undefined;
  let partner: CertificateFolder;
  const closing: (() => void)[] = [];
  const ports: Record<string, number> = {};

  const peers = async (): Promise<readonly Peer[]> => {
    const own = await signFor(harness, { token: 'cart-token' }, { namespace: 'shop', serviceAccount: 'cart' });
    assert.ok(own.ok, own.ok ? '' : own.details);
    const keyPem = own.key.export({ type: 'pkcs8', format: 'pem' }).toString();
    partner = await CertificateFolder.make(folder, 'partner');
    const issued = async (name: string, spiffeId: string): Promise<Peer> => {
      const { certificateFile, keyFile } = await partner.issue(`${name}-leaf`, spiffeId);
      return { name, spiffeId, chainPem: readFileSync(certificateFile, 'utf8'), keyPem: readFileSync(keyFile, 'utf8') };
    };
    return [
      { name: 'own', spiffeId: CART, chainPem: own.chainPem, keyPem },
      await issued('partner', PARTNER),
      await issued('impostor', CART),
    ];
  };

  const bootstrap = (known: readonly (Peer & { readonly port: number })[], adminPort: number): string => {
    const port = Number(harness.address.split(':')[1]);
    const trustFile = join(folder, 'root-cert.pem');
    const listener = ({ name }: Peer): Json => ({
      name,
      address: loopback(ports[name] ?? 0),
      filter_chains: [
        {
          filters: [
            {
              name: 'tcp',
              typed_config: typed('extensions.filters.network.tcp_proxy.v3.TcpProxy', {
                stat_prefix: name,
                cluster: name,
              }),
            },
          ],
        },
      ],
    });
    const clustersFile = join(folder, 'clusters.json');
    const resources = known.map((one) => ({
      ...typed('config.cluster.v3.Cluster'),
      ...cluster(one.name, one.port, { transport_socket: meshTls(one.spiffeId) }),
    }));
    writeFileSync(clustersFile, JSON.stringify({ version_info: '1', resources }));
    return JSON.stringify({
      node: { id: 'sidecar~10.1.0.3~web-a.shop~cluster.local', cluster: 'web' },
      admin: { address: loopback(adminPort) },
      dynamic_resources: {
        ads_config: {
          api_type: 'DELTA_GRPC',
          transport_api_version: 'V3',
          grpc_services: [{ envoy_grpc: { cluster_name: 'control-plane' } }],
        },
        // By file, and so after ADS is up: Envoy 1.40 falls over a static cluster with a secret by ADS.
        cds_config: { path_config_source: { path: clustersFile }, resource_api_version: 'V3' },
      },
      static_resources: {
        listeners: known.map(listener),
        clusters: [
          cluster('control-plane', port, {
            typed_extension_protocol_options: http2,
            transport_socket: controlPlaneTls(trustFile),
          }),
        ],
      },
    });
  };

  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
    const trustPem = harness.authority.trustBundlePem;
    writeFileSync(join(folder, 'root-cert.pem'), trustPem);
    const web = await signFor(harness, { token: 'web-token' }, { namespace: 'shop', serviceAccount: 'web' });
    assert.ok(web.ok);
    writeFileSync(join(folder, 'svid.pem'), web.chainPem);
    writeFileSync(join(folder, 'key.pem'), web.key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const known: (Peer & { readonly port: number })[] = [];
    for (const peer of await peers()) {
      const { port, close } = await listen(peer, trustPem);
      closing.push(close);
      ports[peer.name] = await freePort();
      known.push({ ...peer, port });
    }
    const adminPort = await freePort();
    envoy = await startEnvoy(folder, bootstrap(known, adminPort), adminPort);
  });
  after(async () => {
    await envoy?.stop();
    for (const close of closing) close();
    await harness?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a peer says through the Envoy; empty where the Envoy does not take it for whom it wants. */
  const said = (name: string): Promise<string> =>
    new Promise((resolve) => {
      let text = '';
      const socket = connect(ports[name] ?? 0, '127.0.0.1');
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
    });
  const answers = (name: string): Promise<true> =>
    waitFor(name, async () => ((await said(name)) === '' ? undefined : true), 10_000);
  const answersNoMore = (name: string): Promise<true> =>
    waitFor(name, async () => ((await said(name)) === '' ? true : undefined), 10_000);

  test('it takes the mesh for the mesh and nobody else, and says so', async () => {
    await answers('own');
    assert.equal(await said('own'), 'hello URI:spiffe://cluster.local/ns/shop/sa/web');
    assert.deepEqual([await said('partner'), await said('impostor')], ['', '']);
    await waitFor('the acknowledgement', () => {
      const [one] = syncReport(harness.mesh.hub).sidecars;
      assert.deepEqual(
        one?.types.map(({ kind, subscribed, acked }) => [kind, subscribed, acked]),
        [['secret', 1, 1]],
      );
      return true;
    });
  });

  test('a federated trust domain vouches for itself, and not for us', async () => {
    const domain = parseTrustDomain('partner.example');
    assert.ok(domain.ok);
    const anchorsPem = readFileSync(partner.trustFile, 'utf8');
    harness.mesh.trust.federate([{ trustDomain: domain.value, anchorsPem, jwks: '{"keys":[]}' }]);
    await answers('partner');
    assert.equal(await said('impostor'), '');
    harness.mesh.trust.federate([]);
    await answersNoMore('partner');
    assert.notEqual(await said('own'), '');
  });

  test('an anchor that is dropped counts no more', async () => {
    const another = decodePem('CERTIFICATE', (await createRoot(trustDomain(), Date.now())).chainPem);
    assert.ok(another.ok);
    harness.ca.use(harness.ca.issuer, another.value);
    await answersNoMore('own');
  });
});
