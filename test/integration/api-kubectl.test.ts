import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { asArray, asObjects, asString, at, isObject, type JsonObject, parseJson } from '@weft/local/api/json';
import { containerLogDirectory } from '@weft/local/api/logs';
import { startTestApi, type TestApi, until } from '@weft/local/api/testing';

const deployment = (extra = '', env = '[{name: A, value: "1"}, {name: B, value: "2"}]'): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  ${extra}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: nginx, env: ${env}, ports: [{containerPort: 80}]}
`;

const definition = (rule: string): string => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: paints.example.com}
spec:
  group: example.com
  names: {kind: Paint, plural: paints, singular: paint, shortNames: [pt], categories: [all]}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.coats, statusReplicasPath: .status.coats}}
    additionalPrinterColumns: [{name: Coats, type: integer, jsonPath: .spec.coats}]
    selectableFields: [{jsonPath: .spec.color}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [color]
            x-kubernetes-validations:
            - {rule: "${rule}", messageExpression: "'coats is ' + string(self.coats)", fieldPath: .coats}
            - {rule: "self.color == oldSelf.color", message: color is immutable}
            properties:
              coats: {type: integer, default: 1, minimum: 0}
              color: {type: string, enum: [red, blue]}
          status: {type: object, properties: {coats: {type: integer}}}
`;

const paint = (spec: string): string => `
apiVersion: example.com/v1
kind: Paint
metadata: {name: wall}
spec: ${spec}
`;

describe('kubectl against the embedded API', () => {
  let server: TestApi;
  const ok = async (args: string, input?: string): Promise<string> => {
    const result = await server.kubectl(args.split(' '), input);
    assert.equal(result.code, 0, `kubectl ${args}: ${result.stderr}`);
    return result.stdout;
  };
  const refused = async (args: string, input?: string): Promise<string> => {
    const result = await server.kubectl(args.split(' '), input);
    assert.notEqual(result.code, 0, `kubectl ${args} should have failed, said: ${result.stdout}`);
    return result.stderr;
  };
  const json = async (args: string): Promise<JsonObject> => {
    const parsed = parseJson(await ok(`${args} -o json`));
    assert.ok(isObject(parsed));
    return parsed;
  };

  before(async () => {
    server = await startTestApi();
    await ok('create serviceaccount default');
  });
  after(() => server.close());

  test('client-side apply adds, changes and removes, and its diff is a dry run', async () => {
    assert.match(await ok('apply -f -', deployment()), /created/);
    const next = deployment('', '[{name: B, value: "3"}]');
    const diff = await server.kubectl(['diff', '-f', '-'], next);
    assert.equal(diff.code, 1);
    assert.match(diff.stdout, /-\s+value: "1"/);
    assert.match(await ok('apply -f -', deployment('', '[{name: B, value: "3"}]')), /configured/);
    assert.match(await ok('apply -f -', deployment('', '[{name: B, value: "3"}]')), /unchanged/);
    const web = await json('get deploy web');
    const container = asObjects(at(web, 'spec', 'template', 'spec', 'containers'))[0];
    assert.deepEqual(container?.['env'], [{ name: 'B', value: '3' }]);
    assert.equal(container?.['imagePullPolicy'], 'Always');
    assert.equal(at(web, 'metadata', 'generation'), 2);
    assert.equal(at(web, 'spec', 'strategy', 'rollingUpdate', 'maxSurge'), '25%');
  });

  test('label, annotate, patch in three types, scale, set image, rollout restart', async () => {
    await ok('label deploy web tier=front');
    await ok('annotate deploy web note=x');
    await ok('patch deploy web --type=json -p [{"op":"replace","path":"/spec/replicas","value":2}]');
    await ok('patch deploy web --type=merge -p {"spec":{"paused":true}}');
    await ok('patch deploy web -p {"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox:1"}]}}}}');
    await ok('scale deploy web --replicas=5');
    await ok('set image deploy/web c=nginx:1.27');
    await ok('patch deploy web --type=merge -p {"spec":{"paused":false}}');
    await ok('rollout restart deploy web');
    const web = await json('get deploy web');
    assert.equal(at(web, 'spec', 'replicas'), 5);
    assert.equal(at(web, 'metadata', 'labels', 'tier'), 'front');
    const containers = asObjects(at(web, 'spec', 'template', 'spec', 'containers'));
    assert.deepEqual(
      new Map(containers.map((c) => [c['name'], c['image']])),
      new Map([
        ['c', 'nginx:1.27'],
        ['side', 'busybox:1'],
      ]),
    );
    assert.ok(at(web, 'spec', 'template', 'metadata', 'annotations', 'kubectl.kubernetes.io/restartedAt'));
    assert.match(
      await ok('get deploy -o wide'),
      /NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\s+CONTAINERS\s+IMAGES\s+SELECTOR\nweb\s+0\/5/,
    );
    assert.match(await ok('describe deploy web'), /RollingUpdateStrategy:\s+25% max unavailable/);
    await ok('wait --for=jsonpath={.spec.replicas}=5 deploy/web --timeout=5s');
  });

  test('server-side apply: ownership, conflict, force, removal', async () => {
    const config = (data: string): string =>
      `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"shared"},"data":${data}}`;
    await ok('apply --server-side --field-manager=one -f -', config('{"a":"1","b":"1"}'));
    await ok('apply --server-side --field-manager=two -f -', config('{"c":"2"}'));
    const conflict = await refused('apply --server-side --field-manager=two -f -', config('{"a":"2","c":"2"}'));
    assert.match(conflict, /Apply failed with 1 conflict: conflict with "one": \.data\.a/);
    await ok('apply --server-side --field-manager=two --force-conflicts -f -', config('{"a":"2","c":"2"}'));
    await ok('apply --server-side --field-manager=one -f -', config('{"a":"2"}'));
    assert.deepEqual(at(await json('get cm shared'), 'data'), { a: '2', c: '2' });
    await ok('apply --server-side --field-manager=two -f -', config('{"c":"2"}'));
    assert.deepEqual(at(await json('get cm shared'), 'data'), { a: '2', c: '2' }, 'what one still wants stays');
    await ok('apply --server-side --field-manager=one -f -', config('{}'));
    assert.deepEqual(at(await json('get cm shared'), 'data'), { c: '2' });
  });

  test('what is wrong is refused with the field named', async () => {
    const bad = deployment('foo: 1').replace('name: web, labels', 'name: Web_2, labels');
    assert.match(await refused('apply -f -', bad), /strict decoding error: unknown field "spec.foo"/);
    const lax = await refused('apply --validate=false -f -', bad.replace('{name: c, ', '{'));
    assert.match(lax, /metadata.name: Invalid value: "Web_2": a lowercase RFC 1123 subdomain/);
    assert.match(lax, /spec.template.spec.containers\[0\].name: Required value/);
    assert.match(
      await refused('patch deploy web -p {"spec":{"selector":{"matchLabels":{"app":"x"}}}}'),
      /field is immutable/,
    );
    assert.match(await refused('get deploy nothing'), /deployments.apps "nothing" not found/);
    assert.match(await refused('create cm shared'), /configmaps "shared" already exists/);
    assert.match(await refused('get pods --field-selector=spec.foo=1'), /field label not supported: spec.foo/);
  });

  test('definitions: CEL, defaults, pruning, columns, scale, selectable fields', async () => {
    assert.match(
      await refused('apply -f -', definition('self.coat <= 5')),
      /undefined field 'coat' in rule "self.coat <= 5"/,
    );
    assert.match(await refused('apply -f -', definition('self.coats <=')), /compilation failed/);
    await ok('apply -f -', definition('self.coats <= 5'));
    await ok('wait --for=condition=Established crd/paints.example.com --timeout=5s');
    await ok('apply -f -', paint('{color: red}'));
    assert.match(await ok('get pt'), /NAME\s+COATS\nwall\s+1/);
    assert.match(
      await refused('apply -f -', paint('{color: red, coats: 9}')),
      /spec.coats: Invalid value: "object": coats is 9/,
    );
    assert.match(await refused('apply -f -', paint('{color: blue}')), /color is immutable/);
    assert.match(
      await refused('apply -f -', paint('{color: green}')),
      /spec.color: Unsupported value: "green": supported values: "red", "blue"/,
    );
    assert.match(await refused('apply -f -', paint('{color: red, zz: 1}')), /unknown field "spec.zz"/);
    assert.match(await refused('apply -f -', paint('{}')), /spec.color: Required value/);
    await ok('scale paint wall --replicas=3');
    assert.match(await ok('get all'), /paint.example.com\/wall\s+3/);
    assert.match(await ok('get paints --field-selector=spec.color=red'), /wall/);
    assert.doesNotMatch(await ok('get paints --field-selector=spec.color=blue'), /wall/);
    assert.match(await ok('explain paint.spec.color'), /FIELD: color <string>/);
    await ok('patch paint wall --subresource=status --type=merge -p {"status":{"coats":3}}');
    const wall = await json('get paint wall');
    assert.equal(at(wall, 'status', 'coats'), 3);
    assert.equal(at(wall, 'metadata', 'generation'), 2, 'a status write is no new generation');
    await ok('delete crd paints.example.com');
    assert.match(
      await refused('get paints'),
      /the server doesn't have a resource type "paints"|could not find the requested resource/,
    );
  });

  test('explain, api-resources, auth', async () => {
    assert.match(await ok('explain deployment.spec.replicas'), /FIELD: replicas <integer>/);
    assert.match(await ok('api-resources'), /endpointslices\s+discovery.k8s.io\/v1\s+true\s+EndpointSlice/);
    assert.equal((await ok('auth can-i delete pods')).trim(), 'yes');
    const no = await server.kubectl('auth can-i delete pods --as system:serviceaccount:default:default'.split(' '));
    assert.equal(no.stdout.trim(), 'no');
    assert.match(await ok('auth whoami'), /weft-admin/);
    assert.match(
      await refused('get secrets --as someone'),
      /secrets is forbidden: User "someone" cannot list resource "secrets" in API group "" in the namespace "default"/,
    );
  });

  test('typed creators, whose bodies are protobuf', async () => {
    await ok('create cm typed --from-literal=k=v --from-literal=empty=');
    assert.deepEqual(at(await json('get cm typed'), 'data'), { k: 'v', empty: '' });
    await ok('create deploy typed --image=nginx --replicas=0');
    assert.equal(at(await json('get deploy typed'), 'spec', 'replicas'), 0);
    await ok('create job typed --image=busybox -- true');
    assert.equal(at(await json('get job typed'), 'spec', 'backoffLimit'), 6);
    await ok('create secret generic typed --from-literal=a=b');
    assert.equal(at(await json('get secret typed'), 'data', 'a'), 'Yg==');
    await ok('create role reader --verb=get --resource=pods');
    await ok('create rolebinding reader --role=reader --user=jane');
    assert.equal((await ok('auth can-i get pods --as jane')).trim(), 'yes');
    await ok('create service clusterip typed --tcp=80:8080');
    const service = await json('get svc typed');
    assert.match(asString(at(service, 'spec', 'clusterIP')), /^10\.231\./);
    assert.equal(asObjects(at(service, 'spec', 'ports'))[0]?.['targetPort'], 8080);
    assert.match(await ok('create token default'), /^eyJ/);
    await ok('create poddisruptionbudget typed --selector=app=x --min-available=1');
    await ok('expose deploy typed --port=80 --name=exposed');
  });

  test('watch follows changes', async () => {
    const child = spawn(
      'kubectl',
      ['get', 'cm', '--field-selector=metadata.name=watched', '-w', '--output-watch-events'],
      {
        env: { PATH: process.env['PATH'], KUBECONFIG: server.kubeconfig, HOME: server.directory },
      },
    );
    let seen = '';
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
    });
    try {
      await ok('create cm watched');
      await until('ADDED', () => (seen.includes('ADDED') ? true : undefined));
      await ok('label cm watched a=b');
      await until('MODIFIED', () => (seen.includes('MODIFIED') ? true : undefined));
      await ok('delete cm watched');
      await until('DELETED', () => (seen.includes('DELETED') ? true : undefined));
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('deleting owners: background, foreground and orphan', async () => {
    const make = async (name: string, owner?: JsonObject): Promise<JsonObject> => {
      const metadata: JsonObject = { name };
      if (owner !== undefined) {
        metadata['ownerReferences'] = [
          {
            apiVersion: 'v1',
            kind: 'ConfigMap',
            name: asString(at(owner, 'metadata', 'name')),
            uid: asString(at(owner, 'metadata', 'uid')),
            blockOwnerDeletion: true,
          },
        ];
      }
      const answer = await server.call('POST', '/api/v1/namespaces/default/configmaps', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata,
      });
      assert.equal(answer.status, 201, answer.text);
      return answer.body;
    };
    const gone = (name: string) =>
      until(`${name} to go`, async () =>
        (await server.call('GET', `/api/v1/namespaces/default/configmaps/${name}`)).status === 404 ? true : undefined,
      );
    for (const policy of ['background', 'foreground']) {
      const owner = await make(`owner-${policy}`);
      await make(`child-${policy}`, owner);
      await ok(`delete cm owner-${policy} --cascade=${policy}`);
      await gone(`child-${policy}`);
    }
    const owner = await make('owner-orphan');
    await make('child-orphan', owner);
    await ok('delete cm owner-orphan --cascade=orphan');
    await gone('owner-orphan');
    const child = await json('get cm child-orphan');
    assert.deepEqual(asArray(at(child, 'metadata', 'ownerReferences')), []);
  });

  test('a namespace goes with its content', async () => {
    await ok('create ns brief');
    await ok('create cm inside -n brief');
    await ok('patch cm inside -n brief --type=merge -p {"metadata":{"finalizers":["example.com/hold"]}}');
    await ok('delete ns brief --wait=false');
    assert.equal(at(await json('get ns brief'), 'status', 'phase'), 'Terminating');
    assert.match(await refused('create cm late -n brief'), /because it is being terminated/);
    await ok('patch cm inside -n brief --type=merge -p {"metadata":{"finalizers":null}}');
    await until('namespace to go', async () =>
      (await server.call('GET', '/api/v1/namespaces/brief')).status === 404 ? true : undefined,
    );
  });

  test('pods: token volume, graceful deletion on a node, logs', async () => {
    await ok('run one --image=nginx');
    const pod = await json('get pod one');
    const volume = asObjects(at(pod, 'spec', 'volumes'))[0];
    assert.match(asString(volume?.['name']), /^kube-api-access-/);
    await server.call('POST', '/api/v1/namespaces/default/pods/one/binding', {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'one' },
      target: { kind: 'Node', name: 'n1' },
    });
    assert.match(await ok('get pod one -o wide'), /n1/);
    assert.match(await refused('logs one'), /container "one" in pod "one" is waiting to start: ContainerCreating/);
    const file = join(
      containerLogDirectory(server.directory, 'default', 'one', asString(at(pod, 'metadata', 'uid')), 'one'),
      '0.log',
    );
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(
      file,
      '2026-01-01T00:00:00.000000001Z stdout F first\n2026-01-01T00:00:01.000000001Z stderr F second\n',
    );
    await ok(
      'patch pod one --subresource=status --type=merge -p {"status":{"phase":"Running","containerStatuses":[{"name":"one","ready":true,"restartCount":0,"image":"nginx","imageID":"","state":{"running":{}}}]}}',
    );
    assert.equal(await ok('logs one'), 'first\nsecond\n');
    assert.equal(await ok('logs one --tail=1'), 'second\n');
    assert.match(await ok('get pods'), /one\s+1\/1\s+Running\s+0/);
    await ok('delete pod one --wait=false');
    assert.match(await ok('get pods'), /one\s+1\/1\s+Terminating/);
    assert.equal(at(await json('get pod one'), 'metadata', 'deletionGracePeriodSeconds'), 30);
    await server.call('DELETE', '/api/v1/namespaces/default/pods/one?gracePeriodSeconds=0');
    assert.match(await refused('get pod one'), /pods "one" not found/);
  });
});
