import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { asObjects, asString, at, type Json, type JsonObject } from '@weft/local/api/json';
import { type Answer, startTestApi, type TestApi } from '@weft/local/api/testing';

const pods = '/api/v1/namespaces/default/pods';

/** No controllers run here: what they give every namespace is made by hand. */
async function startServer(): Promise<TestApi> {
  const server = await startTestApi();
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  assert.equal((await server.call('POST', '/api/v1/namespaces/default/serviceaccounts', account)).status, 201);
  return server;
}

/** What Kubernetes takes and refuses where it is easily stricter or laxer. */
describe('accepted and refused as on Kubernetes', () => {
  let server: TestApi;
  before(async () => {
    server = await startServer();
  });
  after(() => server.close());

  const call = (method: string, path: string, body?: Json, headers: Record<string, string> = {}): Promise<Answer> =>
    server.call(method, path, body, headers);
  const ok = async (args: string, input?: string): Promise<string> => {
    const result = await server.kubectl(args.split(' '), input);
    assert.equal(result.code, 0, `kubectl ${args}: ${result.stderr}`);
    return result.stdout;
  };

  const podOf = (name: string, container: JsonObject, spec: JsonObject = {}): JsonObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'x', ...container }], ...spec },
  });
  const repeatedPod = podOf(
    'repeated',
    {
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
        { name: 'A', value: '3' },
      ],
      ports: [
        { containerPort: 53, protocol: 'TCP' },
        { containerPort: 53, protocol: 'UDP' },
        { containerPort: 80 },
        { containerPort: 80, name: 'again' },
      ],
    },
    {
      imagePullSecrets: [{ name: 's' }, { name: 's' }],
      hostAliases: [
        { ip: '127.0.0.1', hostnames: ['a'] },
        { ip: '127.0.0.1', hostnames: ['b'] },
      ],
    },
  );

  test('repeated env names, ports and aliases are kept, through create, apply, patch and label', async () => {
    const made = await call('POST', pods, repeatedPod);
    assert.equal(made.status, 201, made.text);
    const env = (body: JsonObject): string[] =>
      asObjects(asObjects(at(body, 'spec', 'containers'))[0]?.['env']).map(
        (item) => `${item['name']}=${item['value']}`,
      );
    assert.deepEqual(env(made.body), ['A=1', 'B=2', 'A=3']);
    await ok('label pod repeated x=y');
    await ok('delete pod repeated');
    await ok('apply -f -', JSON.stringify(repeatedPod));
    assert.match(await ok('apply -f -', JSON.stringify(repeatedPod)), /unchanged/);
    assert.deepEqual(env((await call('GET', `${pods}/repeated`)).body), ['A=1', 'B=2', 'A=3']);
    await ok('delete pod repeated');
  });

  test('server-side apply refuses them by key, as items are owned by key', async () => {
    const result = await server.kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(repeatedPod));
    assert.notEqual(result.code, 0);
    assert.match(result.stderr, /failed to create typed patch object .*env: duplicate entries for key \["name":"A"\]/);
    // A live list that repeats a key may still be there when others apply their own fields.
    await call('POST', pods, repeatedPod);
    const labels = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'repeated', labels: { by: 'apply' } } };
    await ok('apply --server-side --field-manager=other -f -', JSON.stringify(labels));
    assert.equal(at((await call('GET', `${pods}/repeated`)).body, 'metadata', 'labels', 'by'), 'apply');
    await ok('delete pod repeated');
  });

  test('what Kubernetes does refuse twice, it names', async () => {
    const refused = async (object: JsonObject, message: RegExp): Promise<void> => {
      const answer = await call('POST', pods, object);
      assert.equal(answer.status, 422, answer.text);
      assert.match(asString(answer.body['message']), message);
    };
    const mount = { name: 'v', mountPath: '/v' };
    const volumes = [{ name: 'v', emptyDir: {} }];
    await refused(
      podOf('p', { volumeMounts: [mount, mount] }, { volumes }),
      /mountPath: Invalid value: "\/v": must be unique/,
    );
    await refused(
      podOf(
        'p',
        {},
        {
          containers: [
            { name: 'c', image: 'x' },
            { name: 'c', image: 'y' },
          ],
        },
      ),
      /spec.containers\[1\].name: Duplicate value: "c"/,
    );
    await refused(
      podOf('p', {}, { volumes: [...volumes, ...volumes] }),
      /spec.volumes\[1\].name: Duplicate value: "v"/,
    );
    await refused(
      podOf('p', {
        ports: [
          { containerPort: 1, name: 'a' },
          { containerPort: 2, name: 'a' },
        ],
      }),
      /ports\[1\].name: Duplicate/,
    );
  });

  test('a Service may have one number in two protocols, not twice in one', async () => {
    const service = (ports: JsonObject[]): JsonObject => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'dns' },
      spec: { ports },
    });
    const tcp = { name: 'tcp', port: 53, protocol: 'TCP' };
    const path = '/api/v1/namespaces/default/services';
    assert.equal((await call('POST', path, service([tcp, { ...tcp, name: 'udp', protocol: 'UDP' }]))).status, 201);
    const twice = await call('POST', path, { ...service([tcp, { ...tcp, name: 'x' }]), metadata: { name: 'twice' } });
    assert.equal(twice.status, 422);
  });

  test('a CRD with a map list does refuse repeated keys', async () => {
    const items = { type: 'object', required: ['name'], properties: { name: { type: 'string' } } };
    const spec = {
      type: 'object',
      properties: {
        parts: { type: 'array', items, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
      },
    };
    await ok(
      'apply -f -',
      JSON.stringify({
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: 'kits.example.com' },
        spec: {
          group: 'example.com',
          names: { kind: 'Kit', plural: 'kits' },
          scope: 'Namespaced',
          versions: [
            {
              name: 'v1',
              served: true,
              storage: true,
              schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
            },
          ],
        },
      }),
    );
    await ok('wait --for=condition=Established crd/kits.example.com --timeout=10s');
    const kit = {
      apiVersion: 'example.com/v1',
      kind: 'Kit',
      metadata: { name: 'k' },
      spec: { parts: [{ name: 'a' }, { name: 'a' }] },
    };
    const answer = await call('POST', '/apis/example.com/v1/namespaces/default/kits', kit);
    assert.equal(answer.status, 422, answer.text);
    assert.match(asString(answer.body['message']), /spec.parts\[1\]: Duplicate value/);
  });

  test('kubectl autoscale, and one autoscaler in both versions', async () => {
    await ok('create deployment web --image=nginx');
    await ok('autoscale deployment web --min=2 --max=5 --cpu-percent=70');
    assert.match(await ok('get hpa'), /web +Deployment\/web/);
    const path = (version: string): string =>
      `/apis/autoscaling/${version}/namespaces/default/horizontalpodautoscalers/web`;
    const old = (await call('GET', path('v1'))).body;
    assert.equal(old['apiVersion'], 'autoscaling/v1');
    assert.equal(at(old, 'spec', 'targetCPUUtilizationPercentage'), 70);
    const current = (await call('GET', path('v2'))).body;
    assert.deepEqual(at(current, 'spec', 'metrics'), [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } },
    ]);
    const memory = {
      type: 'Resource',
      resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
    };
    const patched = await call(
      'PATCH',
      path('v2'),
      {
        spec: {
          metrics: [...asObjects(at(current, 'spec', 'metrics')), memory],
          behavior: { scaleDown: { stabilizationWindowSeconds: 9 } },
        },
      },
      { 'content-type': 'application/merge-patch+json' },
    );
    assert.equal(patched.status, 200, patched.text);
    // Written back through v1, what v1 has no field for is still there.
    const mirror = (await call('GET', path('v1'))).body;
    const replaced = await call('PUT', path('v1'), {
      ...mirror,
      spec: { ...(at(mirror, 'spec') as JsonObject), maxReplicas: 9 },
    });
    assert.equal(replaced.status, 200, replaced.text);
    const after = (await call('GET', path('v2'))).body;
    assert.equal(at(after, 'spec', 'maxReplicas'), 9);
    assert.equal(asObjects(at(after, 'spec', 'metrics')).length, 2);
    assert.equal(at(after, 'spec', 'behavior', 'scaleDown', 'stabilizationWindowSeconds'), 9);
    assert.equal(at(after, 'metadata', 'annotations'), undefined);
    const wrong = await call('PUT', path('v1'), {
      ...old,
      metadata: { name: 'web' },
      spec: { ...(at(mirror, 'spec') as JsonObject), maxReplicas: 1, minReplicas: 2 },
    });
    assert.equal(wrong.status, 422);
    await ok('delete hpa web');
  });

  test('dry run that only the DeleteOptions ask for', async () => {
    const maps = '/api/v1/namespaces/default/configmaps';
    await call('POST', maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'keep' } });
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', dryRun: ['All'] };
    assert.equal((await call('DELETE', `${maps}/keep`, options)).status, 200);
    assert.equal((await call('DELETE', maps, options)).status, 200);
    assert.equal((await call('GET', `${maps}/keep`)).status, 200);
    assert.equal((await call('DELETE', `${maps}/keep`, { ...options, dryRun: ['Some'] })).status, 400);
    assert.equal((await call('DELETE', `${maps}/keep`)).status, 200);
    assert.equal((await call('GET', `${maps}/keep`)).status, 404);
  });

  test('exec, attach and port-forward say what to use instead', async () => {
    await call('POST', pods, podOf('p', {}, { nodeName: 'n' }));
    await call(
      'PATCH',
      `${pods}/p/status`,
      {
        status: {
          phase: 'Running',
          podIP: '10.1.2.3',
          containerStatuses: [
            {
              name: 'c',
              ready: true,
              restartCount: 0,
              image: 'x',
              imageID: '',
              containerID: 'process://4711',
              state: { running: {} },
            },
          ],
        },
      },
      { 'content-type': 'application/merge-patch+json' },
    );
    const said = async (args: string): Promise<string> => {
      const result = await server.kubectl(args.split(' '));
      assert.notEqual(result.code, 0, args);
      return result.stderr;
    };
    assert.match(await said('exec p -- ls /'), /exec is not supported .* nsenter --target 4711 --all -- ls \//);
    assert.match(await said('attach p'), /attach is not supported .* kubectl logs -f -n default p/);
    assert.match(await said('port-forward p 8080:80'), /portforward is not supported .* at 10.1.2.3/);
    const missing = await call('GET', `${pods}/none/exec?command=ls`);
    assert.equal(missing.status, 404);
    await ok('delete pod p --force');
  });

  test('kubectl get --raw and kubectl top', async () => {
    assert.equal(await ok('get --raw /healthz'), 'ok');
    assert.match(await ok('get --raw /version'), /"gitVersion"/);
    assert.match(await ok('get --raw /metrics'), /apiserver_request_total/);
    const top = await server.kubectl(['top', 'pods']);
    assert.notEqual(top.code, 0);
    assert.match(top.stderr, /Metrics API not available/);
  });
});

describe('evictions and PodDisruptionBudgets', () => {
  let server: TestApi;
  before(async () => {
    server = await startServer();
    const set = await server.call('POST', '/apis/apps/v1/namespaces/default/replicasets', {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: 'web' },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'x' }] } },
      },
    });
    const owner = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: 'web',
      uid: asString(at(set.body, 'metadata', 'uid')),
      controller: true,
    };
    for (const name of ['a', 'b', 'c']) {
      await server.call('POST', pods, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, labels: { app: 'web' }, ownerReferences: [owner] },
        spec: { containers: [{ name: 'c', image: 'x' }] },
      });
      await ready(name, true);
    }
  });
  after(() => server.close());

  const ready = (name: string, isReady: boolean): Promise<Answer> =>
    server.call(
      'PATCH',
      `${pods}/${name}/status`,
      { status: { phase: 'Running', conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] } },
      { 'content-type': 'application/merge-patch+json' },
    );
  const budget = async (spec: JsonObject): Promise<void> => {
    await server.call('DELETE', '/apis/policy/v1/namespaces/default/poddisruptionbudgets/web');
    const made = await server.call('POST', '/apis/policy/v1/namespaces/default/poddisruptionbudgets', {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'web' },
      spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
    });
    assert.equal(made.status, 201, made.text);
  };
  const evict = (name: string, options: JsonObject = {}): Promise<Answer> =>
    server.call('POST', `${pods}/${name}/eviction`, {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace: 'default' },
      deleteOptions: options,
    });
  const dry = { dryRun: ['All'] };

  test('a budget counts the pods that are healthy now', async () => {
    await budget({ minAvailable: 3 });
    const refused = await evict('a');
    assert.equal(refused.status, 429);
    assert.equal(refused.body['message'], "Cannot evict pod as it would violate the pod's disruption budget.");
    assert.match(refused.text, /The disruption budget web needs 3 healthy pods and has 3 currently/);
    await budget({ minAvailable: '60%' });
    assert.equal((await evict('a', dry)).status, 201);
    await budget({ maxUnavailable: 0 });
    assert.equal((await evict('a')).status, 429);
    await budget({ maxUnavailable: 1 });
    assert.equal((await evict('a')).status, 201);
    assert.equal((await server.call('GET', `${pods}/a`)).status, 404);
    assert.equal((await evict('b')).status, 429, 'one is away already');
  });

  test('a pod that is not ready may go when the others suffice, or always if the budget says so', async () => {
    await ready('b', false);
    await budget({ minAvailable: 2 });
    assert.equal((await evict('b')).status, 429);
    await budget({ minAvailable: 2, unhealthyPodEvictionPolicy: 'AlwaysAllow' });
    assert.equal((await evict('b', dry)).status, 201);
    assert.equal((await server.call('GET', `${pods}/b`)).status, 200, 'a dry run removes nothing');
    await budget({ minAvailable: 1 });
    assert.equal((await evict('b')).status, 201);
    assert.equal((await evict('missing')).status, 404);
  });
});
