import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { asArray, asString, at, type JsonObject } from '@weft/local/api/json';
import { type Answer, clientOf, send, startTestApi, type TestApi } from '@weft/local/api/testing';

const tokens = '/api/v1/namespaces/default/serviceaccounts/app/token';
const rbac = '/apis/rbac.authorization.k8s.io/v1';

describe('authentication and authorization', () => {
  let server: TestApi;
  let nowMs = Date.now();

  before(async () => {
    server = await startTestApi({ now: () => nowMs });
    await must('POST', '/api/v1/namespaces/default/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'app' },
    });
  });
  after(() => server.close());

  async function must(method: string, path: string, body?: JsonObject): Promise<JsonObject> {
    const answer = await server.call(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
    return answer.body;
  }

  async function tokenFor(spec: JsonObject = {}): Promise<string> {
    return asString(at(await must('POST', tokens, { spec }), 'status', 'token'));
  }

  const withToken = (token: string, method: string, path: string, body?: JsonObject): Promise<Answer> =>
    server.call(method, path, body, { authorization: `Bearer ${token}` });

  async function review(token: string, audiences: readonly string[]): Promise<JsonObject> {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [...audiences] },
    };
    return must('POST', '/apis/authentication.k8s.io/v1/tokenreviews', body);
  }

  async function makePod(name: string): Promise<JsonObject> {
    return must('POST', '/api/v1/namespaces/default/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { serviceAccountName: 'app', containers: [{ name: 'c', image: 'x' }] },
    });
  }

  test('nobody gets health and version, and nothing else', async () => {
    for (const path of ['/healthz', '/livez', '/readyz', '/version']) {
      assert.equal((await server.call('GET', path, undefined, { 'x-anonymous': '1' })).status, 200, path);
    }
    for (const path of ['/api', '/metrics', '/api/v1/namespaces', '/openapi/v3', '/openid/v1/jwks']) {
      assert.equal((await server.call('GET', path, undefined, { 'x-anonymous': '1' })).status, 401, path);
    }
  });

  test('a client certificate is user and groups', async () => {
    const credentials = clientOf(server.api.kubeconfigFor('jane', ['devs'], `https://127.0.0.1:${server.api.port}`));
    const call = (method: string, path: string, body?: JsonObject) =>
      send({
        ...credentials,
        port: server.api.port,
        method,
        path,
        headers: {},
        ...(body === undefined ? {} : { body }),
      });
    const who = await call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {});
    assert.equal(at(who.body, 'status', 'userInfo', 'username'), 'jane');
    assert.deepEqual(at(who.body, 'status', 'userInfo', 'groups'), ['devs', 'system:authenticated']);
    const refused = await call('GET', '/api/v1/namespaces/default/pods');
    assert.equal(refused.status, 403);
    assert.equal(
      refused.body['message'],
      'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
    );
  });

  test('a bound token is its account; TokenReview tells audience, pod and UID', async () => {
    const pod = await makePod('bound');
    const uid = asString(at(pod, 'metadata', 'uid'));
    const token = await tokenFor({
      audiences: ['weft.dev'],
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'bound', uid },
    });
    const good = await review(token, ['weft.dev', 'other']);
    assert.equal(at(good, 'status', 'authenticated'), true);
    assert.deepEqual(at(good, 'status', 'audiences'), ['weft.dev']);
    assert.equal(at(good, 'status', 'user', 'username'), 'system:serviceaccount:default:app');
    const extra = at(good, 'status', 'user', 'extra');
    assert.deepEqual(at(extra, 'authentication.kubernetes.io/pod-name'), ['bound']);
    assert.deepEqual(at(extra, 'authentication.kubernetes.io/pod-uid'), [uid]);
    assert.equal(at(await review(token, ['other']), 'status', 'authenticated'), false);
    assert.equal(at(await review(token, []), 'status', 'authenticated'), false, 'not for the API server');
    assert.equal((await withToken(token, 'GET', '/api')).status, 401);
    await must('DELETE', '/api/v1/namespaces/default/pods/bound');
    await makePod('bound');
    const gone = await review(token, ['weft.dev']);
    assert.equal(at(gone, 'status', 'authenticated'), false, 'a pod of the same name is another pod');
  });

  test('tokens expire, cannot be forged, and end with their account', async () => {
    const token = await tokenFor({ expirationSeconds: 600 });
    assert.equal((await withToken(token, 'GET', '/api')).status, 200);
    const [header = '', claims = '', signature = ''] = token.split('.');
    const forged = Buffer.from(Buffer.from(claims, 'base64url').toString().replace(':app"', ':default"')).toString(
      'base64url',
    );
    assert.equal((await withToken(`${header}.${forged}.${signature}`, 'GET', '/api')).status, 401);
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    assert.equal((await withToken(`${none}.${claims}.`, 'GET', '/api')).status, 401);
    nowMs += 601_000;
    assert.equal((await withToken(token, 'GET', '/api')).status, 401);
    const fresh = await tokenFor();
    assert.equal((await server.call('POST', tokens, { spec: { expirationSeconds: 10 } })).status, 422);
    await must('DELETE', '/api/v1/namespaces/default/serviceaccounts/app');
    await must('POST', '/api/v1/namespaces/default/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'app' },
    });
    assert.equal((await withToken(fresh, 'GET', '/api')).status, 401, 'an account of the same name is another account');
  });

  test('rights come from roles, in the namespace bound or everywhere, down to names and subresources', async () => {
    await must('POST', `${rbac}/namespaces/default/roles`, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'app' },
      rules: [
        { apiGroups: [''], resources: ['configmaps'], verbs: ['get'], resourceNames: ['mine'] },
        { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
        { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles', 'rolebindings'], verbs: ['create'] },
      ],
    });
    await must('POST', `${rbac}/namespaces/default/rolebindings`, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'app' },
      roleRef: { kind: 'Role', name: 'app' },
      subjects: [{ kind: 'ServiceAccount', name: 'app', namespace: 'default' }],
    });
    const token = await tokenFor();
    const status = async (method: string, path: string, body?: JsonObject): Promise<number> =>
      (await withToken(token, method, path, body)).status;
    assert.equal(await status('GET', '/api/v1/namespaces/default/configmaps/mine'), 404);
    assert.equal(await status('GET', '/api/v1/namespaces/default/configmaps/other'), 403);
    assert.equal(await status('GET', '/api/v1/namespaces/default/configmaps'), 403);
    assert.equal(await status('GET', '/api/v1/namespaces/kube-system/configmaps/mine'), 403);
    assert.equal(await status('GET', '/api/v1/namespaces/default/pods/x'), 403);
    assert.equal(await status('GET', '/api/v1/namespaces/default/pods/x/log'), 404);
    const role = (rules: JsonObject[]): JsonObject => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { generateName: 'r-' },
      rules,
    });
    const more = role([{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }]);
    const refused = await withToken(token, 'POST', `${rbac}/namespaces/default/roles`, more);
    assert.equal(refused.status, 403);
    assert.match(asString(refused.body['message']), /is attempting to grant RBAC permissions not currently held/);
    const less = role([{ apiGroups: [''], resources: ['pods/log'], verbs: ['get'] }]);
    assert.equal(await status('POST', `${rbac}/namespaces/default/roles`, less), 201);
    const binding: JsonObject = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'grab' },
      roleRef: { kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', name: 'app', namespace: 'default' }],
    };
    assert.equal(await status('POST', `${rbac}/namespaces/default/rolebindings`, binding), 403);
  });

  test('access reviews agree, and aggregated roles work', async () => {
    await must('POST', `${rbac}/clusterrolebindings`, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'viewer' },
      roleRef: { kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'Group', name: 'viewers' }],
    });
    const may = async (verb: string, resource: string): Promise<unknown> => {
      const spec = { user: 'bob', groups: ['viewers'], resourceAttributes: { verb, resource, namespace: 'default' } };
      const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec };
      return at(await must('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', body), 'status', 'allowed');
    };
    assert.equal(await may('list', 'pods'), true);
    assert.equal(await may('list', 'secrets'), false);
    assert.equal(await may('delete', 'pods'), false);
  });

  test('keys are published', async () => {
    const configuration = await must('GET', '/.well-known/openid-configuration');
    assert.match(asString(configuration['jwks_uri']), /\/openid\/v1\/jwks$/);
    assert.equal(asArray(at(await must('GET', '/openid/v1/jwks'), 'keys')).length, 1);
  });
});
