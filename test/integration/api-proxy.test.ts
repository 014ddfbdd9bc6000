import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { at, isObject, type JsonObject, parseJson } from '@weft/local/api/json';
import { type Answer, clientOf, send } from '@weft/local/api/testing';
import { startTestMesh, type TestMesh, until } from '../support/local-mesh.ts';

/** Answers with what it was asked, and misbehaves on request. */
const echo = `
const http = require('node:http');
http.createServer((request, response) => {
  if (request.url.startsWith('/redirect')) return response.writeHead(302, { location: '/there?x=1' }).end();
  if (request.url.startsWith('/away')) return response.writeHead(302, { location: 'https://example.com/' }).end();
  if (request.url.startsWith('/drop')) return response.destroy();
  if (request.url.startsWith('/half')) { response.writeHead(200, { 'content-length': '100' }); response.write('x'); return setTimeout(() => response.destroy(), 50); }
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    response.writeHead(request.url === '/teapot' ? 418 : 200, { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] });
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, bytes: body.length, body: body.toString().slice(0, 100) }));
  });
}).listen({ host: '::', port: 8080 });
`;

describe('proxy to pods and Services', () => {
  let mesh: TestMesh;
  const pods = '/api/v1/namespaces/default/pods';
  const services = '/api/v1/namespaces/default/services';

  before(async () => {
    mesh = await startTestMesh('t-proxy');
    await mesh.apply(
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'echo', namespace: 'default', labels: { app: 'echo' } },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'c',
              image: 'node',
              args: ['-e', echo],
              ports: [{ containerPort: 8080 }],
              readinessProbe: { tcpSocket: { port: 8080 } },
            },
          ],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'echo', namespace: 'default' },
        spec: {
          selector: { app: 'echo' },
          ports: [
            { name: 'web', port: 80, targetPort: 8080 },
            { name: 'closed', port: 81, targetPort: 9999 },
          ],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'nobody', namespace: 'default' },
        spec: { selector: { app: 'nobody' }, ports: [{ port: 80 }] },
      },
    );
    await mesh.podReady('echo');
    await until('the endpoint of the Service', async () => {
      const slices = await mesh.kubectl([
        'get',
        'endpointslices',
        '-l',
        'kubernetes.io/service-name=echo',
        '-o',
        'json',
      ]);
      return /"ready": ?true/.test(slices.stdout) ? true : undefined;
    });
  });
  after(() => mesh.close());

  const as = (kubeconfig: string, method: string, path: string, body?: JsonObject, headers = {}): Promise<Answer> =>
    send({
      ...clientOf(kubeconfig),
      port: mesh.mesh.apiPort,
      method,
      path,
      headers,
      ...(body === undefined ? {} : { body }),
    });
  const call = (method: string, path: string, body?: JsonObject, headers = {}): Promise<Answer> =>
    as(mesh.mesh.adminKubeconfig, method, path, body, headers);

  test('kubectl get --raw reads from a pod, with and without a port', async () => {
    for (const name of ['echo', 'echo:8080', 'http:echo:8080']) {
      const got = await mesh.kubectl(['get', '--raw', `${pods}/${name}/proxy/debug/x?a=1&dryRun=no`]);
      assert.equal(got.code, 0, got.stderr);
      assert.equal(at(parseJson(got.stdout), 'url'), '/debug/x?a=1&dryRun=no', name);
    }
  });

  test('method, body and encoded path arrive; credentials do not', async () => {
    const answer = await call(
      'POST',
      `${pods}/echo:8080/proxy/a%2Fb//c`,
      { hello: 'pod' },
      {
        'x-own': 'kept',
        'impersonate-user': 'system:admin',
        'impersonate-group': 'system:masters',
      },
    );
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.body['method'], 'POST');
    assert.equal(answer.body['url'], '/a%2Fb//c');
    assert.equal(answer.body['body'], '{"hello":"pod"}');
    assert.equal(at(answer.body, 'headers', 'x-own'), 'kept');
    assert.equal(at(answer.body, 'headers', 'impersonate-user'), undefined);
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const other = await call(method, `${pods}/echo/proxy/x`, { method });
      assert.equal(other.body['method'], method, other.text);
    }
    assert.equal((await call('GET', `${pods}/echo/proxy/teapot`)).status, 418);
  });

  test('a chunked DELETE stays one request', async () => {
    const { ca, cert, key } = clientOf(mesh.mesh.adminKubeconfig);
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: mesh.mesh.apiPort,
      ca,
      ...(cert && key ? { cert, key } : {}),
    });
    await once(socket, 'secureConnect');
    const smuggled = 'GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n';
    socket.write(
      `DELETE ${pods}/echo/proxy/chunked HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n` +
        `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
    );
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    assert.match(text, /"url":"\/chunked"/);
    assert.match(text, new RegExp(`"bytes":${smuggled.length}`));
  });

  test('a Service is reached by port name and number, on a ready endpoint', async () => {
    for (const name of ['echo:web', 'echo:80', 'http:echo:web']) {
      const answer = await call('GET', `${services}/${name}/proxy/s`);
      assert.equal(answer.status, 200, `${name}: ${answer.text}`);
      assert.equal(answer.body['url'], '/s');
    }
    const cases: readonly (readonly [string, number, RegExp])[] = [
      ['echo', 503, /no service port "" found for service "echo"/],
      ['echo:nope', 503, /no service port "nope" found/],
      ['echo:closed', 503, /error trying to reach service: .*ECONNREFUSED/],
      ['nobody', 503, /no endpoints available for service "nobody"/],
      ['missing:80', 404, /services "missing" not found/],
      ['ftp:echo:80', 400, /invalid service request/],
    ];
    for (const [name, status, message] of cases) {
      const answer = await call('GET', `${services}/${name}/proxy/`);
      assert.equal(answer.status, status, `${name}: ${answer.text}`);
      assert.match(String(answer.body['message']), message);
      assert.equal(answer.body['kind'], 'Status');
    }
  });

  test('redirects of the pod stay in the proxy; a path without a slash gets one', async () => {
    assert.equal((await call('GET', `${pods}/echo/proxy`)).headers['location'], `${pods}/echo/proxy/`);
    const own = await call('GET', `${pods}/echo/proxy/redirect`);
    assert.equal(own.headers['location'], `${pods}/echo/proxy/there?x=1`);
    assert.equal((await call('GET', `${pods}/echo/proxy/away`)).headers['location'], 'https://example.com/');
  });

  test('a pod that hangs up is 503; one that stops half-way breaks the answer', async () => {
    assert.equal((await call('GET', `${pods}/echo/proxy/drop`)).status, 503);
    await assert.rejects(call('GET', `${pods}/echo/proxy/half`));
    assert.equal((await call('GET', `${pods}/echo/proxy/fine`)).status, 200);
  });

  test('addresses of the machine itself are refused, whatever a status says', async () => {
    await mesh.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'liar', namespace: 'default' },
      spec: { nodeName: 'elsewhere', containers: [{ name: 'c', image: 'none' }] },
    });
    for (const podIP of ['127.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1', '0.0.0.0', '']) {
      const patched = await mesh.client.patch(`${pods}/liar/status`, { status: { podIP } });
      assert.ok(patched.ok || podIP === '', JSON.stringify(patched));
      const answer = await call('GET', `${pods}/liar:${mesh.mesh.apiPort}/proxy/`);
      assert.equal(answer.status, 400, `${podIP}: ${answer.text}`);
      assert.match(String(answer.body['message']), /address not allowed/);
    }
    await mesh.client.remove(`${pods}/liar`, { gracePeriodSeconds: 0 });
  });

  test('the right is pods/proxy, by verb and by the name that was asked for', async () => {
    const kubeconfig = mesh.mesh.kubeconfigFor('reader', ['readers']);
    await mesh.apply(
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'peek', namespace: 'default' },
        rules: [
          { apiGroups: [''], resources: ['pods', 'services'], verbs: ['*'] },
          { apiGroups: [''], resources: ['pods/proxy'], resourceNames: ['echo:8080'], verbs: ['get'] },
        ],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'peek', namespace: 'default' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'peek' },
        subjects: [{ kind: 'User', name: 'reader', apiGroup: 'rbac.authorization.k8s.io' }],
      },
    );
    const status = async (method: string, path: string): Promise<number> => (await as(kubeconfig, method, path)).status;
    assert.equal(await status('GET', `${pods}/echo:8080/proxy/x`), 200);
    assert.equal(await status('GET', `${pods}/echo:8080/proxy/x?watch=true`), 200);
    assert.equal(await status('POST', `${pods}/echo:8080/proxy/x`), 403);
    assert.equal(await status('GET', `${pods}/echo:15020/proxy/x`), 403);
    assert.equal(await status('GET', `${services}/echo:web/proxy/x`), 403);
    // What the proxy's path climbs out to is judged as what it then is.
    assert.equal(await status('GET', `${pods}/echo:8080/proxy/../../../secrets`), 403);
  });

  test('upgrades are refused with a Status, and paths below other subresources do not exist', async () => {
    const upgrade = await call('GET', `${pods}/echo/proxy/`, undefined, {
      connection: 'upgrade',
      upgrade: 'websocket',
    });
    assert.equal(upgrade.status, 501);
    assert.match(String(upgrade.body['message']), /does not carry upgraded connections/);
    assert.equal((await call('GET', `${pods}/echo/log/more`)).status, 404);
  });

  test('discovery names the subresources', async () => {
    const list = await until('discovery', async () => {
      const got = parseJson((await mesh.kubectl(['get', '--raw', '/api/v1'])).stdout);
      return isObject(got) ? JSON.stringify(got) : undefined;
    });
    assert.match(list, /"pods\/proxy"/);
    assert.match(list, /"services\/proxy"/);
  });
});
