/** A bootstrap as people write them, with the defaults that they leave to Envoy, on Weft and on Envoy. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { CLOSE, exchange, get, Surface } from '../integration/envoy-surface.fixture.ts';
import { startEnvoy } from '../support/envoy.ts';
import { freePort } from '../support/pair-process.ts';
import { startSidecar } from '../support/pair-sidecar.ts';

const surface = new Surface('written-by-hand');
const ports: number[] = [];

const text = (port: number, adminPort: number, appPort: number): string => `
admin:
  address: { socket_address: { address: 127.0.0.1, port_value: ${adminPort} } }
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
    listener_filters_timeout: 0.3s
    listener_filters:
    - name: envoy.filters.listener.tls_inspector
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector
    filter_chains:
    - filter_chain_match: { transport_protocol: raw_buffer }
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress_http
          codec_type: auto
          route_config:
            name: local_route
            virtual_hosts:
            - name: backend
              domains: ["*"]
              routes:
              - match: { prefix: "/" }
                route: { cluster: app }
                request_headers_to_add:
                - header: { key: x-a, value: "%REQ(x-a)%2" }
                  append: false
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: app
    type: strict_dns
    dns_lookup_family: v4_only
    lb_policy: Round_Robin
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: localhost, port_value: ${appPort} } } }
`;

before(async () => {
  const app = await surface.listen(
    createServer(({ headers }, response) => void response.end(`x-a: ${headers['x-a']}`)),
  );
  for (const start of ['weft', 'envoy'] as const) {
    const [port, adminPort] = [await freePort(), await freePort()];
    const bootstrap = text(port, adminPort, app.port);
    ports.push(port);
    surface.programs.push(
      start === 'weft'
        ? await startSidecar(surface.folder, bootstrap)
        : await startEnvoy(surface.folder, bootstrap, adminPort),
    );
  }
});

after(() => surface.close());

test('a request', async () => {
  for (const port of ports) assert.match(await exchange(port, get('/', 'X-A: 1', CLOSE)), /x-a: 12/);
});

for (const bytes of ['', '\x16\x03\x01']) {
  test(`a client that does not say what it is about (${bytes.length} bytes) is closed`, async () => {
    for (const port of ports) {
      const startMs = performance.now();
      const heard = await new Promise((resolve) => {
        let all = '';
        connect({ port, host: '127.0.0.1' })
          .on('connect', function (this: ReturnType<typeof connect>) {
            this.write(bytes, 'latin1');
          })
          .on('data', (chunk: Buffer) => (all += chunk.toString('latin1')))
          .on('error', () => undefined)
          .on('close', () => resolve(all));
      });
      assert.equal(heard, '');
      assert.ok(performance.now() - startMs > 250, 'not before its time');
    }
  });
}
