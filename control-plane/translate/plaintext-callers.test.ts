import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { validateObject } from '../admission/validate.ts';
import { Decisions } from '../decisions/decisions.ts';
import { ClusterState } from '../index/state.ts';
import { parseObjects } from '../static/objects.ts';
import { trustDomain } from '../testing/harness.ts';
import { authenticationPolicyStatus } from './authentication-status.ts';
import type { TranslateContext } from './context.ts';
import { refusedByMesh } from './plaintext-callers.ts';

const pod = (namespace: string, name: string, ip: string, labels = '{}', meshed = true): string => `
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: ${labels} }
spec:
  serviceAccountName: ${name}
  ${meshed ? 'initContainers: [{ name: weft-proxy, restartPolicy: Always }]' : ''}
  containers: [{ name: app, ports: [{ name: http, containerPort: 8080 }] }]
status: { phase: Running, podIP: ${ip}, initContainerStatuses: [{ name: weft-proxy, started: true, restartCount: 0 }] }
---`;

const door = `
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: door, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z" }
spec: { selector: { matchLabels: { app: web } }, ports: [{ port: 8080, mode: PERMISSIVE }] }
---`;

const world = `${pod('shop', 'web', '10.1.0.1', '{ app: web }')}${pod('shop', 'cart', '10.1.0.2', '{ app: cart }')}${pod('load', 'generator', '10.1.0.9', '{}', false)}`;

interface Caller {
  readonly to: string;
  readonly ip?: string;
  readonly identity?: string;
  readonly port?: number;
  readonly denied?: boolean;
  readonly count?: number;
  readonly path?: string;
}

function mesh(yaml: string, callers: readonly Caller[]) {
  const clock = new ManualClock();
  const state = new ClusterState('weft-system');
  const decisions = new Decisions(state, clock);
  const apply = (text: string): void => {
    const objects = parseObjects(text);
    if (!objects.ok) assert.fail(objects.error);
    for (const object of objects.value) state.apply(object);
  };
  apply(yaml);
  for (const { to, ip = '10.1.0.9', identity = '', port = 8080, denied = false, count = 1, path = '/' } of callers) {
    const called = state.pods.get(to);
    assert.ok(called !== undefined);
    const flow = {
      identity,
      ip: identity === '' ? ip : '',
      method: 'GET',
      host: 'a',
      path,
      example: '',
      port,
      denied,
      count,
    };
    decisions.take(called, { hits: [], flows: [flow], lost: 0 });
  }
  const context: TranslateContext = {
    state,
    trustDomain: trustDomain(),
    isDrained: () => true,
    plaintextCallers: (workload) => decisions.plaintextCallers(workload),
  };
  const warnings = (kind: string, metadata: object, spec: object): readonly string[] => {
    const verdict = validateObject(context, kind, { apiVersion: 'weft.dev/v1alpha1', kind, metadata, spec });
    assert.ok(verdict.allowed);
    return verdict.warnings;
  };
  const status = (key: string) => {
    const policy = state.authenticationPolicies.get(key);
    assert.ok(policy !== undefined);
    return authenticationPolicyStatus(context, policy).ancestors.flatMap(({ conditions }) => conditions);
  };
  const meshStatus = (): string =>
    refusedByMesh(context)
      .map(({ message }) => message)
      .join();
  return { clock, apply, warnings, status, meshStatus };
}

const ofShop = { name: 'strict', namespace: 'shop' };
const strict = { mtls: { mode: 'STRICT' } };
const both: readonly Caller[] = [
  { to: 'shop/web', count: 3 },
  { to: 'shop/cart', count: 400 },
  { to: 'shop/cart', count: 12, path: '/x' },
  { to: 'shop/cart', ip: '192.0.2.7', count: 5 },
];

describe('a policy that says STRICT', () => {
  test('is stored with a warning that names who has called without mutual TLS', () => {
    const { warnings, clock } = mesh(world, both);
    assert.deepEqual(warnings('AuthenticationPolicy', ofShop, strict), [
      'STRICT refuses callers seen without mutual TLS in the last 24 h: load/generator to shop/cart:8080 (412), 192.0.2.7 to shop/cart:8080 (5), load/generator to shop/web:8080 (3)',
    ]);
    clock.advance(25 * 3_600_000);
    assert.deepEqual(warnings('AuthenticationPolicy', ofShop, strict), []);
  });

  test('and only of those that it keeps out: not of other ports, workloads and policies', () => {
    const { warnings } = mesh(`${world}${door}`, both);
    const [warning = ''] = warnings('AuthenticationPolicy', ofShop, strict);
    assert.match(warning, /shop\/cart:8080/);
    assert.doesNotMatch(warning, /shop\/web/, 'there is a door');
    const port = (one: number, mode: string) =>
      warnings('AuthenticationPolicy', ofShop, { ports: [{ port: one, mode }] }).length;
    assert.equal(port(8080, 'STRICT'), 1);
    assert.equal(port(9090, 'STRICT'), 0);
    assert.equal(port(8080, 'PERMISSIVE'), 0);
    assert.deepEqual(warnings('AuthenticationPolicy', { ...ofShop, namespace: 'load' }, strict), []);
    assert.equal(warnings('AuthenticationPolicy', { name: 'all', namespace: 'weft-system' }, strict).length, 1);
    const selected = { selector: { matchLabels: { app: 'web' } }, ...strict };
    assert.deepEqual(warnings('AuthenticationPolicy', ofShop, selected), []);
  });

  test('says nothing of callers with an identity, and of those that are kept out already', () => {
    const { warnings } = mesh(world, [
      { to: 'shop/cart', identity: 'spiffe://cluster.local/ns/load/sa/generator' },
      { to: 'shop/cart', denied: true },
    ]);
    assert.deepEqual(warnings('AuthenticationPolicy', ofShop, strict), []);
  });

  test('is short, however many they are', () => {
    const many = Array.from(
      { length: 200 },
      (_, i): Caller => ({ to: 'shop/cart', ip: `192.0.2.${i}`, count: 200 - i }),
    );
    const [warning = ''] = mesh(world, many).warnings('AuthenticationPolicy', ofShop, strict);
    assert.ok(warning.length <= 240, warning);
    assert.match(warning, /: 192\.0\.2\.0 to shop\/cart:8080 \(200\), .*, and \d{3} more$/);
  });

  test('has the same line in its status, and one that is not the cause has none', () => {
    const { apply, status, warnings } = mesh(`${world}${door}`, both);
    const before = warnings('AuthenticationPolicy', ofShop, strict);
    apply(`
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: strict, namespace: shop, creationTimestamp: "2026-01-02T00:00:00Z" }
spec: { mtls: { mode: STRICT } }
`);
    const seen = status('shop/strict').find(({ type }) => type === 'PlaintextSeen');
    assert.deepEqual(seen, {
      type: 'PlaintextSeen',
      status: 'True',
      reason: 'CallersWithoutMeshTls',
      message: before[0],
    });
    assert.equal(
      status('shop/door').some(({ type }) => type === 'PlaintextSeen'),
      false,
    );
    assert.deepEqual(warnings('AuthenticationPolicy', ofShop, strict), [], 'it holds already');
  });
});

describe('the Mesh', () => {
  test('warns too when its mode or its minimum makes STRICT of what is not', () => {
    const { warnings } = mesh(`${world}${door}`, both);
    const of = (mtls: object) => warnings('Mesh', { name: 'default' }, { mtls });
    assert.match(of({ mode: 'STRICT' }).join(), /shop\/cart:8080 \(412\)/);
    assert.doesNotMatch(of({ mode: 'STRICT' }).join(), /shop\/web/);
    assert.match(of({ minimum: 'STRICT' }).join(), /shop\/web:8080 \(3\)/, 'no door is left');
    assert.deepEqual(of({ minimum: 'PERMISSIVE' }), []);
  });

  test('says in its status whom its own mode or minimum keeps out, and not whom a policy does', () => {
    const ofMesh = (mtls: string): string => `
apiVersion: weft.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec: { mtls: ${mtls} }
`;
    const { apply, meshStatus } = mesh(`${world}${door}`, both);
    assert.equal(meshStatus(), '');
    apply(ofMesh('{ mode: STRICT }'));
    assert.match(meshStatus(), /shop\/cart:8080 \(412\)/);
    assert.doesNotMatch(meshStatus(), /shop\/web/);
    apply(ofMesh('{ minimum: STRICT }'));
    assert.match(meshStatus(), /shop\/web:8080 \(3\)/);
    apply(`
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: strict, namespace: shop, creationTimestamp: "2026-01-02T00:00:00Z" }
spec: { mtls: { mode: STRICT } }
`);
    assert.doesNotMatch(meshStatus(), /shop\/cart/);
    assert.match(meshStatus(), /shop\/web:8080 \(3\)/, 'its door is not open');
  });

  test('has a minimum below which a policy is not applied, which admission and status say', () => {
    const floor =
      'apiVersion: weft.dev/v1alpha1\nkind: Mesh\nmetadata: { name: default }\nspec: { mtls: { minimum: STRICT } }\n---';
    const { warnings, status } = mesh(`${world}${door}\n${floor}`, []);
    const said = /^not applied: PERMISSIVE of port 8080; the Mesh default has mtls\.minimum STRICT/;
    assert.match(status('shop/door').find(({ type }) => type === 'Enforced')?.message ?? '', said);
    const [warning = '', ...more] = warnings(
      'AuthenticationPolicy',
      { name: 'door', namespace: 'shop' },
      {
        ports: [{ port: 8080, mode: 'PERMISSIVE' }],
      },
    );
    assert.match(warning, said);
    assert.deepEqual(more, []);
    assert.match(
      warnings('AuthenticationPolicy', ofShop, { mtls: { mode: 'DISABLED' } })[0] ?? '',
      /^not applied: mtls\.mode DISABLED;/,
    );
  });
});
