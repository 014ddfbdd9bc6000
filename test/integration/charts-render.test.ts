/** The charts: helm takes them, bad values are refused, and what they render to is sound and asks for little. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import type { V1PodSpec } from '@kubernetes/client-node';
import {
  at,
  type KubernetesObject,
  type Labels,
  list,
  objectNamed,
  objectsIn,
  ofKind,
  selects,
} from '../support/charts.ts';
import { violationsOfRestricted } from '../support/pod-security.ts';
import { findTool } from '../support/tools.ts';

const root = join(import.meta.dirname, '..', '..');
const chart = join(root, 'charts', 'weft');
const goldens = ['default', 'full', 'small', 'cert-manager'].map((name) => `charts/weft/testdata/${name}.yaml`);
const rendered = [...goldens, 'local/manifests/weft.yaml'];
const timeoutMs = 240_000;

describe('helm', () => {
  let helm = '';
  before(async () => {
    helm = await findTool('helm');
  });

  const run = (...args: string[]) => spawnSync(helm, args, { encoding: 'utf8', timeout: timeoutMs });

  for (const name of ['weft', 'weft-crds']) {
    test(`lints ${name}`, () => {
      const { status, stdout, stderr } = run('lint', '--strict', join(root, 'charts', name));
      assert.equal(status, 0, stdout + stderr);
    });
  }

  test('renders the CRDs of weft-crds', () => {
    const { status, stdout } = run('template', 'weft-crds', join(root, 'charts', 'weft-crds'));
    assert.equal(status, 0);
    assert.deepEqual([...stdout.matchAll(/^ {2}name: (.+)$/gm)].map((match) => match[1]).sort(), [
      'authenticationpolicies.weft.dev',
      'authorizationpolicies.weft.dev',
      'externalservices.weft.dev',
      'faultpolicies.weft.dev',
      'meshes.weft.dev',
      'overloadpolicies.weft.dev',
      'trafficpolicies.weft.dev',
    ]);
  });

  const bad: readonly (readonly [string, RegExp])[] = [
    ['image.registry=registry.example.com', /registry/],
    ['controlPlane.replicas=-1', /replicas/],
    ['injector.failurePolicy=Maybe', /failurePolicy/],
    ['controlPlane.replica=3', /replica/],
    ['trustDomain=Not A Domain', /trustDomain/],
    ['networkPolicy.apiServerBlocks={here}', /apiServerBlocks/],
  ];
  for (const [value, message] of bad) {
    test(`refuses ${value}`, () => {
      const { status, stderr } = run('template', 'weft', chart, '--set', value);
      assert.notEqual(status, 0);
      assert.match(stderr, message);
    });
  }
});

/** What a rule grants, as `group/resource` and verbs. */
function* grants(role: KubernetesObject): Generator<{ resource: string; verbs: unknown[]; names: unknown[] }> {
  for (const rule of list(role['rules'])) {
    for (const group of list(at(rule, 'apiGroups'))) {
      for (const resource of list(at(rule, 'resources'))) {
        const names = list(at(rule, 'resourceNames'));
        yield { resource: `${String(group)}/${String(resource)}`, verbs: list(at(rule, 'verbs')), names };
      }
    }
  }
}

for (const file of rendered) {
  describe(file, () => {
    const objects = objectsIn(file);

    test('has each object once', () => {
      const keys = objects.map(
        (one) => `${one.apiVersion} ${one.kind} ${one.metadata.namespace ?? ''}/${one.metadata.name}`,
      );
      assert.equal(new Set(keys).size, keys.length);
      assert.ok(keys.length >= 15);
    });

    test('grants nothing by wildcard, and Secrets by name alone but to the control plane in its namespace', () => {
      for (const role of ofKind(objects, 'Role', 'ClusterRole')) {
        for (const { resource, verbs, names } of grants(role)) {
          assert.ok(!resource.includes('*') && !verbs.includes('*'), `${role.metadata.name}: ${resource}`);
          if (resource !== '/secrets') continue;
          assert.equal(role.kind, 'Role', 'Secrets of all namespaces');
          // Join tokens are Secrets with names that nobody can know beforehand.
          if (role.metadata.name === 'weft-control-plane') continue;
          if (verbs.join() !== 'create') assert.equal(names.length, 1, `${role.metadata.name}: any Secret`);
        }
      }
    });

    test('keeps the key of the certificate authority from the injector', () => {
      const roles = ofKind(objects, 'Role', 'ClusterRole').filter((one) =>
        one.metadata.name.startsWith('weft-injector'),
      );
      assert.ok(roles.length >= 2);
      for (const role of roles) {
        for (const { resource, names } of grants(role)) {
          if (resource === '/secrets') assert.ok(!names.includes('weft-ca'));
        }
      }
    });

    test('lets operators have tokens of an account that may do nothing, and of no other', () => {
      objectNamed(objects, 'ServiceAccount', 'weft-operator');
      const bound = ofKind(objects, 'RoleBinding', 'ClusterRoleBinding').flatMap((one) => list(one['subjects']));
      assert.ok(!bound.some((subject) => at(subject, 'name') === 'weft-operator'));
      for (const pod of ofKind(objects, 'Deployment'))
        assert.notEqual(at(pod, 'spec', 'template', 'spec', 'serviceAccountName'), 'weft-operator');
      const tokens = [...grants(objectNamed(objects, 'Role', 'weft-operator'))].filter(({ resource }) =>
        resource.startsWith('/serviceaccounts'),
      );
      assert.deepEqual(tokens, [{ resource: '/serviceaccounts/token', verbs: ['create'], names: ['weft-operator'] }]);
    });

    test('binds roles and accounts that exist', () => {
      for (const binding of ofKind(objects, 'RoleBinding', 'ClusterRoleBinding')) {
        objectNamed(objects, String(at(binding, 'roleRef', 'kind')), String(at(binding, 'roleRef', 'name')));
        for (const subject of list(binding['subjects'])) {
          objectNamed(objects, 'ServiceAccount', String(at(subject, 'name')));
        }
      }
    });

    test('hardens every pod', () => {
      const deployments = ofKind(objects, 'Deployment');
      assert.deepEqual(deployments.map((one) => one.metadata.name).sort(), ['weft-control-plane', 'weft-injector']);
      for (const deployment of deployments) {
        const pod = at(deployment, 'spec', 'template', 'spec');
        assert.equal(at(pod, 'securityContext', 'runAsNonRoot'), true);
        assert.equal(at(pod, 'automountServiceAccountToken'), true);
        const account = objectNamed(objects, 'ServiceAccount', String(at(pod, 'serviceAccountName')));
        assert.equal(account['automountServiceAccountToken'], false);
        assert.equal(at(pod, 'securityContext', 'runAsUser'), 65532);
        assert.equal(at(pod, 'securityContext', 'seccompProfile', 'type'), 'RuntimeDefault');
        for (const container of list(at(pod, 'containers'))) {
          assert.deepEqual(at(container, 'securityContext'), {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          assert.ok(at(container, 'resources', 'limits', 'memory') ?? at(container, 'resources', 'requests', 'memory'));
          for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
            assert.ok(at(container, probe), probe);
        }
        assert.equal(at(deployment, 'spec', 'template', 'metadata', 'labels', 'weft.dev/inject'), 'disabled');
      }
    });

    test('passes the Pod Security Standard restricted, which its namespace enforces', () => {
      for (const deployment of ofKind(objects, 'Deployment')) {
        assert.deepEqual(violationsOfRestricted(at(deployment, 'spec', 'template', 'spec') as V1PodSpec), []);
      }
      for (const namespace of ofKind(objects, 'Namespace')) {
        assert.equal(at(namespace, 'metadata', 'labels', 'pod-security.kubernetes.io/enforce'), 'restricted');
      }
    });

    test('joins Services to ports of their pods, and webhooks to Services', () => {
      for (const service of ofKind(objects, 'Service')) {
        const deployment = objectNamed(objects, 'Deployment', service.metadata.name);
        const labels = at(deployment, 'spec', 'template', 'metadata', 'labels');
        for (const [key, value] of Object.entries(at(service, 'spec', 'selector') ?? {})) {
          assert.equal(at(labels, key), value);
        }
        const names = list(at(deployment, 'spec', 'template', 'spec', 'containers', 0, 'ports')).map((one) =>
          at(one, 'name'),
        );
        for (const port of list(at(service, 'spec', 'ports'))) assert.ok(names.includes(at(port, 'targetPort')));
      }
      for (const configuration of ofKind(objects, 'MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration')) {
        for (const webhook of list(configuration['webhooks'])) {
          const client = at(webhook, 'clientConfig', 'service');
          const service = objectNamed(objects, 'Service', String(at(client, 'name')));
          const ports = list(at(service, 'spec', 'ports')).map((one) => at(one, 'port'));
          assert.ok(ports.includes(at(client, 'port')));
          assert.equal(at(client, 'namespace'), service.metadata.namespace);
          assert.equal(at(webhook, 'clientConfig', 'caBundle'), undefined);
        }
      }
    });

    test('never injects the mesh itself', () => {
      const webhooks = list(objectNamed(objects, 'MutatingWebhookConfiguration', 'weft-injector')['webhooks']);
      assert.equal(webhooks.length, 4);
      for (const webhook of webhooks) {
        const excluded = list(at(webhook, 'namespaceSelector', 'matchExpressions')).find(
          (one) => at(one, 'key') === 'kubernetes.io/metadata.name',
        );
        assert.equal(at(excluded, 'operator'), 'NotIn');
        for (const name of ['weft-system', 'kube-system']) assert.ok(list(at(excluded, 'values')).includes(name));
      }
    });
  });
}

describe('which pods reach the injector', () => {
  const inject = 'weft.dev/inject';
  const rev = 'weft.dev/rev';
  const on: Labels = { [inject]: 'enabled' };
  const off: Labels = { [inject]: 'disabled' };
  const canary: Labels = { [rev]: 'canary' };

  /** Namespace, pod, and who is asked: the default revision or canary. */
  const table: readonly (readonly [Labels, Labels, 'default' | 'canary' | 'nobody'])[] = [
    [{}, {}, 'nobody'],
    [on, {}, 'default'],
    [on, off, 'nobody'],
    [on, on, 'default'],
    [{}, on, 'default'],
    [off, {}, 'nobody'],
    [off, on, 'default'],
    [{ ...on, ...canary }, {}, 'canary'],
    [{ ...on, ...canary }, on, 'canary'],
    [{ ...on, ...canary }, { [rev]: 'default' }, 'default'],
    [on, canary, 'canary'],
    [on, { ...on, ...canary }, 'canary'],
    [{}, { ...on, ...canary }, 'canary'],
    [canary, on, 'canary'],
    [canary, {}, 'nobody'],
    [{ ...on, 'kubernetes.io/metadata.name': 'kube-system' }, on, 'nobody'],
    [{ ...on, 'kubernetes.io/metadata.name': 'weft-system' }, {}, 'nobody'],
    // A word that is neither is for the injector to refuse.
    [on, { [inject]: 'yes' }, 'default'],
  ];

  const calls = (file: string, namespace: Labels, pod: Labels): number =>
    list(objectNamed(objectsIn(file), 'MutatingWebhookConfiguration', 'weft-injector')['webhooks']).filter(
      (one) => selects(at(one, 'namespaceSelector'), namespace) && selects(at(one, 'objectSelector'), pod),
    ).length;

  for (const [namespace, pod, who] of table) {
    test(`namespace ${JSON.stringify(namespace)}, pod ${JSON.stringify(pod)}: ${who}, once`, () => {
      assert.equal(calls('charts/weft/testdata/default.yaml', namespace, pod), who === 'default' ? 1 : 0);
      assert.equal(calls('charts/weft/testdata/full.yaml', namespace, pod), who === 'canary' ? 1 : 0);
    });
  }
});

describe('values reach their place', () => {
  const full = objectsIn('charts/weft/testdata/full.yaml');
  const container = (name: string) =>
    at(objectNamed(full, 'Deployment', name), 'spec', 'template', 'spec', 'containers', 0);
  const env = (name: string): ReadonlyMap<unknown, unknown> =>
    new Map(list(at(container(name), 'env')).map((one) => [at(one, 'name'), at(one, 'value')]));

  test('images', () => {
    assert.equal(at(container('weft-control-plane'), 'image'), 'registry.example.com/mesh/weft/control-plane:1.2.3');
    assert.equal(env('weft-injector').get('WEFT_SIDECAR_IMAGE'), 'registry.example.com/mesh/weft/sidecar:1.2.3');
    assert.equal(env('weft-injector').get('WEFT_INIT_IMAGE'), 'registry.example.com/mesh/weft/injector:1.2.3');
  });

  test('domains', () => {
    for (const name of ['weft-control-plane', 'weft-injector']) {
      assert.equal(env(name).get('WEFT_TRUST_DOMAIN'), 'prod.example.com');
      assert.equal(env(name).get('WEFT_CLUSTER_DOMAIN'), 'k8s.example.com');
    }
    assert.equal(env('weft-injector').get('WEFT_CONTROL_PLANE'), 'weft-control-plane.weft-system.svc:15012');
  });

  test('the Mesh', () => {
    assert.deepEqual(at(objectNamed(full, 'Mesh', 'default'), 'spec', 'mtls'), { mode: 'STRICT' });
    assert.ok(!objectsIn('charts/weft/testdata/default.yaml').some((one) => one.kind === 'Mesh'));
  });

  test('the issuer of cert-manager, and the right to ask it', () => {
    const objects = objectsIn('charts/weft/testdata/cert-manager.yaml');
    const pod = at(objectNamed(objects, 'Deployment', 'weft-control-plane'), 'spec', 'template', 'spec');
    const set = new Map(list(at(pod, 'containers', 0, 'env')).map((one) => [at(one, 'name'), at(one, 'value')]));
    assert.equal(set.get('WEFT_CA_SOURCE'), 'cert-manager');
    assert.equal(set.get('WEFT_CA_ISSUER_NAME'), 'mesh');
    assert.equal(set.get('WEFT_CA_ISSUER_KIND'), 'ClusterIssuer');
    assert.equal(set.get('WEFT_CA_ISSUER_GROUP'), 'cert-manager.io');
    assert.equal(set.get('WEFT_CA_DURATION'), '720h');
    assert.equal(at(pod, 'volumes'), undefined);
    const role = 'weft-control-plane-cert-manager';
    assert.deepEqual(at(objectNamed(objects, 'Role', role), 'rules', 0, 'resources'), ['certificaterequests']);
    assert.ok(!full.some((one) => one.metadata.name === role));
  });

  test('small leaves out what is optional', () => {
    const kinds = new Set(objectsIn('charts/weft/testdata/small.yaml').map((one) => one.kind));
    assert.ok(!kinds.has('PodDisruptionBudget') && !kinds.has('ValidatingWebhookConfiguration'));
  });
});
