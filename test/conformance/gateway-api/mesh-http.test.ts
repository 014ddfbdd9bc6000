/** The upstream suite's mesh tests of HTTPRoute, restated by their rules; the names are the suite's. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clusterIps, EchoMesh, route } from '../../support/echo-mesh.ts';

interface Case {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The pod that answers; absent: the sidecar does, with `status`. */
  readonly pod?: string;
  readonly status?: number;
  readonly seenPath?: string;
  readonly seen?: Readonly<Record<string, string | undefined>>;
}

const v1 = 'backendRefs: [{ name: echo-v1, port: 8080 }]';
const v2 = 'backendRefs: [{ name: echo-v2, port: 8080 }]';
const prefix = (value: string): string => `matches: [{ path: { type: PathPrefix, value: ${value} } }]`;

const modifiers: Readonly<Record<string, string>> = {
  '/set': '{ set: [{ name: X-Header-Set, value: new }] }',
  '/add': '{ add: [{ name: X-Header-Add, value: more }] }',
  '/remove': '{ remove: [X-Header-Remove] }',
  '/several':
    '{ set: [{ name: X-Set-1, value: s1 }, { name: X-Set-2, value: s2 }], add: [{ name: X-Add-1, value: a1 }, { name: X-Add-2, value: a2 }], remove: [X-Remove-1, X-Remove-2] }',
};

const modifierCases: readonly Case[] = [
  { path: '/set', pod: 'echo-v1', headers: { Other: 'o' }, seen: { 'x-header-set': 'new', other: 'o' } },
  { path: '/set', pod: 'echo-v1', headers: { 'x-header-set': 'old' }, seen: { 'x-header-set': 'new' } },
  { path: '/add', pod: 'echo-v1', seen: { 'x-header-add': 'more' } },
  { path: '/add', pod: 'echo-v1', headers: { 'X-HEADER-ADD': 'first' }, seen: { 'x-header-add': 'first, more' } },
  { path: '/remove', pod: 'echo-v1', headers: { 'x-header-remove': 'x' }, seen: { 'x-header-remove': undefined } },
  {
    path: '/several',
    pod: 'echo-v1',
    headers: { 'X-Set-2': 'old', 'X-Add-2': 'first', 'X-Remove-2': 'x', Another: 'a' },
    seen: {
      'x-set-1': 's1',
      'x-set-2': 's2',
      'x-add-1': 'a1',
      'x-add-2': 'first, a2',
      'x-remove-1': undefined,
      'x-remove-2': undefined,
      another: 'a',
    },
  },
];

const suite: Readonly<Record<string, { readonly rules: readonly string[]; readonly cases: readonly Case[] }>> = {
  MeshHTTPRouteSimpleSameNamespace: { rules: [v1], cases: [{ path: '/', pod: 'echo-v1' }] },
  MeshHTTPRouteMatching: {
    rules: [
      `matches: [{ path: { type: PathPrefix, value: / } }, { headers: [{ name: version, value: one }] }]\n${v1}`,
      `matches: [{ path: { type: PathPrefix, value: /v2 } }, { headers: [{ name: version, value: two }] }]\n${v2}`,
    ],
    cases: [
      { path: '/', pod: 'echo-v1' },
      { path: '/example', pod: 'echo-v1' },
      { path: '/', headers: { Version: 'one' }, pod: 'echo-v1' },
      { path: '/v2', pod: 'echo-v2' },
      { path: '/v2/example', pod: 'echo-v2' },
      { path: '/v2/', pod: 'echo-v2' },
      { path: '/', headers: { Version: 'two' }, pod: 'echo-v2' },
      { path: '/v2example', pod: 'echo-v1' },
      { path: '/foo/v2/example', pod: 'echo-v1' },
    ],
  },
  MeshTrafficSplit: {
    rules: [
      `matches: [{ path: { type: Exact, value: /v1 } }]\n${v1}`,
      `matches: [{ path: { type: Exact, value: /v2 } }]\n${v2}`,
    ],
    cases: [
      { path: '/v1', pod: 'echo-v1' },
      { path: '/v2', pod: 'echo-v2' },
      { path: '/v1/', status: 404 },
    ],
  },
  MeshHTTPRouteQueryParamMatching: {
    rules: [
      `matches: [{ queryParams: [{ name: animal, value: whale }] }]\n${v1}`,
      `matches: [{ queryParams: [{ name: animal, value: dolphin }] }]\n${v2}`,
      `matches: [{ path: { value: /path1 }, queryParams: [{ name: animal, value: whale }] }]\n${v1}`,
      `matches: [{ headers: [{ name: version, value: one }], queryParams: [{ name: animal, value: whale }] }]\n${v2}`,
      `matches: [{ path: { value: /path3 }, queryParams: [{ name: animal, value: shark }] }, { path: { value: /path4 }, headers: [{ name: version, value: three }], queryParams: [{ name: animal, value: kraken }] }]\n${v1}`,
      `${prefix('/path5')}\n${v1}`,
      `matches: [{ queryParams: [{ name: animal, value: hydra }] }]\n${v2}`,
    ],
    cases: [
      { path: '/?animal=whale', pod: 'echo-v1' },
      { path: '/?animal=dolphin', pod: 'echo-v2' },
      { path: '/?animal=whale&otherparam=irrelevant', pod: 'echo-v1' },
      { path: '/?animal=dolphin&color=yellow', pod: 'echo-v2' },
      { path: '/?color=blue', status: 404 },
      { path: '/?animal=dog', status: 404 },
      { path: '/?animal=whaledolphin', status: 404 },
      { path: '/', status: 404 },
      { path: '/path1?animal=whale', pod: 'echo-v1' },
      { path: '/?animal=whale', headers: { version: 'one' }, pod: 'echo-v2' },
      { path: '/path3?animal=shark', pod: 'echo-v1' },
      { path: '/path4?animal=kraken', headers: { version: 'three' }, pod: 'echo-v1' },
      { path: '/?animal=shark', status: 404 },
      { path: '/path4?animal=kraken', status: 404 },
      { path: '/path5?animal=hydra', pod: 'echo-v1' },
    ],
  },
  MeshHTTPRouteNamedRule: {
    rules: [`name: named\n${prefix('/named')}\n${v1}`, `${prefix('/unnamed')}\n${v2}`],
    cases: [
      { path: '/named', pod: 'echo-v1' },
      { path: '/unnamed', pod: 'echo-v2' },
    ],
  },
  MeshHTTPRouteRequestHeaderModifier: {
    rules: Object.entries(modifiers).map(
      ([path, value]) =>
        `${prefix(path)}\nfilters: [{ type: RequestHeaderModifier, requestHeaderModifier: ${value} }]\n${v1}`,
    ),
    cases: modifierCases,
  },
  MeshHTTPRouteBackendRequestHeaderModifier: {
    rules: Object.entries(modifiers).map(
      ([path, value]) =>
        `${prefix(path)}\nbackendRefs: [{ name: echo-v1, port: 8080, filters: [{ type: RequestHeaderModifier, requestHeaderModifier: ${value} }] }]`,
    ),
    cases: modifierCases,
  },
  MeshHTTPRouteRewritePath: {
    rules: [
      ['/prefix/one', '{ type: ReplacePrefixMatch, replacePrefixMatch: /one }'],
      ['/strip-prefix', '{ type: ReplacePrefixMatch, replacePrefixMatch: / }'],
      ['/full/one', '{ type: ReplaceFullPath, replaceFullPath: /one }'],
      ['/both', '{ type: ReplacePrefixMatch, replacePrefixMatch: /prefix }'],
    ].map(
      ([path, value]) =>
        `${prefix(path ?? '')}\nfilters: [{ type: URLRewrite, urlRewrite: { path: ${value} } }, { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-Set, value: s }], remove: [X-Remove] } }]\n${v1}`,
    ),
    cases: [
      { path: '/prefix/one/two', pod: 'echo-v1', seenPath: '/one/two' },
      { path: '/strip-prefix/three', pod: 'echo-v1', seenPath: '/three' },
      { path: '/strip-prefix', pod: 'echo-v1', seenPath: '/' },
      { path: '/full/one/two', pod: 'echo-v1', seenPath: '/one' },
      { path: '/full/one/two?q=1', pod: 'echo-v1', seenPath: '/one?q=1' },
      {
        path: '/both/one',
        pod: 'echo-v1',
        headers: { 'X-Remove': 'x', 'X-Set': 'old' },
        seenPath: '/prefix/one',
        seen: { 'x-set': 's', 'x-remove': undefined },
      },
    ],
  },
};

interface Redirect {
  readonly rule: string;
  readonly path: string;
  readonly status: number;
  readonly location: string;
}

/** By the suite's rule: what a redirect does not say is as in the request, and so is the port with the scheme. */
const redirects: Readonly<Record<string, readonly Redirect[]>> = {
  MeshHTTPRouteRedirectHostAndStatus: [
    { rule: '{ hostname: example.org }', path: '/r', status: 302, location: 'http://example.org/r' },
    { rule: '{ hostname: example.org, statusCode: 301 }', path: '/r', status: 301, location: 'http://example.org/r' },
  ],
  MeshHTTPRouteRedirectPath: [
    {
      rule: '{ path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } }',
      path: '/r/lemon',
      status: 302,
      location: 'http://echo/new/lemon',
    },
    {
      rule: '{ path: { type: ReplaceFullPath, replaceFullPath: /full } }',
      path: '/r/path/original',
      status: 302,
      location: 'http://echo/full',
    },
    {
      rule: '{ hostname: example.org, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } }',
      path: '/r',
      status: 302,
      location: 'http://example.org/new',
    },
    {
      rule: '{ hostname: example.org, statusCode: 301, path: { type: ReplaceFullPath, replaceFullPath: /full } }',
      path: '/r',
      status: 301,
      location: 'http://example.org/full',
    },
  ],
  MeshHTTPRouteRedirectPort: [
    { rule: '{ port: 8083 }', path: '/r', status: 302, location: 'http://echo:8083/r' },
    { rule: '{ port: 8083, hostname: example.org }', path: '/r', status: 302, location: 'http://example.org:8083/r' },
    { rule: '{ port: 8083, statusCode: 301 }', path: '/r', status: 301, location: 'http://echo:8083/r' },
  ],
  MeshHTTPRouteSchemeRedirect: [
    { rule: '{ scheme: https }', path: '/r', status: 302, location: 'https://echo/r' },
    { rule: '{ scheme: https, hostname: example.org }', path: '/r', status: 302, location: 'https://example.org/r' },
    { rule: '{ scheme: https, statusCode: 301 }', path: '/r', status: 301, location: 'https://echo/r' },
  ],
  ...Object.fromEntries(
    [303, 307, 308].map((status) => [
      `MeshHTTPRoute${status}Redirect`,
      [{ rule: `{ statusCode: ${status} }`, path: '/r', status, location: 'http://echo/r' }],
    ]),
  ),
};

const rulesOf = (rules: readonly string[]): string =>
  `rules:\n${rules.map((rule) => `  - ${rule.replace(/\n/g, '\n    ')}`).join('\n')}`;

describe('HTTPRoutes of a mesh', () => {
  let mesh: EchoMesh;
  before(async () => {
    mesh = await EchoMesh.start();
  });
  after(() => mesh.stop());

  for (const [name, { rules, cases }] of Object.entries(suite)) {
    test(name, async () => {
      mesh.routes(route('HTTPRoute', rulesOf(rules)));
      for (const { path, headers = {}, pod, status = 200, seenPath, seen = {} } of cases) {
        const title = `${path} ${JSON.stringify(headers)}`;
        const answer = await mesh.get(path, { headers });
        assert.deepEqual([answer.status, answer.echo?.pod], [status, pod], title);
        if (pod !== undefined) assert.equal(answer.echo?.path, seenPath ?? path, title);
        for (const [field, value] of Object.entries(seen)) assert.equal(answer.echo?.headers[field], value, title);
      }
    });
  }

  for (const [name, cases] of Object.entries(redirects)) {
    test(name, async () => {
      for (const { rule, path, status, location } of cases) {
        const filters = `filters: [{ type: RequestRedirect, requestRedirect: ${rule} }]`;
        mesh.routes(route('HTTPRoute', rulesOf([`${prefix('/r')}\n${filters}`])));
        const answer = await mesh.get(path);
        assert.deepEqual([answer.status, answer.headers['location']], [status, location], rule);
      }
    });
  }

  test('MeshHTTPRouteWeight', async () => {
    const refs = 'backendRefs: [{ name: echo-v1, port: 8080, weight: 70 }, { name: echo-v2, port: 8080, weight: 30 }]';
    mesh.routes(route('HTTPRoute', rulesOf([refs])));
    const counts = new Map<string, number>();
    for (let sent = 0; sent < 500; sent++) {
      const { echo } = await mesh.get('/');
      counts.set(echo?.pod ?? 'none', (counts.get(echo?.pod ?? 'none') ?? 0) + 1);
    }
    const share = (counts.get('echo-v1') ?? 0) / 500;
    assert.ok(Math.abs(share - 0.7) < 0.07, `echo-v1 got ${share}`);
    assert.equal((counts.get('echo-v1') ?? 0) + (counts.get('echo-v2') ?? 0), 500);
  });

  test('MeshBasic: without a route everything works', async () => {
    mesh.routes('');
    assert.equal((await mesh.get('/')).status, 200);
  });

  const marks = (parent: string, backend: string, value: string, name = 'route', namespace = 'mesh'): string =>
    route(
      'HTTPRoute',
      rulesOf([
        `filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: X-Header-Set, value: ${value} }] } }]\nbackendRefs: [${backend}]`,
      ]),
      { name, parent, namespace },
    );
  const service = (name: string, more = ''): string => `{ group: "", kind: Service, name: ${name}${more} }`;

  test('MeshFrontend, MeshClusterIPMatching: the route is for the cluster IP, not for the pods', async () => {
    mesh.routes(marks(service('echo-v2'), '{ name: echo-v2, port: 80 }', 'set'));
    const viaService = await mesh.get('/', { to: 'echo-v2' });
    assert.deepEqual([viaService.headers['x-header-set'], viaService.echo?.pod], ['set', 'echo-v2']);
    const viaPod = await mesh.get('/', { ip: mesh.podIps.v2, port: 8080, host: `${mesh.podIps.v2}:8080` });
    assert.deepEqual([viaPod.headers['x-header-set'], viaPod.echo?.pod], [undefined, 'echo-v2']);
    const overIpv6 = await mesh.get('/', { to: 'echo-v2', ip: `fd00::${clusterIps['echo-v2'].slice(-1)}` });
    assert.equal(overIpv6.headers['x-header-set'], 'set');
  });

  test('MeshFrontendHostname: where a request goes is decided by its address, not by its Host', async () => {
    mesh.routes(marks(service('echo-v2'), '{ name: echo-v2, port: 80 }', 'set'));
    const wrongName = await mesh.get('/', { to: 'echo-v2', host: 'echo-v1' });
    assert.deepEqual([wrongName.headers['x-header-set'], wrongName.echo?.pod], ['set', 'echo-v2']);
    const matchingName = await mesh.get('/', { to: 'echo-v1', host: 'echo-v2' });
    assert.deepEqual([matchingName.headers['x-header-set'], matchingName.echo?.pod], [undefined, 'echo-v1']);
  });

  test('MeshPorts: a port, or all of them', async () => {
    mesh.routes(
      `${marks(service('echo-v1', ', port: 80'), '{ name: echo-v1, port: 80 }', 'one', 'one')}---${marks(service('echo-v2'), '{ name: echo-v2, port: 80 }', 'two', 'two')}`,
    );
    const mark = async (to: 'echo-v1' | 'echo-v2', port: number): Promise<unknown> =>
      (await mesh.get('/', { to, port })).headers['x-header-set'];
    assert.deepEqual(
      [await mark('echo-v1', 80), await mark('echo-v1', 8080), await mark('echo-v2', 80), await mark('echo-v2', 8080)],
      ['one', undefined, 'two', 'two'],
    );
  });

  test('MeshConsumerRoute: a route of another namespace is for the clients there', async () => {
    const parent = service('echo-v1', ', namespace: mesh');
    mesh.routes(marks(parent, '{ name: echo-v1, namespace: mesh, port: 80 }', 'set', 'route', 'consumer'));
    assert.equal((await mesh.get('/', { to: 'echo-v1', from: 'consumer' })).headers['x-header-set'], 'set');
    assert.equal((await mesh.get('/', { to: 'echo-v1' })).headers['x-header-set'], undefined);
  });
});
