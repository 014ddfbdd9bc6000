/** TLS of port 15012, as a client sees it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { type Harness, startHarness } from '../testing/harness.ts';
import { shopObjects, shopTokens } from '../testing/shop.ts';

describe('TLS of the control plane', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
  });
  after(() => harness.stop());

  const secured = async (more: ConnectionOptions): Promise<TLSSocket> => {
    const socket = connect({
      host: '127.0.0.1',
      port: harness.serving.xdsPort,
      servername: 'weft-control-plane.weft-system.svc',
      ALPNProtocols: ['h2'],
      ...more,
    });
    await once(socket, 'secureConnect');
    return socket;
  };

  test('a leaf that the root has signed comes with the root', async () => {
    // Somebody who has no anchor sees of it what was sent.
    const socket = await secured({ rejectUnauthorized: false });
    assert.equal(socket.authorized, false);
    const leaf = socket.getPeerCertificate(true);
    assert.equal(leaf.raw.compare(harness.ca.issuer.anchor) === 0, false);
    assert.equal(leaf.issuerCertificate.raw.compare(harness.ca.issuer.anchor), 0);
    socket.destroy();
  });

  test('a session is never taken up again, so that each connection is looked at by what is trusted then', async () => {
    const first = await secured({ ca: harness.ca.pem() });
    const session: Buffer = (await once(first, 'session'))[0];
    first.destroy();
    const second = await secured({ ca: harness.ca.pem(), session });
    assert.equal(second.isSessionReused(), false);
    assert.ok(second.authorized);
    second.destroy();
  });
});
