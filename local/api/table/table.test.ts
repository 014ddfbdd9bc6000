import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../json.ts';
import { humanDuration } from './cells.ts';
import { jsonPath } from './jsonpath.ts';
import { podColumns, podStatusText } from './workload-columns.ts';

describe('tables', () => {
  for (const [seconds, want] of [
    [5, '5s'],
    [119, '119s'],
    [125, '2m5s'],
    [600, '10m'],
    [3 * 3600 + 60, '3h1m'],
    [9 * 3600, '9h'],
    [50 * 3600, '2d2h'],
    [30 * 86400, '30d'],
    [800 * 86400, '2y70d'],
  ] as const) {
    test(`${seconds} seconds are ${want}`, () => assert.equal(humanDuration(seconds * 1000), want));
  }

  const pod = (status: JsonObject, spec: JsonObject = {}, metadata: JsonObject = {}): JsonObject => ({
    metadata,
    spec: { containers: [{ name: 'a' }], ...spec },
    status,
  });
  const waiting = (reason: string): JsonObject => ({
    name: 'a',
    ready: false,
    restartCount: 0,
    state: { waiting: { reason } },
  });
  const sidecar = { initContainers: [{ name: 'p', restartPolicy: 'Always' }] };
  for (const [name, given, want] of [
    ['phase', pod({ phase: 'Pending' }), 'Pending'],
    ['waiting reason', pod({ phase: 'Pending', containerStatuses: [waiting('ErrImagePull')] }), 'ErrImagePull'],
    ['deleting', pod({ phase: 'Running' }, {}, { deletionTimestamp: 'x' }), 'Terminating'],
    [
      'exit code',
      pod({ phase: 'Failed', containerStatuses: [{ name: 'a', state: { terminated: { exitCode: 3 } } }] }),
      'ExitCode:3',
    ],
    [
      'initializing',
      pod(
        { phase: 'Pending', initContainerStatuses: [{ name: 'i', state: { running: {} } }] },
        { initContainers: [{ name: 'i' }, { name: 'j' }] },
      ),
      'Init:0/2',
    ],
    [
      'a started sidecar is no initialization',
      pod({ phase: 'Running', initContainerStatuses: [{ name: 'p', started: true, state: { running: {} } }] }, sidecar),
      'Running',
    ],
  ] as const) {
    test(`pod status: ${name}`, () => assert.equal(podStatusText(given), want));
  }
  test('a native sidecar counts as a container', () => {
    const ready = podColumns.find((column) => column.name === 'Ready');
    const status = {
      containerStatuses: [{ name: 'a', ready: true }],
      initContainerStatuses: [{ name: 'p', ready: true, started: true, state: { running: {} } }],
    };
    assert.equal(ready?.cell(pod(status, sidecar), 0), '2/2');
  });
});

describe('JSONPath of printer columns', () => {
  const value = {
    spec: {
      a: [
        { t: 'x', v: 1 },
        { t: 'y', v: 2 },
      ],
      'b.c': 3,
      hosts: ['p', 'q'],
    },
  };
  for (const [path, want] of [
    ['.spec.a[0].v', [1]],
    ['.spec.a[*].v', [1, 2]],
    ['.spec.a[?(@.t=="y")].v', [2]],
    [".spec['b.c']", [3]],
    ['.spec.b\\.c', [3]],
    ['{.spec.hosts}', [['p', 'q']]],
    ['.nothing.here', []],
    ['not a path', []],
  ] as const) {
    test(path, () => assert.deepEqual(jsonPath(value, path), want));
  }
});
