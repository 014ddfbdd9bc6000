/** Paths that are written so that proxy and application read different ones. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Permission, Rbac } from '@weft/policies/model/authorization';
import type { StringMatch } from '@weft/policies/model/match';
import fc from 'fast-check';
import { canonicalTarget } from '../../route/path.ts';
import { requestHead, routes, testHcm, testRoute, World } from '../testing.ts';
import { RbacEngine } from './engine.ts';

const connection = { remoteIp: '10.0.0.9', destinationIp: '10.0.0.1', destinationPort: 80, peer: undefined };
const exact = (value: string): Permission => ({ kind: 'path', match: { kind: 'exact', value, ignoreCase: false } });
const below = (value: string): Permission => ({ kind: 'path', match: { kind: 'prefix', value, ignoreCase: false } });
const rules = (action: Rbac['action'], ...permissions: readonly Permission[]): Rbac => ({
  action,
  policies: [{ name: 'shop/policy/0', permissions, principals: [{ kind: 'any' }] }],
});

/** Ways to say `/admin/x` to some server. */
const sayAdmin: readonly string[] = [
  '/admin/x',
  '/%61dmin/x',
  '/%61%64%6D%69%6E/x',
  '/%61%64%6d%69%6e/x',
  '/public/../admin/x',
  '/public/%2e%2e/admin/x',
  '/public/.%2E/admin/x',
  '/public/..;/admin/x',
  '/public/..;a=b/admin/x',
  '/public/%2e%2e;/admin/x',
  '/./admin/x',
  '/admin/./x',
  '//admin/x',
  '/admin//x',
  '/.//admin/x',
  '/public/..//admin/x',
  '\\admin\\x',
  '/public\\..\\admin/x',
  '/admin;v=1/x',
  '/admin;/x;y',
  '/;/admin/x',
  '//;//admin/x',
  '/public%2f..%2fadmin/x',
  '/public%2F..%2Fadmin/x',
  '/public/..%2fadmin/x',
  '/public%5c..%5cadmin/x',
  '/%2561dmin/x',
  '/public/%252e%252e/admin/x',
  '/public%252f..%252fadmin/x',
  '/public/%c0%ae%c0%ae/admin/x',
  '/public%c0%af..%c0%afadmin/x',
  '/public%e0%80%af..%e0%80%afadmin/x',
  '/admin%00/x',
  '/admin/x%00.png',
  '/admin%/x',
  '/%zz/../admin/x',
  '/admin/x?/public/../public',
  '/admin/x/',
  '/admin/x/.',
  '/admin/x/y/..',
  '/admin/x%0A',
  '/admin/x%0d%0a',
  '/%09admin/x',
  '/admin/x%7F',
  '/admin%3bv=1/x',
  '/admin/x%3By',
  '/public/..%3b/admin/x',
  '/admin/x%3f/public',
  '/admin/x%23y',
];

describe('what an application may read as /admin/x', () => {
  const world = new World();
  const dispatchOf = (rbac: Rbac) => {
    const config = routes('r', testRoute({ kind: 'direct', status: 200, body: 'in' }));
    const filters = [{ kind: 'rbac', name: 'weft.rbac', rbac }, { kind: 'router' }] as const;
    return world.dispatch(testHcm({ kind: 'inline', config }, { filters }), 'inbound');
  };
  const guards: readonly (readonly [string, Rbac])[] = [
    ['denied below /admin/', rules('deny', below('/admin/'))],
    ['denied exactly', rules('deny', exact('/admin/x'))],
    ['not allowed, since /public/ is', rules('allow', below('/public/'))],
    ['not allowed, since all but /admin/ is', rules('allow', { kind: 'not', rule: below('/admin/') })],
    ['not allowed, since all but it is', rules('allow', { kind: 'not', rule: exact('/admin/x') })],
    ['denied by template', rules('deny', { kind: 'path', match: { kind: 'regex', value: '/[^/]+/x' } })],
  ];
  for (const [what, rbac] of guards) {
    const dispatch = dispatchOf(rbac);
    for (const target of sayAdmin) {
      test(`${target} is ${what}`, () => {
        const before = world.recorder.records.length;
        const { status } = world.send(dispatch, { path: target });
        assert.ok(status === 403 || status === 400, String(status));
        const record = world.recorder.records[before];
        assert.equal(record?.flag, status === 403 ? 'UAEX' : 'DPE');
        if (status === 403) assert.notEqual(record?.rule, '');
      });
    }
  }

  test('paths that are neither pass, and are not rewritten beyond their one form', () => {
    const dispatch = dispatchOf(rules('deny', below('/admin/')));
    const others = {
      '/public/x': '/public/x',
      '/public/a%20b': '/public/a%20b',
      '/public/%7ea': '/public/~a',
      '/public;v=1/x': '/public;v=1/x',
      '/public//x': '/public//x',
      '/public/x?next=/admin/x&y=%2e%2e%2f': '/public/x?next=/admin/x&y=%2e%2e%2f',
      '/adminx/': '/adminx/',
      '/caf%c3%a9': '/caf%C3%A9',
    };
    for (const [target, path] of Object.entries(others)) {
      assert.equal(world.send(dispatch, { path: target }).status, 200, target);
      assert.equal(canonicalTarget(target), path);
    }
  });
});

/** How a server may read a path: some of these steps, in this order. */
interface Server {
  /** Before it looks for a query, a fragment or parameters. */
  readonly decodesFirst: boolean;
  readonly dropsParameters: boolean;
  readonly decodesTwice: boolean;
  readonly mergesSlashes: boolean;
  readonly dropsLastSlash: boolean;
}

const decoded = (path: string): string =>
  path.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

function readBy(server: Server, target: string): string {
  let path = target.split(/[?#]/)[0] ?? '';
  if (server.decodesFirst) path = decoded(path).split(/[?#]/)[0] ?? '';
  if (server.dropsParameters) path = path.replaceAll(/;[^/]*/g, '');
  if (!server.decodesFirst) path = decoded(path);
  if (server.decodesTwice) path = decoded(path);
  path = path.replaceAll('\\', '/').replace(/\0.*/s, '');
  if (server.mergesSlashes) path = path.replaceAll(/\/{2,}/g, '/');
  const kept: string[] = [];
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  path = `/${kept.join('/')}`;
  // A `$` at the end of an expression is met before a line end, too.
  path = path.replace(/\n$/, '');
  return server.dropsLastSlash && path.length > 1 ? path.replace(/\/$/, '') : path;
}

const flags = [false, true];
const servers: readonly Server[] = flags.flatMap((decodesFirst) =>
  flags.flatMap((dropsParameters) =>
    flags.flatMap((decodesTwice) =>
      flags.flatMap((mergesSlashes) =>
        flags.map((dropsLastSlash) => ({ decodesFirst, dropsParameters, decodesTwice, mergesSlashes, dropsLastSlash })),
      ),
    ),
  ),
);

const matches = (match: StringMatch, path: string): boolean =>
  match.kind === 'exact' ? path === match.value : match.kind === 'prefix' && path.startsWith(match.value);

const part = fc.constantFrom(
  ...['/', '/', '/', 'a', 'b', 'ab', '.', '..', ';', ';x', '%2e', '%2E', '%2f', '%5C', '\\', '%61', '%2561', '%252f'],
  ...['%25', '25', '2f', '//', '%3b', '%3F', '%23', '%0A', '%00', '%', '?', '#', '%c0%af', '/a/b', '/a/', '/..;/'],
);
const target = fc.array(part, { maxLength: 8 }).map((parts) => `/${parts.join('')}`);
const pathMatch: fc.Arbitrary<StringMatch> = fc.constantFrom(
  { kind: 'exact', value: '/a', ignoreCase: false },
  { kind: 'exact', value: '/a/b', ignoreCase: false },
  { kind: 'prefix', value: '/a/', ignoreCase: false },
  { kind: 'prefix', value: '/ab', ignoreCase: false },
);

describe('however an application reads a path', () => {
  const verdict = (rbac: Rbac, asked: string): boolean => {
    const path = canonicalTarget(asked);
    if (path === undefined) return false;
    return new RbacEngine('r', rbac).decide({ connection, head: requestHead({ path }) }).kind !== 'deny';
  };

  test('what it would read as denied does not reach it', () => {
    fc.assert(
      fc.property(target, pathMatch, (asked, match) => {
        if (!verdict(rules('deny', { kind: 'path', match }), asked)) return;
        const sent = canonicalTarget(asked) ?? '';
        for (const server of servers) {
          const read = readBy(server, sent);
          assert.ok(!matches(match, read), `${asked} goes on as ${sent}, read as ${read} by ${JSON.stringify(server)}`);
        }
      }),
      { numRuns: 4_000 },
    );
  });

  test('what it would read as not allowed does not reach it', () => {
    fc.assert(
      fc.property(target, pathMatch, fc.boolean(), (asked, match, excluded) => {
        const permission: Permission = { kind: 'path', match };
        const rbac = rules('allow', excluded ? { kind: 'not', rule: permission } : permission);
        if (!verdict(rbac, asked)) return;
        const sent = canonicalTarget(asked) ?? '';
        for (const server of servers) {
          // `/a/` is what `/a/*` allows, also to who reads it as `/a`.
          if (server.dropsLastSlash && !excluded) continue;
          const read = readBy(server, sent);
          assert.equal(matches(match, read), !excluded, `${asked} goes on as ${sent}, read as ${read}`);
        }
      }),
      { numRuns: 4_000 },
    );
  });
});
