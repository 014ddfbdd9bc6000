import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ObjectKind } from '../index/objects.ts';
import { remainder } from './unreadable.ts';

const creationTimestamp = '2026-01-01T00:00:00Z';
const left = (kind: ObjectKind, spec: unknown) => {
  const name = kind === 'Mesh' ? { name: 'default' } : { name: 'policy', namespace: 'shop' };
  const metadata = { ...name, creationTimestamp };
  const object = remainder(kind, { apiVersion: 'weft.dev/v1alpha1', kind, metadata, spec });
  return object !== undefined && 'spec' in object ? object.spec : object;
};
const web = { matchLabels: { app: 'web' } };
const good = { name: 'good', to: [{ paths: ['/public'] }] };

describe('an AuthorizationPolicy that cannot be read', () => {
  const of = (spec: unknown) => left('AuthorizationPolicy', spec);

  test('ALLOW: the rules that can be read, and no other', () => {
    const bad = { name: 'bad', from: [{ principals: ['not a SPIFFE ID'] }] };
    assert.deepEqual(of({ selector: web, action: 'ALLOW', rules: [good, bad] }), {
      selector: web,
      action: 'ALLOW',
      rules: [good],
    });
    assert.deepEqual(of({ selector: web, rules: 'none' }), { selector: web, action: 'ALLOW', rules: [] });
    assert.deepEqual(of({ rules: [good, good] }), { action: 'ALLOW', rules: [] }, 'two of one name');
  });

  test('DENY: a part that cannot be read narrows nothing', () => {
    const bad = { name: 'bad', from: [{ namespaces: ['load'] }], to: [{ paths: ['no path'] }] };
    assert.deepEqual(of({ selector: web, action: 'DENY', rules: [good, bad, 7] }), {
      selector: web,
      action: 'DENY',
      rules: [good, { name: 'bad', from: [{ namespaces: ['load'] }] }, {}],
    });
    assert.deepEqual(of({ action: 'DENY', rules: [good], later: true }), { action: 'DENY', rules: [good] });
  });

  test('an action that nobody knows, an authorizer without a name, a selector that selects nobody knows whom', () => {
    assert.deepEqual(of({ selector: web, action: 'FORBID', rules: [good] }), {
      selector: web,
      action: 'DENY',
      rules: [good],
    });
    assert.deepEqual(of({ action: 'CUSTOM', provider: 'opa', rules: [{ to: 1 }] }), {
      action: 'CUSTOM',
      provider: 'opa',
      rules: [{}],
    });
    assert.deepEqual(of({ action: 'CUSTOM', rules: [good] }), { action: 'DENY', rules: [good] });
    assert.deepEqual(of({ selector: { matchLabels: 7 }, action: 'DENY', rules: [good] }), {
      action: 'DENY',
      rules: [good],
    });
  });

  test('AUDIT closes nothing', () => {
    assert.equal(of({ action: 'AUDIT', rules: [7] }), undefined);
  });
});

describe('modes of mutual TLS that cannot be read', () => {
  test('are STRICT; what can be read beside them stays', () => {
    assert.deepEqual(left('AuthenticationPolicy', { selector: web, mtls: { mode: 'HARD' } }), {
      selector: web,
      mtls: { mode: 'STRICT' },
    });
    const ports = [{ port: 8080, mode: 'STRICT' }, { port: 0 }];
    assert.deepEqual(left('AuthenticationPolicy', { mtls: { mode: 'PERMISSIVE' }, ports }), {
      mtls: { mode: 'STRICT' },
    });
    assert.deepEqual(left('AuthenticationPolicy', { selector: 7, mtls: { mode: 'PERMISSIVE' } }), {
      mtls: { mode: 'STRICT' },
    });
  });

  test('of the Mesh, too, whose other fields go on', () => {
    const mesh = left('Mesh', {
      mtls: { mode: 'STRICT', minimum: 'STRICT' },
      trust: { aliases: ['old.example'] },
      later: 1,
    });
    assert.ok(mesh !== undefined && 'mtls' in mesh && 'trust' in mesh);
    assert.equal(mesh.mtls.mode, 'STRICT');
    assert.equal(mesh.mtls.minimum, 'STRICT');
    assert.deepEqual(mesh.trust.aliases, ['old.example']);
    const unsure = left('Mesh', { mtls: { mode: 'HARD' } });
    assert.ok(unsure !== undefined && 'mtls' in unsure && unsure.mtls !== undefined);
    assert.equal(unsure.mtls.mode, 'STRICT');
  });
});

describe('rules about tokens that cannot be read', () => {
  const of = (spec: unknown) => left('AuthenticationPolicy', spec);
  const jwt = [{ issuer: 'me', jwks: { uri: 'https://id.example/keys' } }];

  test('let nobody in, whatever else of the policy can be read', () => {
    assert.deepEqual(of({ selector: web, jwt: 7 }), { selector: web, jwt: [] });
    assert.deepEqual(of({ jwt: [...jwt, { issuer: 'newer', jwks: jwt[0]?.jwks, later: 1 }] }), { jwt: [] });
    assert.deepEqual(of({ mtls: { mode: 'PERMISSIVE' }, jwt: 7 }), { mtls: { mode: 'PERMISSIVE' }, jwt: [] });
    assert.deepEqual(of({ mtls: { mode: 'HARD' }, jwt: 7, later: 1 }), { mtls: { mode: 'STRICT' }, jwt: [] });
    assert.deepEqual(of({ selector: 7, jwt }), { mtls: { mode: 'STRICT' }, jwt: [] }, 'nobody knows whose they are');
  });

  test('that can be read hold beside what cannot be', () => {
    const spec = of({ selector: web, jwt, later: 1 });
    assert.ok(spec !== undefined && 'jwt' in spec);
    assert.equal(spec.jwt?.[0]?.issuer, 'me');
    assert.ok(!('later' in spec));
  });
});

test('other kinds close nothing, and nothing is made of what is no object', () => {
  assert.equal(left('HTTPRoute', { rules: 7 }), undefined);
  assert.equal(remainder('AuthorizationPolicy', 'policy'), undefined);
  assert.equal(remainder('AuthorizationPolicy', { spec: {} }), undefined);
});
