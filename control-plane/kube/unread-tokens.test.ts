/** From an AuthenticationPolicy that a newer schema wrote to what its workloads let in. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import { decodeResource } from '@weft/policies/wire/resource';
import { z } from 'zod';
import { MeshControl } from '../mesh.ts';
import { encodeTranslated } from '../resources/source.ts';
import { parseObjects } from '../static/objects.ts';
import { statusFor } from '../status/build.ts';
import { pod } from '../testing/shop.ts';
import { translateResource } from '../translate/resource.ts';
import { Intake } from './intake.ts';

const key = 'shop/users';
const policy = (jwt: unknown, more: object = {}) => ({
  kind: 'AuthenticationPolicy',
  metadata: { name: 'users', namespace: 'shop', generation: 2, creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { selector: { matchLabels: { app: 'cart' } }, jwt, ...more },
});
const good = [{ issuer: 'me', jwks: { uri: 'https://id.example/keys' }, claimsToHeaders: [] }];
const newer = [{ ...good[0], laterField: 1 }];
const status = z.looseObject({
  conditions: z.array(z.looseObject({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })),
});

describe('an AuthenticationPolicy with tokens that nobody can read', () => {
  let mesh: MeshControl;
  let intake: Intake;
  let logged: string[];
  beforeEach(() => {
    const trustDomain = parseTrustDomain('cluster.local');
    const objects = parseObjects(
      `${pod('cart-a', 'cart', '10.1.0.1', 'uid', '')}\n---\n${pod('web-a', 'web', '10.1.0.2', 'uid', '')}`,
    );
    assert.ok(trustDomain.ok && objects.ok);
    mesh = new MeshControl({ meshNamespace: 'weft-system', trustDomain: trustDomain.value, clock: new ManualClock() });
    for (const object of objects.value) mesh.apply(object);
    logged = [];
    intake = new Intake({
      log: { warn: (message, fields) => logged.push(`${message} ${fields?.['key']}`) },
      apply: (object) => mesh.apply(object),
      holds: (kind, one) => mesh.state.find(kind, one) !== undefined,
    });
  });
  afterEach(() => mesh.stop());

  const chainsOf = (name: string) => {
    const client = { namespace: 'shop', podKey: `shop/${name}`, features: { http2: true } };
    const made = translateResource(mesh.context, 'listener', 'inbound', client);
    assert.ok(made?.kind === 'listener');
    const { typeUrl, bytes } = encodeTranslated(made, 'inbound');
    const decoded = decodeResource(typeUrl, bytes);
    assert.deepEqual(decoded.ok && decoded.value.value, made.value, 'as a sidecar reads it');
    return made.value.filterChains.filter(({ match }) => match.destinationPort === 8080);
  };
  /** The rule that stands in the way of every request, and of bytes that might be one, first of all. */
  const refusals = (name: string) =>
    new Set(
      chainsOf(name).map(({ terminal, networkRbac }) => {
        const [first] = terminal.kind === 'http' ? terminal.filters : [];
        const rbac = terminal.kind === 'http' ? (first?.kind === 'rbac' ? first.rbac : undefined) : networkRbac[0];
        const [rule] = rbac?.policies ?? [];
        const isAll =
          rbac?.action === 'deny' && rule?.permissions[0]?.kind === 'any' && rule.principals[0]?.kind === 'any';
        return isAll ? rule.name : undefined;
      }),
    );
  const checksTokens = () =>
    chainsOf('cart-a').some(
      ({ terminal: one }) => one.kind === 'http' && one.filters.some(({ kind }) => kind === 'jwt'),
    );
  const told = (invalid: ReturnType<Intake['take']>) => {
    const parts = { context: mesh.context, hub: mesh.hub, nowIso: () => '', replica: 'one', reconnecting: false };
    const observed = { generation: 2, status: undefined, invalid };
    return status.parse(statusFor(parts, 'AuthenticationPolicy', key, observed)).conditions;
  };

  test('and none before: all requests to the workloads that it selects are refused by its name, and no others', () => {
    const notTaken = intake.take('AuthenticationPolicy', key, policy(newer));
    assert.equal(notTaken?.holds, 'what can be read of it');
    assert.deepEqual([...refusals('cart-a')], ['AuthenticationPolicy/shop/users/jwt']);
    assert.deepEqual([...refusals('web-a')], [undefined]);
    assert.equal(intake.closed, 1);
    assert.deepEqual(logged, ['object not taken; what can be read of it holds, and the rest closed shop/users']);
    const conditions = told(notTaken);
    assert.match(
      conditions.find(({ type }) => type === 'Accepted')?.message ?? '',
      /laterField.*no generation of it was good/,
    );
    const enforced = conditions.find(({ type }) => type === 'Enforced');
    assert.equal(enforced?.status, 'False');
    assert.match(enforced.message, /all requests to 1 of the mesh's pods are refused/);
  });

  test('told again: what is left of the newest holds, and it is not taken for a good version', () => {
    intake.take('AuthenticationPolicy', key, policy(newer));
    const everybody = { selector: { matchLabels: { app: 'web' } } };
    assert.equal(intake.take('AuthenticationPolicy', key, policy(newer, everybody))?.holds, 'what can be read of it');
    assert.deepEqual([...refusals('cart-a')], [undefined]);
    assert.deepEqual([...refusals('web-a')], ['AuthenticationPolicy/shop/users/jwt']);
    assert.equal(intake.closed, 1);
  });

  test('and a good version before: that one stays', () => {
    assert.equal(intake.take('AuthenticationPolicy', key, policy(good)), undefined);
    assert.equal(intake.take('AuthenticationPolicy', key, policy(newer))?.holds, 'the last good version');
    assert.ok(checksTokens());
    assert.deepEqual([...refusals('cart-a')], [undefined]);
    assert.equal(intake.closed, 0);
  });

  test('is open again when it can be read, or is gone', () => {
    intake.take('AuthenticationPolicy', key, policy(newer));
    assert.equal(intake.take('AuthenticationPolicy', key, policy(good)), undefined);
    assert.ok(checksTokens());
    assert.deepEqual([[...refusals('cart-a')], intake.closed], [[undefined], 0]);
    intake.take('AuthenticationPolicy', 'shop/other', {
      ...policy(newer),
      metadata: { name: 'other', namespace: 'shop' },
    });
    intake.forget('AuthenticationPolicy', 'shop/other');
    assert.equal(intake.closed, 0);
  });

  test('whose selector cannot be read either: the tokens of no older policy of the namespace do instead', () => {
    const older = {
      ...policy(good),
      metadata: { name: 'older', namespace: 'shop', creationTimestamp: '2025-01-01T00:00:00Z' },
    };
    const ofAll = { ...older, spec: { jwt: good } };
    assert.equal(intake.take('AuthenticationPolicy', 'shop/older', ofAll), undefined);
    intake.take('AuthenticationPolicy', key, policy(good, { selector: { later: 1 } }));
    assert.deepEqual([...refusals('cart-a')], ['AuthenticationPolicy/shop/users/jwt']);
  });
});
