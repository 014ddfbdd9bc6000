/** What a scanner for TLS finds on the ports of the mesh: nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { createServer } from 'node:tls';
import { startHarness } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import { renew } from '@weft/injector/certificate';
import { Metrics } from '@weft/injector/metrics';
import { createWebhook } from '@weft/injector/webhook';
import { createLog } from '@weft/policies/kit/log';
import { err } from '@weft/policies/kit/result';
import { type CertificateFiles, CertificateFolder } from '../support/certs.ts';
import { bootstrap, cluster, downstreamTls, httpListener, route } from '../support/pair-bootstrap.ts';
import { freePort } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { Scan } from '../support/tls-scan.ts';

const folder = testFolder('scan');
let files: CertificateFiles;

before(async () => {
  files = await (await CertificateFolder.make(folder)).issue('web', 'spiffe://cluster.local/ns/shop/sa/web');
});

after(() => rmSync(folder, { recursive: true, force: true }));

describe('no finding in protocols, ciphers and known holes', { timeout: 300_000 }, () => {
  test('an inbound port of the mesh', async () => {
    const port = await freePort();
    const listener = httpListener({
      name: 'inbound',
      at: { ip: '127.0.0.1', port },
      direction: 'INBOUND',
      routes: [route('any', '/', 'origin')],
      tls: downstreamTls(files),
    });
    const clusters = [cluster({ name: 'origin', endpoints: [{ ip: '127.0.0.1', port: await freePort() }] })];
    const program = await startSidecar(
      folder,
      bootstrap({ id: 'scanned', adminPort: await freePort(), listeners: [listener], clusters }),
    );
    try {
      const scan = await Scan.of({ port, serverName: 'web', ...files });
      assert.deepEqual(scan.findings(), []);
      assert.deepEqual(scan.ciphers('tls_1_2'), [], 'TLS 1.3 only');
      assert.ok(scan.ciphers('tls_1_3').length > 0);
    } finally {
      await program.stop();
    }
  });

  test('port 15012 of the control plane', async () => {
    const harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
    try {
      const serverName = 'weft-control-plane.weft-system.svc';
      const scan = await Scan.of({ port: harness.serving.xdsPort, serverName });
      assert.deepEqual(scan.findings(), []);
      assert.ok(scan.ciphers('tls_1_2').length > 0, 'Envoy offers no more by itself');
      assert.ok(scan.ciphers('tls_1_3').length > 0);
    } finally {
      await harness.stop();
    }
  });

  test('what a server does that was told nothing is found', async () => {
    const serverName = 'planted';
    const server = createServer({ ...(await renew(undefined, 'authority', [serverName], Date.now())) });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    try {
      const scan = await Scan.of({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        serverName,
      });
      assert.match(scan.findings().join(), /tls_1_2: TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA/);
    } finally {
      server.close();
    }
  });

  test("the injector's webhook", async () => {
    const serverName = 'weft-injector.weft-system.svc';
    const server = createWebhook(
      {
        plan: () => assert.fail('nobody asks'),
        readNamespace: async () => err('nobody asks'),
        metrics: new Metrics(),
        log: createLog(() => undefined),
        trace: (_headers, _attributes, run) => run(),
      },
      await renew(undefined, 'authority', [serverName], Date.now()),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    try {
      const scan = await Scan.of({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        serverName,
      });
      assert.deepEqual(scan.findings(), []);
      assert.ok(scan.ciphers('tls_1_3').length > 0);
    } finally {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }
  });
});
