import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { systemClock } from '@weft/policies/kit/clock';
import { CertificateAuthority } from '../ca/certificate-authority.ts';
import { loadAuthority } from '../ca/material.ts';
import { createRoot } from '../ca/root.ts';
import { ServingCertificate } from '../ca/serving.ts';
import { startWebhook } from './webhook.ts';

describe('the admission webhook, which anybody reaches', () => {
  let webhook: Awaited<ReturnType<typeof startWebhook>>;
  let certificate: ServingCertificate;
  before(async () => {
    const trustDomain = parseTrustDomain('cluster.local');
    assert.ok(trustDomain.ok);
    const issued = { trustDomain: trustDomain.value, dnsName: undefined };
    const root = loadAuthority(await createRoot(trustDomain.value, Date.now()), { clock: systemClock, issued });
    assert.ok(root.ok);
    certificate = await ServingCertificate.create(new CertificateAuthority(root.value), ['localhost'], systemClock);
    webhook = await startWebhook({
      address: { host: '127.0.0.1', port: 0 },
      certificate,
      validate: () => ({ allowed: true, warnings: [] }),
    });
  });
  after(async () => {
    certificate.stop();
    await webhook.stop();
  });

  test('bounds the reviews that are under way, and connections of one address', async (t) => {
    const { port } = webhook;
    const begin = () => {
      const call = request({
        host: '127.0.0.1',
        port,
        path: '/validate',
        method: 'POST',
        rejectUnauthorized: false,
        agent: false,
      });
      call.on('error', () => undefined);
      t.after(() => call.destroy());
      return call;
    };
    const held = Array.from({ length: 32 }, begin);
    // Each is under way as soon as its head has come, and its body never ends.
    await Promise.all(held.map((call) => new Promise((resolve) => call.write('{', resolve))));
    let status: number | undefined;
    for (let i = 0; i < 50 && status !== 503; i++) {
      const call = begin();
      call.end('{}');
      const [response] = await once(call, 'response');
      response.resume();
      status = response.statusCode;
    }
    assert.equal(status, 503);
    const silent = Array.from({ length: 140 }, (): Socket => {
      const socket = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.2' });
      socket.on('error', () => undefined);
      t.after(() => socket.destroy());
      return socket;
    });
    await Promise.all(silent.slice(128).map((socket) => once(socket, 'close')));
    assert.ok(webhook.counters.refused >= 13);
  });
});
