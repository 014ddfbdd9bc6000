import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Permission, Principal, Rbac } from '@weft/policies/model/authorization';
import type { ValueMatch } from '@weft/policies/model/value-match';
import { Headers } from '../../http/headers.ts';
import { requestHead, routes, testHcm, testRoute, World } from '../testing.ts';
import { evaluateNetwork, RbacEngine, type Subject } from './engine.ts';

function peer(id: string) {
  const parsed = parseSpiffeId(id);
  assert.ok(parsed.ok);
  return {
    spiffeId: parsed.value,
    subjectAltNames: [id],
    fingerprint: 'AB',
    notAfterUnixMs: 0,
    notBeforeUnixMs: 0,
    serialHex: '',
  };
}

const frontend = peer('spiffe://cluster.local/ns/shop/sa/frontend');
const exact = (value: string) => ({ kind: 'exact', value, ignoreCase: false }) as const;
const anybody: Principal = { kind: 'any' };
const path = (value: string): Permission => ({ kind: 'path', match: { kind: 'prefix', value, ignoreCase: false } });

function rbac(action: Rbac['action'], permission: Permission, principal: Principal): Rbac {
  return { action, policies: [{ name: 'shop/policy/0', permissions: [permission], principals: [principal] }] };
}

function subject(target: string | undefined, overrides: Partial<Subject['connection']> = {}): Subject {
  return {
    head: target === undefined ? undefined : requestHead({ path: target }),
    connection: { remoteIp: '10.0.0.9', destinationIp: '10.0.0.1', destinationPort: 80, peer: undefined, ...overrides },
  };
}

describe('decisions', () => {
  test('ALLOW without a match denies, and names the filter', () => {
    const engine = new RbacEngine('allow', rbac('allow', path('/public'), anybody));
    assert.deepEqual(engine.decide(subject('/public/x')), { kind: 'allow', rule: 'shop/policy/0' });
    assert.equal(engine.decide(subject('/private')).kind, 'deny');
    assert.equal(new RbacEngine('empty', { action: 'allow', policies: [] }).decide(subject('/')).kind, 'deny');
    assert.equal(new RbacEngine('empty', { action: 'deny', policies: [] }).decide(subject('/')).kind, 'none');
  });

  test('only a verified mesh peer is authenticated', () => {
    const match = exact('spiffe://cluster.local/ns/shop/sa/frontend');
    const engine = new RbacEngine('allow', rbac('allow', { kind: 'any' }, { kind: 'authenticated', match }));
    assert.equal(engine.decide(subject('/', { peer: frontend })).kind, 'allow');
    assert.equal(engine.decide(subject('/')).kind, 'deny');
    assert.equal(
      engine.decide(subject('/', { peer: peer('spiffe://cluster.local/ns/shop/sa/frontend2') })).kind,
      'deny',
    );
    const any = new RbacEngine('any', rbac('allow', { kind: 'any' }, { kind: 'authenticated', match: undefined }));
    assert.equal(any.decide(subject('/', { peer: { ...frontend, spiffeId: undefined } })).kind, 'deny');
  });

  test('addresses and ports, in both families', () => {
    const rule = (ip: string, prefixBits: number) =>
      new RbacEngine(
        'deny',
        rbac('deny', { kind: 'destinationPort', port: 80 }, { kind: 'sourceIp', range: { ip, prefixBits } }),
      );
    assert.equal(rule('10.0.0.0', 8).decide(subject('/')).kind, 'deny');
    assert.equal(rule('10.1.0.0', 16).decide(subject('/')).kind, 'none');
    assert.equal(rule('fd00::', 8).decide(subject('/', { remoteIp: 'fd77::1' })).kind, 'deny');
    assert.equal(rule('0.0.0.0', 0).decide(subject('/', { remoteIp: 'fd77::1' })).kind, 'none');
  });

  test('and, or, not', () => {
    const permission: Permission = {
      kind: 'and',
      rules: [
        { kind: 'not', rule: path('/open') },
        { kind: 'or', rules: [path('/a'), path('/b')] },
      ],
    };
    const engine = new RbacEngine('deny', rbac('deny', permission, anybody));
    assert.equal(engine.decide(subject('/a')).kind, 'deny');
    assert.equal(engine.decide(subject('/open')).kind, 'none');
    assert.equal(engine.decide(subject('/c')).kind, 'none');
  });
});

describe('claims of the verified token', () => {
  const claims = {
    iss: 'https://issuer.example',
    aud: ['shop', 'desk'],
    realm: { roles: ['clerk'] },
    verified: true,
    level: 3,
    nothing: null,
  };
  const jwt = { claims, issuer: 'https://issuer.example', subject: '', audiences: ['shop', 'desk'] };
  const decide = (claim: readonly string[], value: ValueMatch, token: Subject['jwt'] = jwt): string =>
    new RbacEngine('a', rbac('allow', { kind: 'any' }, { kind: 'claim', path: claim, value })).decide({
      ...subject('/'),
      jwt: token,
    }).kind;
  const text = (value: string): ValueMatch => ({ kind: 'string', match: exact(value) });
  const element = (match: ValueMatch): ValueMatch => ({ kind: 'element', match });

  test('by type, by element, down the names', () => {
    assert.equal(decide(['iss'], text('https://issuer.example')), 'allow');
    assert.equal(decide(['aud'], text('shop')), 'deny');
    assert.equal(decide(['aud'], element(text('desk'))), 'allow');
    assert.equal(decide(['realm', 'roles'], { kind: 'or', matches: [text('clerk'), element(text('clerk'))] }), 'allow');
    assert.equal(decide(['verified'], { kind: 'boolean', value: true }), 'allow');
    assert.equal(decide(['verified'], text('true')), 'deny');
    assert.equal(decide(['level'], { kind: 'number', value: 3 }), 'allow');
    assert.equal(decide(['level'], { kind: 'number', value: 4 }), 'deny');
  });

  test('what is there, and nothing that an object has by itself', () => {
    assert.equal(decide([], { kind: 'present' }), 'allow');
    assert.equal(decide(['nothing'], { kind: 'present' }), 'allow');
    for (const absent of [['gone'], ['toString'], ['__proto__'], ['aud', '0'], ['aud', 'length'], ['iss', 'length']]) {
      assert.equal(decide(absent, { kind: 'present' }), 'deny', absent.join('.'));
    }
  });

  test('without a token nothing matches', () => {
    const engine = (principal: Principal) => new RbacEngine('d', rbac('deny', { kind: 'any' }, principal));
    const verified: Principal = { kind: 'claim', path: [], value: { kind: 'present' } };
    assert.equal(engine(verified).decide(subject('/')).kind, 'none');
    assert.equal(engine({ kind: 'not', id: verified }).decide(subject('/')).kind, 'deny');
    assert.equal(engine({ kind: 'not', id: verified }).decide({ ...subject('/'), jwt }).kind, 'none');
  });
});

test('the client behind trusted proxies is not who connects', () => {
  const rule = (kind: 'sourceIp' | 'clientIp'): RbacEngine =>
    new RbacEngine('d', rbac('deny', { kind: 'any' }, { kind, range: { ip: '192.0.2.0', prefixBits: 24 } }));
  const forwarded = { ...subject('/'), clientIp: '192.0.2.7' };
  assert.equal(rule('clientIp').decide(forwarded).kind, 'deny');
  assert.equal(rule('sourceIp').decide(forwarded).kind, 'none');
  assert.equal(rule('clientIp').decide(subject('/')).kind, 'none');
});

describe('what cannot be decided is refused', () => {
  test('a path that can be read in two ways, where a rule is about paths', () => {
    for (const action of ['allow', 'deny'] as const) {
      const engine = new RbacEngine('x', rbac(action, path('/public'), anybody));
      for (const target of ['/public/../admin', '/public%2F..%2Fadmin', '/public\\..\\admin', '/public%00']) {
        assert.equal(engine.decide(subject(target)).kind, 'deny', `${action} ${target}`);
      }
      assert.equal(engine.decide(subject('/public?x=../%2F')).kind, action);
    }
    assert.equal(new RbacEngine('d', rbac('deny', path('/admin'), anybody)).decide(subject('//admin')).kind, 'deny');
    const portOnly = rbac('deny', { kind: 'destinationPort', port: 81 }, anybody);
    assert.equal(new RbacEngine('p', portOnly).decide(subject('/a/../b')).kind, 'none');
  });

  test('path parameters, which some servers drop: denied in either reading, allowed only in both', () => {
    const exactly: Permission = { kind: 'path', match: exact('/admin') };
    const deny = new RbacEngine('d', rbac('deny', exactly, anybody));
    for (const target of ['/admin;a=b', '/admin;?x', '/admin;/', '/admin/', '/admin/?', '//admin']) {
      assert.equal(deny.decide(subject(target)).kind, 'deny', target);
    }
    assert.equal(deny.decide(subject('/cart//x/')).kind, 'none');
    assert.equal(deny.decide(subject('/cart;v=2')).kind, 'none');
    const notAdmin = rbac('allow', { kind: 'not', rule: path('/admin/x') }, anybody);
    const allow = new RbacEngine('a', notAdmin);
    assert.equal(allow.decide(subject('/admin;v=2/x')).kind, 'deny');
    assert.equal(allow.decide(subject('/cart;v=2/x')).kind, 'allow');
    assert.equal(allow.decide(subject('/cart?;/admin/x')).kind, 'allow');
  });

  test('on opaque TCP a policy about requests allows nothing and denies without regard to it', () => {
    const permission: Permission = { kind: 'not', rule: path('/admin') };
    const connection = subject(undefined, { peer: frontend }).connection;
    assert.equal(evaluateNetwork([rbac('allow', permission, anybody)], connection).allowed, false);
    const denied = evaluateNetwork([rbac('deny', path('/admin'), anybody)], connection);
    assert.deepEqual(denied, { allowed: false, rule: 'shop/policy/0' });
    const open: Rbac = rbac('allow', { kind: 'destinationPort', port: 80 }, anybody);
    assert.equal(evaluateNetwork([open], connection).allowed, true);
  });
});

test('a denied call gets PERMISSION_DENIED; what is allowed, and what is watched, is named in the record', () => {
  const world = new World();
  const config = routes('r', testRoute({ kind: 'direct', status: 200, body: 'in' }));
  const filters = [
    { kind: 'rbac', name: 'weft.rbac.log', rbac: rbac('log', path('/a/watched'), anybody) },
    { kind: 'rbac', name: 'weft.rbac.allow', rbac: { ...rbac('allow', path('/a'), anybody) } },
    { kind: 'router' },
  ] as const;
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config }, { filters }), 'inbound');
  const headers = (): Headers => Headers.from(['Content-Type', 'application/grpc', 'TE', 'trailers']);
  const denied = world.send(dispatch, { method: 'POST', path: '/b.B/Get', headers: headers() });
  assert.equal(denied.status, 200);
  assert.equal(denied.response?.headers.get('grpc-status'), '7');
  assert.equal(world.recorder.records[0]?.rule, 'weft.rbac.allow');
  assert.equal(world.recorder.records[0]?.flag, 'UAEX');
  assert.equal(world.send(dispatch, { path: '/a' }).status, 200);
  assert.equal(world.recorder.records[1]?.rule, 'shop/policy/0');
});

test('a denied request gets 403 with the policy, in the record too; an audited one passes', () => {
  const world = new World();
  const config = routes('r', testRoute({ kind: 'direct', status: 200, body: 'in' }));
  const filters = [
    { kind: 'rbac', name: 'audit', rbac: rbac('log', path('/new'), anybody) },
    { kind: 'rbac', name: 'deny', rbac: rbac('deny', path('/admin'), anybody) },
    { kind: 'router' },
  ] as const;
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config }, { filters }), 'inbound');
  const denied = world.send(dispatch, { path: '/%61dmin/x' });
  assert.equal(denied.status, 403);
  assert.match(denied.body, /denied by shop\/policy\/0/);
  assert.equal(world.recorder.records[0]?.flag, 'UAEX');
  assert.equal(world.recorder.records[0]?.rule, 'shop/policy/0');
  assert.equal(world.send(dispatch, { path: '/new' }).status, 200);
  assert.equal(world.count('rbac.audit'), 1);
});
