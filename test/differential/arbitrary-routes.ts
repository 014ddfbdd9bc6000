/** Route tables that both read, out of the vocabulary of the requests. Clusters are written `@a`: of the wire at hand. */
import fc from 'fast-check';
import { type JsonObject, typed } from '../support/pair-bootstrap.ts';
import { queryName, segment } from './arbitrary-requests.ts';
import type { Table } from './case.ts';

const simplePath = fc.array(segment, { maxLength: 2 }).map((segments) => `/${segments.join('/')}`);

const stringMatch: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.constantFrom('gold', 'a', '1', '').map((exact) => ({ exact })),
  fc.constantFrom('go', 'a', 'sil').map((prefix) => ({ prefix })),
  fc.constantFrom('old', 'er', 'b').map((suffix) => ({ suffix })),
  fc.constantFrom('ol', ',', ' ').map((contains) => ({ contains })),
  fc.constantFrom('[a-z]+', 'gold|silver', '.*,.*', '[^a]*').map((regex) => ({ safe_regex: { regex } })),
  fc.constantFrom('GOLD', 'A').map((exact) => ({ exact, ignore_case: true })),
);
const fieldName = fc.constantFrom('x-tier', 'X-Who', 'x-list', 'cookie', 'x-empty');
const headerMatch: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.record({ name: fieldName, string_match: stringMatch, invert_match: fc.constantFrom(false, false, true) }),
  fc.record({ name: fieldName, present_match: fc.boolean(), invert_match: fc.constantFrom(false, false, true) }),
  fc.record({
    name: fc.constant(':method'),
    string_match: fc.constantFrom('GET', 'POST', 'X-OWN').map((exact) => ({ exact })),
    invert_match: fc.boolean(),
  }),
  fc.record({
    name: fc.constantFrom(':authority', ':path'),
    string_match: fc.oneof(
      fc.constantFrom('shop', '/a', '/A').map((prefix) => ({ prefix })),
      fc.constantFrom('example', 'b').map((suffix) => ({ suffix })),
    ),
  }),
);
const queryMatch: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.record({ name: queryName, string_match: stringMatch }),
  fc.record({ name: queryName, present_match: fc.constant(true) }),
);

const pathMatch: fc.Arbitrary<JsonObject> = fc.oneof(
  simplePath.map((prefix) => ({ prefix })),
  simplePath.map((prefix) => ({ prefix: prefix.toLowerCase(), case_sensitive: false })),
  simplePath.map((exact) => ({ path: exact })),
  simplePath.map((exact) => ({ path: exact.toUpperCase(), case_sensitive: false })),
  simplePath.filter((prefix) => !prefix.endsWith('/')).map((prefix) => ({ path_separated_prefix: prefix })),
  fc.constantFrom('/[ab]+', '/api/.*', '/.*/v[0-9]', '/a(/b)?', '/', '.*').map((regex) => ({ safe_regex: { regex } })),
);

/** Each name once: Weft refuses what appends to a field and overwrites it in one list. */
const additions = (names: readonly string[]): fc.Arbitrary<JsonObject> =>
  fc
    .uniqueArray(
      fc.tuple(
        fc.constantFrom(...names),
        fc.constantFrom('new', 'other', '100%%', ''),
        fc.constantFrom('APPEND_IF_EXISTS_OR_ADD', 'OVERWRITE_IF_EXISTS_OR_ADD'),
      ),
      { maxLength: 2, selector: ([name]) => name.toLowerCase() },
    )
    .map((all) =>
      all.map(([key, value, append]) => ({ header: { key, value }, append_action: append, keep_empty_value: true })),
    )
    .map((list) => ({ list }));

const mutations: fc.Arbitrary<JsonObject> = fc
  .record({
    request: additions(['x-tier', 'X-New', 'cookie', 'x-forwarded-host', 'user-agent']),
    response: additions(['x-from', 'X-New', 'set-cookie', 'server', 'vary']),
    removeRequest: fc.constantFrom<string[][]>([], [], [], ['x-who'], ['X-Tier', 'cookie']),
    removeResponse: fc.constantFrom<string[][]>([], [], [], ['x-new'], ['Set-Cookie', 'x-mixed']),
  })
  .map(({ request, response, removeRequest, removeResponse }) => ({
    ...some('request_headers_to_add', request['list']),
    ...some('response_headers_to_add', response['list']),
    ...some('request_headers_to_remove', removeRequest),
    ...some('response_headers_to_remove', removeResponse),
  }));

const some = (name: string, list: JsonObject[string] | undefined): JsonObject =>
  Array.isArray(list) && list.length > 0 ? { [name]: list } : {};

const retryPolicy: fc.Arbitrary<JsonObject> = fc
  .record({
    on: fc.constantFrom(
      ...[
        '5xx',
        'gateway-error',
        'reset',
        'connect-failure',
        'retriable-4xx',
        'refused-stream',
        'retriable-status-codes',
        '5xx,reset',
        'connect-failure,refused-stream',
        'retriable-headers',
        'retriable-headers,gateway-error',
      ],
    ),
    more: fc.record<JsonObject>(
      {
        retriable_headers: fc.constantFrom<JsonObject[][]>(
          [{ name: 'ETag', present_match: true }],
          [
            { name: 'Etag', string_match: { prefix: 'W/' } },
            { name: 'server', present_match: true },
          ],
          [{ name: 'etag', present_match: true, invert_match: true }],
        ),
        retriable_request_headers: fc.constantFrom<JsonObject[][]>(
          [{ name: ':method', string_match: { exact: 'GET' } }],
          [{ name: 'x-none', present_match: true }],
          [{ name: ':path', string_match: { prefix: '/a' } }],
        ),
        // A second is more than is allowed: passed over.
        rate_limited_retry_back_off: fc.constant<JsonObject>({
          reset_headers: [
            { name: 'Retry-After', format: 'SECONDS' },
            { name: 'ETag', format: 'UNIX_TIMESTAMP' },
          ],
          max_interval: '0.5s',
        }),
      },
      { requiredKeys: [] },
    ),
    retries: fc.constantFrom(0, 1, 1, 2, 3),
    perTry: fc.constantFrom('', '', '', '0.2s'),
  })
  .map(({ on, retries, perTry, more }) => ({
    ...more,
    retry_on: on,
    num_retries: retries,
    retriable_status_codes: [429, 503],
    retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
    ...(perTry === '' ? {} : { per_try_timeout: perTry }),
  }));

const target: fc.Arbitrary<JsonObject> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('@a', '@b', '@c').map((cluster): JsonObject => ({ cluster })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('@down', '@empty', '@full', '@noretries').map((cluster): JsonObject => ({ cluster })),
  },
  {
    weight: 2,
    arbitrary: mutations.map(
      (more): JsonObject => ({
        weighted_clusters: {
          clusters: [
            { name: '@a', weight: 0 },
            { name: '@b', weight: 100, ...more },
          ],
        },
      }),
    ),
  },
);

const forward: fc.Arbitrary<JsonObject> = fc
  .record({
    target,
    rewrite: fc.constantFrom('', '', '', '', '/', '/new', '/new/'),
    whole: fc.constantFrom('', '', '', '', '', '/whole'),
    hostRewrite: fc.constantFrom('', '', '', 'inner.example', 'inner.example:81'),
    timeout: fc.constantFrom('3s', '3s', '3s', '0.2s', '0s'),
    retry: fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: retryPolicy }),
  })
  .map(({ target: to, rewrite, whole, hostRewrite, timeout, retry }) => ({
    ...to,
    timeout,
    ...(rewrite === '' ? {} : { prefix_rewrite: rewrite }),
    ...(rewrite === '' && whole !== '' ? { regex_rewrite: { pattern: { regex: '^/.*$' }, substitution: whole } } : {}),
    ...(hostRewrite === '' ? {} : { host_rewrite_literal: hostRewrite }),
    ...(retry === undefined ? {} : { retry_policy: retry }),
  }));

const redirect: fc.Arbitrary<JsonObject> = fc
  .record({
    to: fc.constantFrom<JsonObject[]>(
      { path_redirect: '/there' },
      { prefix_rewrite: '/moved', host_redirect: 'other.example' },
      { https_redirect: true },
      { scheme_redirect: 'https', port_redirect: 8443 },
      { host_redirect: 'other.example', port_redirect: 80 },
      { host_redirect: 'other.example', path_redirect: '/there?x=1' },
      { prefix_rewrite: '/' },
    ),
    code: fc.constantFrom('MOVED_PERMANENTLY', 'FOUND', 'SEE_OTHER', 'TEMPORARY_REDIRECT', 'PERMANENT_REDIRECT'),
  })
  .map(({ to, code }) => ({ ...to, response_code: code }));

const direct: fc.Arbitrary<JsonObject> = fc
  .record({
    status: fc.constantFrom(200, 204, 304, 404, 418, 503),
    body: fc.constantFrom('direct', '', 'd'.repeat(3_000)),
  })
  .map(({ status, body }) => ({
    status,
    ...(body === '' || status === 204 || status === 304 ? {} : { body: { inline_string: body } }),
  }));

const action: fc.Arbitrary<JsonObject> = fc.oneof(
  { weight: 8, arbitrary: forward.map((route) => ({ route })) },
  { weight: 1, arbitrary: redirect.map((value) => ({ redirect: value })) },
  { weight: 1, arbitrary: direct.map((value) => ({ direct_response: value })) },
);

/** Asked for by half of the routes; the others show what Weft does by itself. */
const retryAll: JsonObject = { metadata: { filter_metadata: { 'weft.dev': { retry_non_idempotent: true } } } };

const arbitraryRoute: fc.Arbitrary<JsonObject> = fc
  .record({
    path: pathMatch,
    headers: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(headerMatch, { maxLength: 2 }) },
    ),
    query: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(queryMatch, { maxLength: 1 }) },
    ),
    action,
    mutations: fc.oneof({ weight: 1, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: mutations }),
    retryAll: fc.constantFrom(true, true, true, false),
    held: fc.constantFrom(-1, -1, -1, 0, 30),
  })
  .map((r) => {
    const match = {
      ...r.path,
      ...(r.headers.length === 0 ? {} : { headers: r.headers }),
      ...(r.query.length === 0 ? {} : { query_parameters: r.query }),
    };
    // A rewrite of the prefix needs one that was matched.
    const regex = 'safe_regex' in r.path && JSON.stringify(r.action).includes('"prefix_rewrite"');
    const act: JsonObject = regex ? { route: { cluster: '@c', timeout: '3s' } } : r.action;
    const held = r.held < 0 ? {} : { per_request_buffer_limit_bytes: r.held };
    return { match, ...act, ...r.mutations, ...held, ...(r.retryAll ? retryAll : {}) };
  });

/** Half of them end with a route for everything. */
const routes: fc.Arbitrary<JsonObject[]> = fc
  .tuple(fc.array(arbitraryRoute, { minLength: 1, maxLength: 7 }), fc.constantFrom(true, true, true, false))
  .map(([all, rest]) => [
    ...all.map((route, i) => ({ name: `r${i}`, ...route })),
    ...(rest ? [{ name: 'rest', match: { prefix: '/' }, ...retryAll, route: { cluster: '@c', timeout: '3s' } }] : []),
  ]);

const domain = fc.constantFrom(
  ...[
    'shop.example',
    'shop.example:8080',
    '*.example',
    '*.shop.example',
    'inner.example',
    '127.0.0.1',
    '[::1]:80',
    'other.test:8443',
    'example',
  ],
);

const rbac = (action_: string, permissions: readonly JsonObject[]): JsonObject => ({
  name: 'envoy.filters.http.rbac',
  typed_config: typed('extensions.filters.http.rbac.v3.RBAC', {
    rules: { action: action_, policies: { rule: { permissions, principals: [{ any: true }] } } },
  }),
});
const permission: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.constantFrom('/api', '/a', '/v1').map((prefix) => ({ url_path: { path: { prefix } } })),
  fc.constantFrom('/ab', '/a/b').map((exact) => ({ url_path: { path: { exact } } })),
  fc.record({ name: fieldName, string_match: stringMatch }).map((header) => ({ header })),
  fc.constantFrom('DELETE', 'PUT').map((exact) => ({ header: { name: ':method', string_match: { exact } } })),
);
const filters: fc.Arbitrary<JsonObject[]> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<JsonObject[]>([]) },
  { weight: 1, arbitrary: fc.array(permission, { minLength: 1, maxLength: 2 }).map((all) => [rbac('DENY', all)]) },
  {
    weight: 1,
    arbitrary: permission.map((one) => [rbac('ALLOW', [{ not_rule: one }])]),
  },
);

export const arbitraryTable: fc.Arbitrary<Table> = fc
  .record({
    named: fc.uniqueArray(fc.tuple(domain, routes), { maxLength: 3, selector: ([name]) => name }),
    rest: routes,
    hasRest: fc.constantFrom(true, true, true, true, false),
    filters,
  })
  .map(({ named, rest, hasRest, filters: list }) => ({
    virtualHosts: [
      ...named.map(([name, list_], i) => ({ name: `h${i}`, domains: [name], routes: list_ })),
      ...(hasRest || named.length === 0 ? [{ name: 'rest', domains: ['*'], routes: rest }] : []),
    ],
    filters: list,
  }));
