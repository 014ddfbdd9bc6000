import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { asArray, asObjects, asString, at, isObject, type JsonObject, parseJson } from '@weft/local/api/json';
import { type KubectlResult, startTestApi, type TestApi } from '@weft/local/api/testing';
import { parseAllDocuments } from 'yaml';

/** What is shipped is applied with a stock kubectl as a user would: twice, edited, compared and deleted. */
const fileOf = (name: string): string => fileURLToPath(new URL(`../../local/manifests/${name}.yaml`, import.meta.url));
const definitions = ['gateway-api', 'weft-crds'];
const objects = ['weft', 'demo'];

interface Shown {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}
const documents = (name: string): JsonObject[] =>
  parseAllDocuments(readFileSync(fileOf(name), 'utf8'))
    .map((document): unknown => document.toJS())
    .filter(isObject);
const shown = (object: JsonObject): Shown => ({
  kind: asString(object['kind']),
  name: asString(at(object, 'metadata', 'name')),
  namespace: asString(at(object, 'metadata', 'namespace')),
});

/** kubectl always sends a `$retainKeys` patch for these and says "configured", on any cluster; it changes nothing. */
const hasUntypedStrategy = (object: JsonObject): boolean =>
  at(object, 'spec', 'strategy') !== undefined && at(object, 'spec', 'strategy', 'type') === undefined;

for (const mode of ['client-side', 'server-side'] as const) {
  describe(`our manifests through kubectl apply, ${mode}`, () => {
    let server: TestApi;
    const kubectl = (args: string, input?: string): Promise<KubectlResult> => server.kubectl(args.split(' '), input);
    const ok = async (args: string, input?: string): Promise<string> => {
      const result = await kubectl(args, input);
      assert.equal(result.code, 0, `kubectl ${args}: ${result.stderr}`);
      // A warning means that a manifest says something that the API does not know.
      assert.equal(result.stderr, '', `kubectl ${args}`);
      return result.stdout;
    };
    const flags = mode === 'server-side' ? ' --server-side' : '';
    const apply = (name: string): Promise<string> => ok(`apply${flags} -f ${fileOf(name)}`);
    /** `deployment.apps/web configured` -> how many objects said what. */
    const verdicts = (output: string): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (const line of output.trim().split('\n')) {
        const verdict = line.split(' ').slice(1).join(' ');
        counts[verdict] = (counts[verdict] ?? 0) + 1;
      }
      return counts;
    };

    before(async () => {
      server = await startTestApi();
    });
    after(() => server.close());

    test('every object is made, without a warning', async () => {
      const made = mode === 'server-side' ? 'serverside-applied' : 'created';
      for (const name of definitions) assert.deepEqual(verdicts(await apply(name)), { [made]: documents(name).length });
      await ok('wait --for=condition=Established crd --all --timeout=20s');
      for (const name of objects) assert.deepEqual(verdicts(await apply(name)), { [made]: documents(name).length });
    });

    test('a second time nothing changes', async () => {
      const versions = async (): Promise<string> =>
        ok(
          'get crd,deploy,svc,sa,role,clusterrole,rolebinding,clusterrolebinding,mutatingwebhookconfiguration,validatingwebhookconfiguration -A -o jsonpath={.items[*].metadata.resourceVersion}',
        );
      const before = await versions();
      for (const name of [...definitions, ...objects]) {
        const counts = verdicts(await apply(name));
        const untyped = mode === 'server-side' ? 0 : documents(name).filter(hasUntypedStrategy).length;
        const same = mode === 'server-side' ? 'serverside-applied' : 'unchanged';
        assert.equal(counts[same], documents(name).length - untyped, `${name}: ${JSON.stringify(counts)}`);
        assert.equal(await ok(`diff${flags} -f ${fileOf(name)}`), '', name);
      }
      assert.equal(await versions(), before);
    });

    test('an edit shows in diff, is applied, and what was left out goes', async () => {
      const deployment = documents('weft').find((object) => object['kind'] === 'Deployment');
      assert.ok(deployment !== undefined);
      const { name, namespace } = shown(deployment);
      const container = asObjects(at(deployment, 'spec', 'template', 'spec', 'containers'))[0];
      assert.ok(container !== undefined);
      const ports = asObjects(container['ports']).length;
      container['env'] = [...asArray(container['env']), { name: 'ADDED', value: 'by-a-test' }];
      container['ports'] = asArray(container['ports']).slice(1);
      const edited = JSON.stringify(deployment);
      const difference = await kubectl(`diff${flags} -f -`, edited);
      assert.equal(difference.code, 1, difference.stderr);
      assert.match(difference.stdout, /^\+.*ADDED/m);
      await ok(`apply${flags} -f -`, edited);
      const live = async (): Promise<JsonObject | undefined> => {
        const parsed = parseJson(await ok(`get deployment ${name} -n ${namespace} -o json`));
        return asObjects(at(parsed, 'spec', 'template', 'spec', 'containers'))[0];
      };
      assert.match(JSON.stringify((await live())?.['env']), /ADDED/);
      assert.equal(asObjects((await live())?.['ports']).length, ports - 1);
      await apply('weft');
      assert.doesNotMatch(JSON.stringify((await live())?.['env'] ?? []), /ADDED/);
      assert.equal(asObjects((await live())?.['ports']).length, ports);
      assert.equal(await ok(`diff${flags} -f ${fileOf('weft')}`), '');
    });

    test('policies are served, listed in their columns, explained and refused by field', async () => {
      // The webhook's pod does not run here.
      await ok('delete validatingwebhookconfiguration --all');
      await ok('create namespace policies');
      const policy = (attempts: number): string => `
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: p, namespace: policies }
spec:
  targetRefs: [{ kind: Service, name: web }]
  retries: { attempts: ${attempts} }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: policies }
spec:
  hostnames: [shop.example.com]
  parentRefs: [{ group: "", kind: Service, name: web, port: 80 }]
  rules: [{ backendRefs: [{ name: web, port: 80 }] }]
`;
      await ok(`apply${flags} -f -`, policy(2));
      assert.match(await ok('get httproute -n policies'), /^NAME +HOSTNAMES +AGE\s+r +\["shop.example.com"\]/);
      assert.match(await ok('get trafficpolicy -n policies'), /^NAME .*\s+p /);
      assert.match(await ok('explain trafficpolicy.spec.retries.attempts'), /FIELD: attempts/);
      const wrong = await kubectl(`apply${flags} -f -`, policy(99));
      assert.notEqual(wrong.code, 0);
      assert.match(wrong.stderr, /spec\.retries\.attempts/);
      const unknown = await kubectl(`apply${flags} -f -`, policy(2).replace('retries:', 'retires:'));
      assert.notEqual(unknown.code, 0);
      assert.match(unknown.stderr, /unknown field|field not declared/);
    });

    test('deleted again, and nothing of it is left', async () => {
      for (const name of [...objects, ...definitions].reverse())
        await ok(`delete --wait=false --ignore-not-found -f ${fileOf(name)}`);
      for (const name of [...objects, ...definitions]) {
        for (const { kind, namespace } of documents(name).map(shown)) {
          if (kind === 'Namespace' || namespace !== '') continue;
          const left = await kubectl(`get ${kind} -l app.kubernetes.io/part-of=weft -o name`);
          assert.equal(left.stdout, '', kind);
        }
      }
      await ok('wait --for=delete namespace/weft-system --timeout=20s');
    });
  });
}
