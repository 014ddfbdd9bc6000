import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { issueCertificate, privateKeyPem, publicOf } from '@weft/local/api/auth/x509';
import { asObject, asString, at, isObject, type Json, type JsonObject, parseJson } from '@weft/local/api/json';
import { startTestApi, type TestApi } from '@weft/local/api/testing';

/** A real TLS webhook behind a Service with an EndpointSlice, as the injector is. */
const serverName = 'hook.default.svc';
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const certificate = issueCertificate({
  commonName: serverName,
  publicKey: publicOf(key),
  issuer: { commonName: serverName, key },
  notBeforeMs: Date.now() - 60_000,
  notAfterMs: Date.now() + 3600_000,
  usage: 'server',
  names: [serverName],
});

type Respond = (request: JsonObject) => JsonObject;
const patchOf = (operations: Json[]): JsonObject => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});

describe('admission webhooks', () => {
  let server: TestApi;
  let hook: Server;
  let seen: JsonObject[] = [];
  let respond: Respond = () => ({ allowed: true });
  /** What happens while the API server waits for the answer. */
  let meanwhile: (() => Promise<unknown>) | undefined;
  let port = 0;

  before(async () => {
    hook = createServer({ key: privateKeyPem(key), cert: certificate }, (request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      request.on('end', () => {
        const review = parseJson(text);
        const asked = (isObject(review) ? asObject(review['request']) : undefined) ?? {};
        seen.push(asked);
        const answer = { uid: asked['uid'] ?? '', ...respond(asked) };
        const body = JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer });
        response.setHeader('content-type', 'application/json');
        void (meanwhile?.() ?? Promise.resolve()).then(() => response.end(body));
      });
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    const address = hook.address() as AddressInfo;
    port = address.port;
    server = await startTestApi();
    await must('POST', '/api/v1/namespaces/default/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'hook' },
      spec: { ports: [{ name: 'https', port: 443, targetPort: 'https' }] },
    });
    await must('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'hook-1', labels: { 'kubernetes.io/service-name': 'hook' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
      ports: [{ name: 'https', port, protocol: 'TCP' }],
    });
  });
  after(async () => {
    await server.close();
    hook.closeAllConnections();
    await new Promise((resolve) => hook.close(resolve));
  });
  beforeEach(async () => {
    seen = [];
    respond = () => ({ allowed: true });
    for (const kind of ['mutating', 'validating']) {
      await server.call('DELETE', `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/test`);
    }
  });

  async function must(method: string, path: string, body: JsonObject): Promise<JsonObject> {
    const answer = await server.call(method, path, body);
    assert.ok(answer.status < 300, answer.text);
    return answer.body;
  }

  const configure = (kind: 'Mutating' | 'Validating', extra: JsonObject = {}) =>
    must('POST', `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}webhookconfigurations`, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name: 'test' },
      webhooks: [
        {
          name: 'test.weft.dev',
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          clientConfig: {
            service: { name: 'hook', namespace: 'default', path: '/x' },
            caBundle: Buffer.from(certificate).toString('base64'),
          },
          rules: [
            {
              apiGroups: [''],
              apiVersions: ['v1'],
              resources: ['configmaps'],
              operations: ['CREATE', 'UPDATE', 'DELETE'],
            },
          ],
          ...extra,
        },
      ],
    });

  let counter = 0;
  const createMap = (labels: JsonObject = {}, query = '') =>
    server.call('POST', `/api/v1/namespaces/default/configmaps${query}`, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: `m${counter++}`, labels },
    });

  test('a mutating webhook patches what is stored', async () => {
    await configure('Mutating');
    respond = () => patchOf([{ op: 'add', path: '/data', value: { by: 'hook' } }]);
    const made = await createMap();
    assert.equal(made.status, 201, made.text);
    assert.equal(at(made.body, 'data', 'by'), 'hook');
    const request = seen[0];
    assert.equal(request?.['operation'], 'CREATE');
    assert.equal(at(request, 'userInfo', 'username'), 'weft-admin');
    assert.deepEqual(at(request, 'resource'), { group: '', version: 'v1', resource: 'configmaps' });
  });

  test('a validating webhook refuses with its own words, and warns', async () => {
    await configure('Validating');
    respond = () => ({ allowed: false, status: { message: 'not today', code: 403 } });
    const refused = await createMap();
    assert.equal(refused.status, 403);
    assert.equal(refused.body['message'], 'admission webhook "test.weft.dev" denied the request: not today');
    respond = () => ({ allowed: true, warnings: ['look out'] });
    const warned = await createMap();
    assert.equal(warned.status, 201);
    assert.match(String(warned.headers['warning']), /299 - "look out"/);
  });

  test('what others write while a webhook is asked is no conflict for a patch, and one for an update of a version', async () => {
    await configure('Validating');
    const made = await createMap();
    const name = asString(at(made.body, 'metadata', 'name'));
    const path = `/api/v1/namespaces/default/configmaps/${name}`;
    const patch = (labels: JsonObject) =>
      server.call('PATCH', path, { metadata: { labels } }, { 'content-type': 'application/merge-patch+json' });
    let other: Promise<unknown> = Promise.resolve();
    meanwhile = () => {
      meanwhile = undefined;
      other = patch({ b: '2' });
      return other;
    };
    const patched = await patch({ a: '1' });
    await other;
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual(at(patched.body, 'metadata', 'labels'), { a: '1', b: '2' });

    meanwhile = () => {
      meanwhile = undefined;
      other = patch({ b: '3' });
      return other;
    };
    const put = await server.call('PUT', path, { ...patched.body, data: { c: '4' } });
    await other;
    assert.equal(put.status, 409, put.text);
  });

  test('selectors and match conditions decide what is sent', async () => {
    await configure('Validating', {
      objectSelector: { matchLabels: { checked: 'yes' } },
      namespaceSelector: {
        matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['default'] }],
      },
      matchConditions: [
        { name: 'not-skipped', expression: "!has(object.metadata.labels.skip) && request.operation == 'CREATE'" },
      ],
    });
    await createMap();
    assert.equal(seen.length, 0);
    await createMap({ checked: 'yes', skip: 'yes' });
    assert.equal(seen.length, 0);
    await createMap({ checked: 'yes' });
    assert.equal(seen.length, 1);
    await createMap({ checked: 'yes' }, '?dryRun=All');
    assert.equal(seen[1]?.['dryRun'], true);
  });

  test('failurePolicy: an unreachable or untrusted webhook fails the request or is ignored', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const untrusted = issueCertificate({
      commonName: 'other',
      publicKey: publicOf(other),
      issuer: { commonName: 'other', key: other },
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 3600_000,
      usage: 'ca',
    });
    const clientConfig = {
      service: { name: 'hook', namespace: 'default' },
      caBundle: Buffer.from(untrusted).toString('base64'),
    };
    await configure('Validating', { clientConfig });
    const failed = await createMap();
    assert.equal(failed.status, 500);
    assert.match(
      asString(failed.body['message']),
      /failed calling webhook "test.weft.dev": failed to call webhook: Post "https:\/\/hook.default.svc:443/,
    );
    assert.equal(seen.length, 0);
    await server.call('DELETE', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/test');
    await configure('Validating', { clientConfig, failurePolicy: 'Ignore' });
    assert.equal((await createMap()).status, 201);
  });

  test('a mutating webhook is asked about a deletion, too, and may refuse it', async () => {
    const name = asString(at((await createMap()).body, 'metadata', 'name'));
    await configure('Mutating');
    respond = () => ({ allowed: false, status: { message: 'keep it' } });
    const refused = await server.call('DELETE', `/api/v1/namespaces/default/configmaps/${name}`);
    assert.equal(refused.status, 403);
    assert.match(asString(refused.body['message']), /denied the request: keep it/);
    assert.equal(seen[0]?.['operation'], 'DELETE');
    assert.equal(at(seen[0], 'oldObject', 'metadata', 'name'), name);
    assert.equal(seen[0]?.['object'], null);
    respond = () => patchOf([{ op: 'add', path: '/data', value: { no: 'effect' } }]);
    assert.equal((await server.call('DELETE', `/api/v1/namespaces/default/configmaps/${name}`)).status, 200);
  });

  test('reinvocationPolicy IfNeeded: asked again when a later webhook changed the object', async () => {
    const hooks = (policy: string) =>
      server.call('PUT', '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/test', {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name: 'test' },
        webhooks: ['first', 'second'].map((name) => ({
          name: `${name}.weft.dev`,
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          reinvocationPolicy: name === 'first' ? policy : 'Never',
          clientConfig: {
            service: { name: 'hook', namespace: 'default', path: `/${name}` },
            caBundle: Buffer.from(certificate).toString('base64'),
          },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], operations: ['CREATE'] }],
        })),
      });
    await configure('Mutating');
    // The first call sees nothing and counts; the second adds what the first would have wanted to see.
    respond = (request) => {
      const data = asObject(at(request, 'object', 'data'));
      if (data === undefined) return patchOf([{ op: 'add', path: '/data', value: { step: '1' } }]);
      if (data['step'] === '1') return patchOf([{ op: 'replace', path: '/data/step', value: '2' }]);
      return { allowed: true };
    };
    await hooks('IfNeeded');
    assert.equal(at((await createMap()).body, 'data', 'step'), '2');
    assert.deepEqual(
      seen.map((request) => at(request, 'object', 'data', 'step')),
      [undefined, '1', '2'],
    );
    seen = [];
    await hooks('Never');
    await createMap();
    assert.equal(seen.length, 2);
  });

  test('two webhooks of one name are refused', async () => {
    const webhook = {
      name: 'twice.weft.dev',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      clientConfig: { url: 'https://127.0.0.1:1/' },
    };
    const answer = await server.call('POST', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'twice' },
      webhooks: [webhook, webhook],
    });
    assert.match(asString(answer.body['message']), /webhooks\[1\].name: Duplicate value: "twice.weft.dev"/);
  });

  test('a condition that does not compile is refused', async () => {
    const answer = await server.call('POST', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'bad' },
      webhooks: [
        {
          name: 'bad.weft.dev',
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          clientConfig: { url: 'https://127.0.0.1:1/' },
          matchConditions: [{ name: 'x', expression: 'nothing.there' }],
        },
      ],
    });
    assert.equal(answer.status, 422);
    assert.match(
      asString(answer.body['message']),
      /webhooks\[0\].matchConditions\[0\].expression: Invalid value: "nothing.there": compilation failed/,
    );
  });
});
