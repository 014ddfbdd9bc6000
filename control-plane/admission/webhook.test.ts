import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientRequest } from 'node:http';
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

  const begin = (localAddress: string) => {
    const call = request({
      host: '127.0.0.1',
      port: webhook.port,
      path: '/validate',
      method: 'POST',
      rejectUnauthorized: false,
      agent: false,
      localAddress,
    });
    call.on('error', () => undefined);
    return call;
  };
  const statusOf = async (call: ClientRequest): Promise<number | undefined> => {
    const [response] = await once(call, 'response');
    response.resume();
    return response.statusCode;
  };
  const review = JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'one', kind: { kind: 'Mesh' }, operation: 'CREATE', object: {} },
  });

  test('bounds what an address has under review, and lets others be reviewed', { timeout: 20_000 }, async (t) => {
    // Bodies that never end, together as much as an address may have.
    const held = Array.from({ length: 8 }, () => begin('127.0.0.2'));
    t.after(() => {
      for (const call of held) call.destroy();
    });
    for (const call of held) call.write(Buffer.alloc(3_145_728, ' '));
    // Until all of it has come; the time of the test is the bound.
    for (let status: number | undefined; status !== 503; ) {
      const call = begin('127.0.0.2');
      call.end(review);
      status = await statusOf(call);
    }
    assert.ok(webhook.counters.refused >= 1);
    const others = Array.from({ length: 100 }, () => begin('127.0.0.1'));
    for (const call of others) call.end(review);
    assert.deepEqual([...new Set(await Promise.all(others.map(statusOf)))], [200]);
  });

  test('bounds the connections of one address', async (t) => {
    const { port } = webhook;
    const silent = Array.from({ length: 270 }, (): Socket => {
      const socket = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.3' });
      socket.on('error', () => undefined);
      t.after(() => socket.destroy());
      return socket;
    });
    await Promise.all(silent.slice(256).map((socket) => once(socket, 'close')));
    assert.ok(webhook.counters.refused >= 12);
  });
});
