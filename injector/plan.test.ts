import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { V1Container, V1Pod, V1Probe } from '@kubernetes/client-node';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import type { PodConfig } from './config.ts';
import { DENY_REASONS, type NamespaceInfo, planInjection, SKIP_REASONS } from './plan.ts';
import { applyPatch } from './pod/patch.fixture.ts';

const CONFIG: PodConfig = {
  sidecarImage: 'weft/sidecar:0.1.0',
  initImage: 'weft/injector:0.1.0',
  imagePullPolicy: undefined,
  trustDomain: 'cluster.local',
  clusterDomain: 'cluster.local',
  controlPlane: 'weft-control-plane.weft-system.svc:15012',
  revision: 'default',
  version: '0.1.0',
  systemNamespace: 'weft-system',
  apiServers: '',
  redirectByNode: false,
};
const ENABLED: NamespaceInfo = { name: 'shop', labels: { 'weft.dev/inject': 'enabled' } };

interface Case {
  readonly namespace: NamespaceInfo;
  readonly config?: Partial<PodConfig>;
  readonly pod: V1Pod;
}

/** Made anew by `UPDATE_GOLDEN=1 node --test injector/plan.test.ts`. */
describe('golden files', () => {
  const directory = new URL('./testdata/', import.meta.url);
  const names = readdirSync(directory)
    .filter((name) => name.endsWith('.in.yaml'))
    .map((name) => name.slice(0, -'.in.yaml'.length));
  const seen = new Set<string>();

  for (const name of names) {
    test(name, () => {
      const input: Case = parse(readFileSync(new URL(`${name}.in.yaml`, directory), 'utf8'));
      const plan = planInjection(input.pod, input.namespace, { ...CONFIG, ...input.config });
      seen.add(plan.kind === 'patch' ? 'patch' : plan.reason);
      const shown = plan.kind === 'patch' ? { ...plan, pod: applyPatch(input.pod, plan.patch) } : plan;
      const text = stringify(shown, { lineWidth: 0, aliasDuplicateObjects: false });
      const file = new URL(`${name}.out.yaml`, directory);
      if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
      assert.equal(text, readFileSync(file, 'utf8'));
    });
  }

  test('there is a case for every skip and deny reason', () => {
    const wanted = ['patch', ...Object.keys(SKIP_REASONS), ...DENY_REASONS];
    assert.deepEqual(
      wanted.filter((reason) => !seen.has(reason)),
      [],
    );
  });
});

const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const port = fc.integer({ min: 1, max: 14_999 });
const timing = fc.record(
  { periodSeconds: fc.integer({ min: 1, max: 60 }), timeoutSeconds: fc.integer({ min: 1, max: 60 }) },
  { requiredKeys: [] },
);
const handler = fc.oneof(
  fc.record({ httpGet: fc.record({ path: fc.webPath(), port }) }),
  fc.record({ tcpSocket: fc.record({ port }) }),
  fc.record({ grpc: fc.record({ port }) }),
  fc.record({ exec: fc.record({ command: fc.array(name) }) }),
);
const probe: fc.Arbitrary<V1Probe> = fc.tuple(timing, handler).map(([times, how]) => ({ ...times, ...how }));
const container = (probes: boolean): fc.Arbitrary<V1Container> =>
  fc.record(
    {
      name,
      image: name,
      env: fc.array(fc.record({ name, value: fc.string() }), { maxLength: 2 }),
      ...(probes
        ? {
            livenessProbe: probe,
            readinessProbe: probe,
            startupProbe: probe,
            lifecycle: fc.record({ preStop: fc.constant({ sleep: { seconds: 1 } }) }, { requiredKeys: [] }),
          }
        : {}),
    },
    { requiredKeys: ['name', 'image'] },
  );
const uniqueContainers = (probes: boolean, minLength: number): fc.Arbitrary<V1Container[]> =>
  fc.uniqueArray(container(probes), { minLength, maxLength: 3, selector: (each) => each.name });
const labels = fc.dictionary(fc.stringMatching(/^[a-z~]{1,5}(\/[a-z~]{1,5})?$/), name, { maxKeys: 3 });
const podRecord = fc.record(
  {
    metadata: fc.record({ name, labels, annotations: labels }, { requiredKeys: [] }),
    spec: fc.record(
      {
        containers: uniqueContainers(true, 1),
        initContainers: uniqueContainers(false, 0),
        volumes: fc.array(fc.record({ name: name.map((text) => `v-${text}`), emptyDir: fc.constant({}) }), {
          maxLength: 2,
        }),
        restartPolicy: fc.constantFrom('Always', 'OnFailure', 'Never'),
      },
      { requiredKeys: ['containers'] },
    ),
  },
  { requiredKeys: ['spec'] },
);
/** As it comes over the wire: plain objects. */
const anyPod: fc.Arbitrary<V1Pod> = podRecord.map((pod) => JSON.parse(JSON.stringify(pod)));

function withoutProbesAndLifecycle(each: V1Container): Partial<V1Container> {
  const { livenessProbe: _l, readinessProbe: _r, startupProbe: _s, lifecycle: _c, ...rest } = each;
  return rest;
}

function injected(pod: V1Pod): V1Pod {
  const plan = planInjection(pod, ENABLED, CONFIG);
  assert.equal(plan.kind, 'patch', JSON.stringify(plan));
  return plan.kind === 'patch' ? applyPatch(pod, plan.patch) : pod;
}

describe('any pod', () => {
  test('keeps everything but probes and lifecycle of its containers', () => {
    fc.assert(
      fc.property(anyPod, (pod) => {
        const after = injected(pod);
        assert.deepEqual(
          after.spec?.containers.map(withoutProbesAndLifecycle),
          pod.spec?.containers.map(withoutProbesAndLifecycle),
        );
        assert.deepEqual(after.spec?.initContainers?.slice(2), pod.spec?.initContainers ?? []);
        assert.deepEqual(
          after.spec?.initContainers?.slice(0, 2).map((each) => each.name),
          ['weft-init', 'weft-proxy'],
        );
        assert.deepEqual(after.spec?.volumes?.slice(0, -4), pod.spec?.volumes ?? []);
        assert.deepEqual(after.metadata?.labels, pod.metadata?.labels);
        for (const [key, value] of Object.entries(pod.metadata?.annotations ?? {}))
          assert.equal(after.metadata?.annotations?.[key], value);
      }),
    );
  });

  test('has every original probe in the environment of the sidecar and keeps the timing', () => {
    fc.assert(
      fc.property(anyPod, (pod) => {
        const after = injected(pod);
        const text = after.spec?.initContainers?.[1]?.env?.find((each) => each.name === 'WEFT_PROBES')?.value ?? '';
        const originals: Record<string, unknown> = JSON.parse(text);
        after.spec?.containers.forEach((each, index) => {
          const before = pod.spec?.containers[index];
          for (const [field, path] of [
            ['livenessProbe', 'livez'],
            ['readinessProbe', 'readyz'],
            ['startupProbe', 'startupz'],
          ] as const) {
            const key = `${each.name}/${path}`;
            const rewritten = before?.[field] !== undefined && before[field].exec === undefined;
            assert.equal(key in originals, rewritten);
            if (!rewritten) assert.deepEqual(each[field], before?.[field]);
            else assert.deepEqual(each[field]?.httpGet, { path: `/app-health/${key}`, port: 15020, scheme: 'HTTP' });
            assert.equal(each[field]?.periodSeconds, before?.[field]?.periodSeconds);
          }
        });
      }),
    );
  });

  test('is injected once: asked again, the answer is already-injected', () => {
    fc.assert(
      fc.property(anyPod, (pod) => {
        const again = planInjection(injected(pod), ENABLED, CONFIG);
        assert.equal(again.kind === 'skip' && again.reason, 'already-injected');
      }),
    );
  });

  test('asked again after another webhook added a container, only that one is taken care of', () => {
    fc.assert(
      fc.property(anyPod, probe, (pod, added) => {
        const between = injected(pod);
        between.spec?.containers.push({ name: 'late-comer', image: 'late', readinessProbe: added });
        const again = planInjection(between, ENABLED, CONFIG);
        const toCompletion = pod.spec?.restartPolicy === 'Never' || pod.spec?.restartPolicy === 'OnFailure';
        if (added.exec !== undefined && toCompletion) return assert.equal(again.kind, 'skip');
        assert.ok(again.kind === 'patch', JSON.stringify(again));
        const after = applyPatch(between, again.patch);
        const late = after.spec?.containers.at(-1);
        assert.equal(late?.lifecycle?.preStop?.httpGet?.path, toCompletion ? undefined : '/drain/wait');
        const env = after.spec?.initContainers?.[1]?.env?.find((each) => each.name === 'WEFT_PROBES');
        const keys = Object.keys(JSON.parse(env?.value ?? ''));
        assert.equal(keys.includes('late-comer/readyz'), added.exec === undefined);
        const before = injected(pod).spec?.initContainers?.[1]?.env?.find((each) => each.name === 'WEFT_PROBES');
        for (const key of Object.keys(JSON.parse(before?.value ?? ''))) assert.ok(keys.includes(key));
        assert.deepEqual(after.spec?.containers.slice(0, -1), between.spec?.containers.slice(0, -1));
        assert.equal(planInjection(after, ENABLED, CONFIG).kind, 'skip');
      }),
    );
  });

  test('a container with the user of the sidecar is refused also when it comes later', () => {
    const between = injected({ spec: { containers: [{ name: 'a', image: 'a' }] } });
    between.spec?.containers.push({ name: 'late', image: 'late', securityContext: { runAsUser: 1337 } });
    const again = planInjection(between, ENABLED, CONFIG);
    assert.equal(again.kind === 'deny' && again.reason, 'proxy-user');
  });
});
