import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { asString, at, type JsonObject } from '@weft/local/api/json';
import { type Answer, clientOf, send } from '@weft/local/api/testing';
import { startTestMesh, type TestMesh, until } from '../support/local-mesh.ts';

/** The parts of the mesh have the rights that they need and no others: seen on a mesh that runs with them. */
describe('rights of node agent and controllers', () => {
  let mesh: TestMesh;
  const accounts = '/api/v1/namespaces/default/serviceaccounts/default/token';

  before(async () => {
    mesh = await startTestMesh('t-rights');
    const container = { name: 'c', image: 'busybox', command: ['sleep', '1000'] };
    await mesh.apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web', namespace: 'default' },
        spec: {
          replicas: 1,
          selector: { matchLabels: { app: 'web' } },
          template: {
            metadata: { labels: { app: 'web' } },
            spec: { terminationGracePeriodSeconds: 0, containers: [container] },
          },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web', namespace: 'default' },
        spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'elsewhere', namespace: 'default' },
        spec: { nodeName: 'another-node', containers: [container] },
      },
      {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'once', namespace: 'default' },
        spec: {
          ttlSecondsAfterFinished: 0,
          template: { spec: { restartPolicy: 'Never', containers: [{ ...container, command: ['true'] }] } },
        },
      },
    );
  });
  after(() => mesh.close());

  const as = (kubeconfig: string, method: string, path: string, body?: JsonObject): Promise<Answer> =>
    send({
      ...clientOf(kubeconfig),
      port: mesh.mesh.apiPort,
      method,
      path,
      headers: method === 'PATCH' ? { 'content-type': 'application/merge-patch+json' } : {},
      ...(body === undefined ? {} : { body }),
    });
  const agent = (method: string, path: string, body?: JsonObject): Promise<Answer> =>
    as(readFileSync(join(mesh.mesh.dataDir, 'agent.kubeconfig'), 'utf8'), method, path, body);
  const controllers = (method: string, path: string, body?: JsonObject): Promise<Answer> =>
    as(mesh.mesh.kubeconfigFor('system:weft:controllers', []), method, path, body);

  test('they do their work: a rollout, a Job that is cleared away, a scaling down and a new namespace', async () => {
    const rolled = await mesh.kubectl(['rollout', 'status', 'deployment/web', '--timeout=20s']);
    assert.equal(rolled.code, 0, rolled.stderr);
    await mesh.kubectl(['rollout', 'restart', 'deployment/web']);
    assert.equal((await mesh.kubectl(['rollout', 'status', 'deployment/web', '--timeout=20s'])).code, 0);
    await mesh.kubectl(['scale', 'deployment/web', '--replicas=0']);
    await until('the pods are gone', async () =>
      (await mesh.kubectl(['get', 'pods', '-l', 'app=web', '-o', 'name'])).stdout === '' ? true : undefined,
    );
    await until('the job is cleared away', async () =>
      (await mesh.kubectl(['get', 'jobs', '-o', 'name'])).stdout === '' ? true : undefined,
    );
    await mesh.kubectl(['create', 'namespace', 'fresh']);
    await until('the defaults of a namespace', async () => {
      const got = await mesh.kubectl(['get', 'sa/default', 'cm/kube-root-ca.crt', '-n', 'fresh', '-o', 'name']);
      return got.code === 0 ? true : undefined;
    });
    await mesh.kubectl(['delete', 'service/web']);
    await until('the slices of the Service are gone', async () => {
      const got = await mesh.kubectl(['get', 'endpointslices,endpoints', '-l', 'kubernetes.io/service-name=web']);
      return got.stdout === '' ? true : undefined;
    });
    const lease = await mesh.kubectl(['get', 'lease', '-n', 'kube-node-lease', mesh.mesh.names.nodeName, '-o', 'name']);
    assert.equal(lease.code, 0, lease.stderr);
    // Nobody waits for events to be written.
    await until('the events', async () => {
      const events = await mesh.kubectl(['get', 'events', '-o', 'jsonpath={.items[*].reason}']);
      return /Started/.test(events.stdout) && /ScalingReplicaSet/.test(events.stdout) ? true : undefined;
    });
  });

  test('nothing of that was refused', () => {
    assert.deepEqual(
      mesh.errors.filter((line) => /forbidden/i.test(line)),
      [],
    );
    assert.doesNotMatch(readFileSync(join(mesh.mesh.dataDir, 'agent.log'), 'utf8'), /forbidden/i);
  });

  test('the agent has no other rights', async () => {
    for (const [method, path] of [
      ['POST', '/api/v1/namespaces/default/pods'],
      ['DELETE', '/api/v1/namespaces/default'],
      ['DELETE', '/api/v1/namespaces/default/secrets/x'],
      ['POST', '/api/v1/namespaces/default/configmaps'],
      ['DELETE', '/api/v1/nodes/x'],
      ['GET', '/apis/rbac.authorization.k8s.io/v1/clusterroles'],
      ['POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'],
      ['GET', '/metrics'],
    ] as const)
      assert.equal((await agent(method, path, method === 'POST' ? {} : undefined)).status, 403, `${method} ${path}`);
  });

  test('of nodes, leases and pods the agent writes only its own', async () => {
    const own = `/api/v1/nodes/${mesh.mesh.names.nodeName}`;
    assert.equal((await agent('PATCH', own, { metadata: { labels: { mine: 'yes' } } })).status, 200);
    const foreign = await agent('POST', '/api/v1/nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'another-node' },
    });
    assert.equal(foreign.status, 403);
    assert.match(asString(foreign.body['message']), /is not allowed to modify node "another-node"/);
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'weft-control-plane' },
      spec: { holderIdentity: 'agent' },
    };
    const leases = '/apis/coordination.k8s.io/v1/namespaces';
    assert.equal((await agent('POST', `${leases}/default/leases`, lease)).status, 403);
    assert.equal((await agent('POST', `${leases}/kube-node-lease/leases`, lease)).status, 403);
    const elsewhere = '/api/v1/namespaces/default/pods/elsewhere';
    const status = await agent('PATCH', `${elsewhere}/status`, { status: { podIP: '10.0.0.1' } });
    assert.match(
      asString(status.body['message']),
      /can only update pod status for pods with spec.nodeName set to itself/,
    );
    assert.equal((await agent('DELETE', elsewhere)).status, 403);
  });

  test('the agent gets tokens only for pods on its node', async () => {
    const token = (spec: JsonObject): Promise<Answer> => agent('POST', accounts, { spec });
    const unbound = await token({});
    assert.equal(unbound.status, 403);
    assert.match(asString(unbound.body['message']), /can only request tokens bound to a pod on itself/);
    const other = at((await agent('GET', '/api/v1/namespaces/default/pods/elsewhere')).body, 'metadata', 'uid');
    const wrong = await token({
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'elsewhere', uid: asString(other) },
    });
    assert.equal(wrong.status, 403);
  });

  test('controllers have no other rights', async () => {
    for (const [method, path] of [
      ['GET', '/api/v1/secrets'],
      ['GET', '/api/v1/namespaces/default/configmaps'],
      ['GET', '/api/v1/namespaces/default/configmaps/other'],
      ['DELETE', '/api/v1/namespaces/default/configmaps/kube-root-ca.crt'],
      ['POST', accounts],
      ['POST', '/apis/apps/v1/namespaces/default/deployments'],
      ['POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'],
    ] as const)
      assert.equal(
        (await controllers(method, path, method === 'POST' ? {} : undefined)).status,
        403,
        `${method} ${path}`,
      );
  });
});
