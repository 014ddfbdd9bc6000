/** Requests and route tables out of a small vocabulary, so that they meet. */
import fc from 'fast-check';
import type { JsonObject } from '../support/pair-bootstrap.ts';
import type { ClientRequest, Field } from './envoy-pair.ts';

const segment = fc.constantFrom('a', 'b', 'ab', 'A', 'api', 'v1', 'x.y', '~u', 'a-b');
const oddSegment = fc.constantFrom(
  '',
  '%41',
  '%7e',
  '%2d',
  '..',
  '.',
  '..;x',
  '%2e%2E',
  'a\\b',
  '|{}',
  '%2a',
  '%2A',
  '%20',
  'a;p=1',
  'a,b',
  'a:b',
  '@',
  '!$&()',
  '%c3%a9',
  '=',
  '+',
);
const path = fc
  .array(fc.oneof({ weight: 4, arbitrary: segment }, { weight: 1, arbitrary: oddSegment }), { maxLength: 4 })
  .map((segments) => `/${segments.join('/')}`);
const simplePath = fc.array(segment, { maxLength: 2 }).map((segments) => `/${segments.join('/')}`);

const queryName = fc.constantFrom('q', 'Q', 'to', 'x');
const queryValue = fc.constantFrom('', '1', 'a', 'A', 'ab', '%41', 'a+b', 'a%20b', 'a=b');
const query = fc
  .array(
    fc.oneof(
      fc.tuple(queryName, queryValue).map(([name, value]) => `${name}=${value}`),
      queryName,
    ),
    { maxLength: 3 },
  )
  .map((parts) => (parts.length === 0 ? '' : `?${parts.join('&')}`));

const fieldName = fc.constantFrom('X-Tier', 'x-tier', 'X-Who', 'X-LIST', 'Accept', 'User-Agent', 'Cookie', 'X-Empty');
const fieldValue = fc.constantFrom(
  '',
  'gold',
  'Gold',
  'silver',
  'gold,silver',
  'a b',
  '1',
  'x=1; y=2',
  '"quoted"',
  'caf\xe9',
);
const host = fc.constantFrom(
  'shop.example',
  'SHOP.example',
  'shop.example:80',
  'shop.example:8080',
  '127.0.0.1',
  '[::1]:80',
);
const method = fc.constantFrom(
  'GET',
  'GET',
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'PROPFIND',
  'X-OWN',
);
const answer = fc.constantFrom('200', '200', '200', '201', '204', '304', '404', '418', '500', '503');

const withBody = (name: string): boolean => ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'].includes(name);

const chunks = fc.array(fc.string({ unit: 'binary-ascii', maxLength: 30 }), { maxLength: 3 });

export const arbitraryRequest: fc.Arbitrary<ClientRequest> = fc
  .record({
    method,
    path,
    query,
    host,
    fields: fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 4 }),
    answer,
    framing: fc.constantFrom('none', 'length', 'chunked'),
    chunks,
  })
  .map((r) => {
    const fields: Field[] = [['Host', r.host], ...r.fields, ['X-Answer', r.answer], ['Connection', 'close']];
    const framing = withBody(r.method) ? r.framing : 'none';
    return {
      method: r.method,
      target: r.path + r.query,
      fields,
      body: { framing, chunks: framing === 'none' ? [] : r.chunks },
    };
  });

const stringMatch = fc.oneof(
  fc.constantFrom('gold', 'a', '1', '').map((exact) => ({ exact })),
  fc.constantFrom('go', 'a', 'sil').map((prefix) => ({ prefix })),
  fc.constantFrom('old', 'er', 'b').map((suffix) => ({ suffix })),
  fc.constantFrom('ol', ',', ' ').map((contains) => ({ contains })),
  fc.constantFrom('[a-z]+', 'gold|silver', '.*,.*').map((regex) => ({ safe_regex: { regex } })),
  fc.constantFrom('GOLD', 'A').map((exact) => ({ exact, ignore_case: true })),
);

const headerMatch: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.record({ name: fc.constantFrom('x-tier', 'X-Who', 'x-list'), string_match: stringMatch }),
  fc.record({ name: fc.constantFrom('x-tier', 'x-empty'), present_match: fc.boolean() }),
  fc.record({ name: fc.constantFrom('x-tier', 'x-who'), string_match: stringMatch, invert_match: fc.constant(true) }),
  fc.constantFrom('GET', 'POST', 'X-OWN').map((exact) => ({ name: ':method', string_match: { exact } })),
);

const queryMatch: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.record({ name: queryName, string_match: stringMatch }),
  fc.record({ name: queryName, present_match: fc.constant(true) }),
);

const pathMatch: fc.Arbitrary<JsonObject> = fc.oneof(
  simplePath.map((prefix) => ({ prefix })),
  simplePath.map((exact) => ({ path: exact })),
  simplePath.map((exact) => ({ path: exact.toUpperCase(), case_sensitive: false })),
  simplePath
    .filter((prefix) => prefix !== '/' && !prefix.endsWith('/'))
    .map((prefix) => ({ path_separated_prefix: prefix })),
  fc.constantFrom('/[ab]+', '/api/.*', '/.*/v[0-9]', '/a(/b)?').map((regex) => ({ safe_regex: { regex } })),
);

const header = (key: string, value: string): JsonObject => ({ key, value });
const appendAction = fc.constantFrom('APPEND_IF_EXISTS_OR_ADD', 'OVERWRITE_IF_EXISTS_OR_ADD');
/** Each name once: Weft refuses what appends to a field and overwrites it in one list. */
const additions = (names: readonly string[]): fc.Arbitrary<JsonObject[]> =>
  fc
    .uniqueArray(fc.tuple(fc.constantFrom(...names), fc.constantFrom('new', 'other'), appendAction), {
      maxLength: 2,
      selector: ([name]) => name,
    })
    .map((all) => all.map(([name, value, action]) => ({ header: header(name, value), append_action: action })));

const forward: fc.Arbitrary<JsonObject> = fc
  .record({
    cluster: fc.constantFrom('a', 'b', 'c'),
    rewrite: fc.constantFrom('', '', '', '/', '/new', '/new/'),
    hostRewrite: fc.constantFrom('', '', 'inner.example'),
  })
  .map(({ cluster, rewrite, hostRewrite }) => ({
    cluster,
    timeout: '4s',
    ...(rewrite === '' ? {} : { prefix_rewrite: rewrite }),
    ...(hostRewrite === '' ? {} : { host_rewrite_literal: hostRewrite }),
  }));

const redirect: fc.Arbitrary<JsonObject> = fc.oneof(
  fc
    .constantFrom('MOVED_PERMANENTLY', 'FOUND', 'TEMPORARY_REDIRECT', 'PERMANENT_REDIRECT')
    .map((code) => ({ path_redirect: '/there', response_code: code })),
  fc.constant({ prefix_rewrite: '/moved', host_redirect: 'other.example' }),
  fc.constant({ https_redirect: true }),
  fc.constant({ scheme_redirect: 'https', port_redirect: 8443 }),
);

const action: fc.Arbitrary<JsonObject> = fc.oneof(
  { weight: 6, arbitrary: forward.map((route) => ({ route })) },
  { weight: 1, arbitrary: redirect.map((value) => ({ redirect: value })) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(200, 404, 418, 503)
      .map((status) => ({ direct_response: { status, body: { inline_string: 'direct' } } })),
  },
);

const arbitraryRoute: fc.Arbitrary<JsonObject> = fc
  .record({
    path: pathMatch,
    headers: fc.array(headerMatch, { maxLength: 1 }),
    query: fc.array(queryMatch, { maxLength: 1 }),
    action,
    requestHeaders: additions(['x-tier', 'X-New']),
    responseHeaders: additions(['x-from', 'X-New']),
    remove: fc.constantFrom([], [], ['x-who'], ['X-Tier']),
  })
  .map((r) => {
    const match = {
      ...r.path,
      ...(r.headers.length === 0 ? {} : { headers: r.headers }),
      ...(r.query.length === 0 ? {} : { query_parameters: r.query }),
    };
    // A rewrite of the prefix needs one that was matched.
    const regex = 'safe_regex' in r.path;
    const act: JsonObject =
      regex && JSON.stringify(r.action).includes('prefix_rewrite')
        ? { route: { cluster: 'c', timeout: '4s' } }
        : r.action;
    return {
      match,
      ...act,
      ...(r.requestHeaders.length === 0 ? {} : { request_headers_to_add: r.requestHeaders }),
      ...(r.responseHeaders.length === 0 ? {} : { response_headers_to_add: r.responseHeaders }),
      ...(r.remove.length === 0 ? {} : { request_headers_to_remove: r.remove }),
    };
  });

/** Half of them end with a route for everything. */
export const arbitraryRoutes: fc.Arbitrary<readonly JsonObject[]> = fc
  .tuple(fc.array(arbitraryRoute, { minLength: 3, maxLength: 8 }), fc.boolean())
  .map(([routes, rest]) => [
    ...routes.map((route, i) => ({ name: `r${i}`, ...route })),
    ...(rest ? [{ name: 'rest', match: { prefix: '/' }, route: { cluster: 'c', timeout: '4s' } }] : []),
  ]);
