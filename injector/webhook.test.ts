import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:https';
import { type Agent, request } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { connect, type PeerCertificate } from 'node:tls';
import { createLog } from '@weft/policies/kit/log';
import { err, ok } from '@weft/policies/kit/result';
import { type CertificateMaterial, renew } from './certificate.ts';
import { parseConfig } from './config.ts';
import { Metrics } from './metrics.ts';
import { planInjection } from './plan.ts';
import { applyPatch } from './pod/patch.fixture.ts';
import { createWebhook } from './webhook.ts';

/** Driven as the API server drives it: over TLS, by the name of the Service, trusting the caBundle alone. */

const NAME = 'weft-injector.weft-system.svc';
const config = parseConfig({ WEFT_SIDECAR_IMAGE: 'weft/sidecar', WEFT_INIT_IMAGE: 'weft/injector' });
assert.ok(config.ok);
const { pod: podConfig } = config.value;
const metrics = new Metrics();
const logged: string[] = [];
let material: CertificateMaterial;
let server: Server;

interface Answer {
  readonly status: number;
  readonly body: string;
}

const port = (): number => {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
};

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly ca?: string;
  readonly agent?: Agent;
}

async function post(body: string | Buffer, call: Call = {}): Promise<Answer> {
  const sent = request({
    host: '127.0.0.1',
    port: port(),
    servername: NAME,
    ca: call.ca ?? material.caBundle,
    method: call.method ?? 'POST',
    path: call.path ?? '/inject?timeout=10s',
    headers: { 'content-type': 'application/json', ...call.headers },
    agent: call.agent ?? false,
  });
  sent.on('error', () => {});
  sent.end(body);
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, body: text };
}

const POD = {
  metadata: { generateName: 'web-', annotations: { note: 'kept' } },
  spec: { containers: [{ name: 'web', image: 'nginx', livenessProbe: { httpGet: { port: 80 } } }] },
};
const review = (object: unknown, namespace = 'shop'): string =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace,
      object,
    },
  });

before(async () => {
  material = await renew(undefined, 'authority', [NAME], Date.now());
  server = createWebhook(
    {
      plan: (pod, namespace) => {
        if (pod.metadata?.name === 'bug') throw new Error('planted');
        return planInjection(pod, namespace, podConfig);
      },
      readNamespace: async (name) =>
        name === 'unknown' ? err('not found') : ok({ name, labels: { 'weft.dev/inject': 'enabled' } }),
      metrics,
      log: createLog((line) => logged.push(line)),
      trace: (_headers, _attributes, run) => run(),
    },
    material,
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

after(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

describe('AdmissionReview', () => {
  test('an enabled pod comes back with a patch that gives it a sidecar', async () => {
    const { status, body } = await post(review(POD));
    assert.equal(status, 200);
    const answer = JSON.parse(body);
    assert.equal(answer.apiVersion, 'admission.k8s.io/v1');
    assert.equal(answer.kind, 'AdmissionReview');
    assert.equal(answer.response.uid, '705ab4f5-6393-11e8-b7cc-42010a800002');
    assert.equal(answer.response.allowed, true);
    assert.equal(answer.response.patchType, 'JSONPatch');
    const patch = JSON.parse(Buffer.from(answer.response.patch, 'base64').toString('utf8'));
    const injected: {
      metadata: { annotations: Record<string, string> };
      spec: { initContainers: { name: string }[] };
    } = applyPatch(JSON.parse(JSON.stringify(POD)), patch);
    assert.deepEqual(
      injected.spec.initContainers.map(({ name }) => name),
      ['weft-init', 'weft-proxy'],
    );
    assert.equal(injected.metadata.annotations['note'], 'kept');
  });

  test('a pod that is left alone is allowed without a patch and says why to the audit', async () => {
    const { body } = await post(review({ ...POD, spec: { ...POD.spec, hostNetwork: true } }));
    assert.deepEqual(JSON.parse(body).response, {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      allowed: true,
      auditAnnotations: { injection: 'skipped: host-network' },
    });
  });

  test('a refused pod comes with the sentence for its owner', async () => {
    const { body } = await post(review({ ...POD, spec: { ...POD.spec, securityContext: { runAsUser: 1337 } } }));
    const { response } = JSON.parse(body);
    assert.equal(response.allowed, false);
    assert.equal(response.status.code, 403);
    assert.match(response.status.message, /^weft: the pod has securityContext\.runAsUser 1337/);
  });

  test('a bug becomes a denial with a message, and serving goes on', async () => {
    const { response } = JSON.parse((await post(review({ ...POD, metadata: { name: 'bug' } }))).body);
    assert.equal(response.allowed, false);
    assert.match(response.status.message, /bug in weft-injector, see its log: planted/);
    assert.equal((await post(review(POD))).status, 200);
    assert.match(metrics.render(), /^weft_injector_panics_total 1$/m);
  });

  test('a namespace that cannot be read is a denial', async () => {
    const { response } = JSON.parse((await post(review(POD, 'unknown'))).body);
    assert.equal(response.allowed, false);
    assert.match(response.status.message, /labels of namespace unknown cannot be read: not found/);
  });
});

describe('what is no AdmissionReview', () => {
  const cases: readonly [string, () => Promise<Answer>, number, RegExp][] = [
    ['not JSON', () => post('{'), 400, /not JSON/],
    ['another kind', () => post('{"kind":"Pod","apiVersion":"v1"}'), 400, /not an AdmissionReview/],
    ['no pod', () => post(review({ spec: {} })), 400, /request\.object is not a pod/],
    ['annotations that are no text', () => post(review({ ...POD, metadata: { annotations: { a: 1 } } })), 400, /pod/],
    ['another path', () => post('', { path: '/' }), 404, /only \/inject/],
    ['another method', () => post('', { method: 'GET' }), 405, /only POST/],
    ['another type', () => post('x', { headers: { 'content-type': 'text/plain' } }), 415, /application\/json/],
    ['a declared length over the bound', () => post('', { headers: { 'content-length': '3145729' } }), 413, /3145728/],
    [
      'a body over the bound',
      () => post(Buffer.alloc(3 * 1024 * 1024 + 1, 32), { headers: { 'transfer-encoding': 'chunked' } }),
      413,
      /3145728/,
    ],
  ];
  for (const [name, call, status, text] of cases)
    test(name, async () => {
      const answer = await call();
      assert.equal(answer.status, status);
      assert.match(answer.body, text);
    });
});

describe('TLS', () => {
  async function peer(ca: string): Promise<PeerCertificate> {
    const socket = connect({ host: '127.0.0.1', port: port(), servername: NAME, ca });
    await once(socket, 'secureConnect');
    const certificate = socket.getPeerCertificate();
    socket.destroy();
    return certificate;
  }

  test('another authority does not verify it', async () => {
    const other = await renew(undefined, 'authority', [NAME], Date.now());
    await assert.rejects(peer(other.caBundle), /unable to verify|self.signed|certificate/i);
  });

  test('a renewed certificate is served without a restart', async () => {
    const before = await peer(material.caBundle);
    const renewed = await renew(material, 'leaf', [NAME], Date.now());
    server.setSecureContext({ cert: renewed.cert, key: renewed.key });
    const later = await peer(material.caBundle);
    assert.notEqual(later.serialNumber, before.serialNumber);
    assert.equal((await post(review(POD))).status, 200);
  });
});

test('counters by result and reason; no pod content in the log', () => {
  const text = metrics.render();
  assert.match(text, /^weft_injector_requests_total\{result="patch",reason="injected"\} \d+$/m);
  assert.match(text, /^weft_injector_requests_total\{result="skip",reason="host-network"\} 1$/m);
  assert.match(text, /^weft_injector_requests_total\{result="deny",reason="proxy-user"\} 1$/m);
  assert.match(text, /^weft_injector_rejected_requests_total\{cause="body-size"\} 2$/m);
  assert.ok(logged.every((line) => !line.includes('nginx')));
});
