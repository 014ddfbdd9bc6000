/** A real sidecar and a real authorizer that speaks Envoy's gRPC. What a real Envoy makes of the same is compared in test/differential. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  authorizedListener,
  authorizerClusters,
  EchoApplication,
  GrpcAuthorizer,
  grpcFilters,
  grpcService,
} from '../support/authorizer.ts';
import { bootstrap } from '../support/pair-bootstrap.ts';
import { curl, curlStatus } from '../support/pair-curl.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { accessLog, startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const folder = testFolder('ext-authz');
const app = new EchoApplication();
const authorizer = new GrpcAuthorizer();
let sidecar: Program;
let url = '';
let largeUrl = '';
/** Where an authorizer has little time. */
let hastyUrl = '';

before(async () => {
  await Promise.all([app.start(), authorizer.start()]);
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  const clusters = authorizerClusters(app.port, authorizer.port, 1);
  largeUrl = `http://127.0.0.1:${await freePort()}`;
  hastyUrl = `http://127.0.0.1:${await freePort()}`;
  const patient = { grpc_service: grpcService('20s') };
  const body = { max_request_bytes: 300_000, allow_partial_message: true, pack_as_bytes: true };
  const listeners = [
    authorizedListener('in', port, grpcFilters(patient)),
    authorizedListener('large', Number(new URL(largeUrl).port), grpcFilters({ ...patient, with_request_body: body })),
    authorizedListener('hasty', Number(new URL(hastyUrl).port), grpcFilters()),
  ];
  sidecar = await startSidecar(folder, bootstrap({ id: 'weft', adminPort: await freePort(), listeners, clusters }));
});

after(async () => {
  await sidecar?.stop();
  authorizer.stop();
  app.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('an authorizer sees requests, changes them, and refuses them', async () => {
  const { stdout } = await curl('-H', 'x-user: root', '-H', 'x-secret: s', '-d', 'hello', `${url}/headers?x=1`);
  const got = JSON.parse(stdout);
  assert.equal(got.user, 'ann');
  assert.equal(got.secret, undefined);
  assert.equal(got.body, 'hello');
  const [asked] = authorizer.asked;
  assert.equal(asked?.path, '/headers?x=1');
  assert.equal(asked?.body, 'hello');
  assert.equal(asked?.headers[':method'], 'POST');
  assert.equal(asked?.headers['x-secret'], 's');
  const refused = await curl('-i', `${url}/denied`);
  assert.match(refused.stdout, /^HTTP\/1\.1 401 [\s\S]*www-authenticate: Basic[\s\S]*who are you$/i);
  assert.equal(await curlStatus(`${url}/hostile`), 500);
});

test('the question is part of the trace of the request', async () => {
  authorizer.traces.length = 0;
  const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  await curl('-H', `traceparent: ${parent}`, '-H', 'tracestate: a=1', `${url}/ok`);
  await curl(`${url}/ok`);
  assert.deepEqual(authorizer.traces, [`${parent} a=1`, ' ']);
});

test('bodies beyond a window are shown and go on whole, by HTTP/1.1 and HTTP/2', async () => {
  for (const bytes of [250_000, 600_000]) {
    const file = join(folder, `body-${bytes}`);
    writeFileSync(file, 'x'.repeat(bytes));
    for (const version of ['--http1.1', '--http2-prior-knowledge']) {
      authorizer.asked.length = 0;
      const { stdout, stderr } = await curl(version, '--data-binary', `@${file}`, `${largeUrl}/ok`);
      assert.equal(JSON.parse(stdout || stderr).body.length, bytes, version);
      assert.equal(authorizer.asked[0]?.body.length, Math.min(bytes, 300_000), version);
      assert.equal(authorizer.asked[0]?.headers['x-envoy-auth-partial-body'], String(bytes > 300_000));
    }
  }
});

test('one that is silent or gone fails closed, for those that it is to be asked about', async () => {
  assert.equal(await curlStatus(`${hastyUrl}/slow`), 403);
  authorizer.stop();
  assert.equal(await curlStatus(`${url}/ok`), 403);
  assert.equal(await curlStatus(`${url}/public`), 200);
  const line = await waitFor('the log line', () =>
    accessLog(sidecar).find(({ path, status }) => path === '/ok' && status === 403),
  );
  assert.equal(line.flags, 'UAEX');
  assert.equal(line.rule, 'shop/ask/all');
});
