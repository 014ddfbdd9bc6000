/** What the Pod Security Standards say of injected pods, over all golden files of the injector. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { V1Container, V1Pod, V1PodSpec } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { violationsOfRestricted } from '../support/pod-security.ts';

const directory = join(import.meta.dirname, '..', '..', 'injector', 'testdata');

interface Golden {
  readonly name: string;
  readonly spec: V1PodSpec;
}

const injected: readonly Golden[] = globSync('*.out.yaml', { cwd: directory }).flatMap((name) => {
  const { pod }: { pod?: V1Pod } = parse(readFileSync(join(directory, name), 'utf8'));
  return pod?.spec === undefined ? [] : [{ name, spec: pod.spec }];
});

/** The mesh's own containers and volumes of a pod. */
function own({ spec }: Golden): V1PodSpec {
  const isOurs = ({ name }: { readonly name: string }): boolean => name.startsWith('weft-');
  return {
    containers: [],
    initContainers: (spec.initContainers ?? []).filter(isOurs),
    volumes: (spec.volumes ?? []).filter(isOurs),
  };
}

const named = ({ initContainers = [] }: V1PodSpec, wanted: string): V1Container | undefined =>
  initContainers.find(({ name }) => name === wanted);

describe('what is injected', () => {
  test('there are pods with and without the init container', () => {
    const withInit = injected.filter(({ spec }) => named(spec, 'weft-init') !== undefined);
    assert.ok(withInit.length > 0 && withInit.length < injected.length);
  });

  for (const golden of injected) {
    test(`${golden.name}: restricted, but for what the init container needs to write rules`, () => {
      const needs = ['weft-init: adds NET_ADMIN', 'weft-init: runAsNonRoot', 'weft-init: runAsUser 0'];
      const expected = named(golden.spec, 'weft-init') === undefined ? [] : needs;
      assert.deepEqual(violationsOfRestricted(own(golden)), expected);
    });

    test(`${golden.name}: read-only root, no escalation, no token of the application's account`, () => {
      for (const { name, securityContext, volumeMounts = [] } of own(golden).initContainers ?? []) {
        assert.equal(securityContext?.readOnlyRootFilesystem, true, name);
        assert.equal(securityContext?.privileged, false, name);
        const inPlace = volumeMounts.find(
          ({ mountPath }) => mountPath === '/var/run/secrets/kubernetes.io/serviceaccount',
        );
        assert.equal(inPlace?.name, 'weft-no-token', name);
      }
      const volume = golden.spec.volumes?.find(({ name }) => name === 'weft-no-token');
      assert.ok(volume?.emptyDir !== undefined);
    });
  }
});

describe('the check itself', () => {
  const container = { name: 'x', image: 'x' };

  test('finds what "restricted" forbids', () => {
    assert.deepEqual(violationsOfRestricted({ containers: [container], hostNetwork: true }), [
      'hostNetwork',
      'x: allowPrivilegeEscalation',
      'x: runAsNonRoot',
      'x: seccompProfile',
      'x: keeps capabilities',
    ]);
  });

  test('lets pass what it allows', () => {
    const securityContext = {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
    };
    const pod = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
    assert.deepEqual(
      violationsOfRestricted({ containers: [{ ...container, securityContext }], securityContext: pod }),
      [],
    );
  });
});
