/** Command operators in values of headers, from one bootstrap on Weft and on Envoy. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { parseHeaderFormat } from '../../policies/model/header-format.ts';
import { plainLogFields } from '../../policies/model/log-fields.ts';
import { CLOSE, exchange, get, type Subject, Surface } from '../integration/envoy-surface.fixture.ts';
import { cluster, type JsonObject, route, typed } from '../support/pair-bootstrap.ts';
import { freePort } from '../support/pair-process.ts';

const surface = new Surface('header-operators');

after(() => surface.close());

const withArguments: readonly string[] = [
  'REQ(X-A):3',
  'REQ(X-NONE)',
  'REQ(X-NONE?X-A)',
  'REQ(:PATH)',
  'REQ(:AUTHORITY)',
  'REQ(:METHOD)',
  'REQ(:SCHEME)',
  'REQUEST_HEADER(X-A)',
  'RESP(X-B)',
  'RESP(:STATUS)',
  'PATH',
  'PATH(NQ)',
  'QUERY_PARAM(w)',
  'QUERY_PARAM(empty)',
  'QUERY_PARAM(utf8)',
  'QUERY_PARAMS',
  'ENVIRONMENT(WEFT_NONE)',
  'REQUESTED_SERVER_NAME(HOST_FIRST)',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(12)',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(8)',
  'COALESCE({"operators": ["TRACE_ID", {"command": "REQ", "param": ":authority", "max_length": 3}]})',
];
/** Of another connection, another moment, or counted on another wire: said by both or by neither. */
const ownWith = ['START_TIME', 'START_TIME(%s.%3f)', 'EMIT_TIME(%Y)', 'COMMON_DURATION(DS_RX_BEG:DS_RX_END:ms)'];
const OWN = /ADDRESS$|_PORT$|_ID$|DURATION|_BYTES|BYTES_|^UPSTREAM_HOST$|HOSTNAME|_TIME|^COMMON/;
const operators = [...plainLogFields, ...withArguments, ...ownWith];
const known = (side: 'request' | 'response'): readonly string[] =>
  operators.filter((operator) => parseHeaderFormat(`%${operator}%`, side).ok);
const all = (side: 'request' | 'response'): readonly JsonObject[] =>
  known(side).map((operator, i) => ({ header: { key: `x-${side}-${i}`, value: `%${operator}%` } }));

const add = (key: string, value: string, more: JsonObject = {}): JsonObject => ({ header: { key, value }, ...more });
const actions = ['APPEND_IF_EXISTS_OR_ADD', 'ADD_IF_ABSENT', 'OVERWRITE_IF_EXISTS_OR_ADD', 'OVERWRITE_IF_EXISTS'];
/** Each action on what is there and what is not, with a value and without. */
const everyAction: readonly JsonObject[] = actions.flatMap((append_action, i) =>
  ['there', 'absent'].flatMap((which) =>
    ['%REQ(X-A)%', '%REQ(X-NONE)%', 'fixed'].map((value, v) =>
      add(`x-${which}-${i}-${v}`, value, { append_action, keep_empty_value: v === 1 && i % 2 === 0 }),
    ),
  ),
);
const there = actions.flatMap((_, i) => [0, 1, 2].map((v) => `X-There-${i}-${v}: old`));

const set: JsonObject = { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' };
const changes = (level: string, more: readonly JsonObject[] = []): JsonObject => ({
  request_headers_to_add: [add('x-levels', `${level}:%REQ(X-LEVEL)%`), add('x-level', level, set), ...more],
  request_headers_to_remove: [`x-gone-${level}`],
  response_headers_to_add: [add('x-levels', `${level}:%RESP(X-LEVEL)%`), add('x-level', level, set)],
  response_headers_to_remove: [`x-gone-${level}`],
});

const routes = (dead: string): readonly JsonObject[] => [
  {
    ...route('plain', '/plain', 'app'),
    response_headers_to_add: [add('x-taken-by-filter', '1'), add('x-filters', 'route')],
  },
  {
    ...route('all', '/all', 'app', { prefix_rewrite: '/new', host_rewrite_literal: 'other' }),
    request_headers_to_add: all('request'),
    response_headers_to_add: all('response'),
  },
  { ...route('actions', '/actions', 'app'), request_headers_to_add: everyAction },
  {
    ...route('order', '/order', 'app'),
    request_headers_to_remove: ['x-c'],
    request_headers_to_add: [
      add('x-a', '%REQ(X-B)%', set),
      add('x-b', '%REQ(X-A)%', set),
      add('x-c', 'c=%REQ(X-C)%'),
      add('x-d', '1'),
      add('x-d', '2', set),
      add('x-e', '%REQ(X-D)%', { append: false }),
      add('x-f', '100%% of %PROTOCOL%%%'),
    ],
  },
  {
    match: { prefix: '/levels' },
    route: { weighted_clusters: { clusters: [{ name: 'app', weight: 1, ...changes('cluster') }] } },
    ...changes('route'),
  },
  {
    match: { prefix: '/own' },
    direct_response: { status: 418, body: { inline_string: 'own' } },
    response_headers_to_add: [add('x-own', '%REQ(:PATH)% %PROTOCOL% %RESP(:STATUS)% %ROUTE_NAME%')],
    name: 'own',
  },
  {
    match: { prefix: '/split' },
    direct_response: { status: 200 },
    response_headers_to_add: [add('x-own', '%QUERY_PARAM(a)%')],
  },
  {
    match: { prefix: '/moved' },
    redirect: { path_redirect: '/there' },
    response_headers_to_add: [add('x-own', '%REQ(:PATH)% %RESP(:STATUS)%')],
  },
  {
    ...route('dead', '/dead', dead),
    response_headers_to_add: [add('x-own', '%UPSTREAM_CLUSTER% %RESPONSE_FLAGS% %RESP(:STATUS)%')],
  },
  {
    ...route('limited', '/limited', 'app'),
    typed_per_filter_config: {
      limit: typed('extensions.filters.http.local_ratelimit.v3.LocalRateLimit', {
        stat_prefix: 'l',
        token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: '3600s' },
        filter_enabled: { default_value: { numerator: 100 } },
        filter_enforced: { default_value: { numerator: 100 } },
        response_headers_to_add: [add('x-own', '%REQ(:PATH)%')],
      }),
    },
  },
  {
    ...route('noted', '/noted', 'app'),
    typed_per_filter_config: {
      limit: typed('extensions.filters.http.local_ratelimit.v3.LocalRateLimit', {
        stat_prefix: 'n',
        token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: '3600s' },
        filter_enabled: { default_value: { numerator: 100 } },
        filter_enforced: { default_value: { numerator: 0 } },
        request_headers_to_add_when_not_enforced: [add('x-noted', '%REQ(:PATH)%')],
      }),
    },
  },
];

/** Each step sees what those before have made. */
const changing = (name: string): JsonObject => ({
  name,
  typed_config: typed('extensions.filters.http.header_mutation.v3.HeaderMutation', {
    mutations: {
      request_mutations: [
        { append: add('x-step', `${name}:%REQ(X-A)%`, set) },
        { append: add('x-after', '%REQ(X-STEP)%') },
        { append: add('x-none', '%REQ(X-NOBODY)%') },
        { append: add('x-there', 'new', { append_action: 'OVERWRITE_IF_EXISTS' }) },
        { remove: 'x-filtered-out' },
      ],
      response_mutations: [
        // Of a header that is there twice Envoy says the first value, Weft both.
        { append: add('x-filters', `${name}:%RESP(X-FILTERS)%:%RESP(:STATUS)%`, set) },
        { append: add('x-empty', '%REQ(X-NOBODY)%', { keep_empty_value: true }) },
        { remove: 'x-taken-by-filter' },
      ],
    },
  }),
});

/** Takes off what others have added. */
const removing: JsonObject = {
  name: 'removing',
  typed_config: typed('extensions.filters.http.header_mutation.v3.HeaderMutation', {
    mutations: { request_mutations: [{ remove: 'x-after' }] },
  }),
};

interface Seen {
  readonly status: string;
  /** Of the request, as the application got it. */
  readonly request: readonly string[];
  readonly response: readonly string[];
}

async function ask(port: number, path: string, ...fields: readonly string[]): Promise<Seen> {
  const answer = await exchange(port, get(path, ...fields, CLOSE));
  const [head = '', body = ''] = answer.split('\r\n\r\n', 2);
  const [line = '', ...response] = head.split('\r\n');
  const text = /\[.*\]/.exec(body)?.[0] ?? '[]';
  const shown = (lines: readonly string[]): string[] =>
    lines
      .map((one) => one.replace(/^[^:]+/, (name) => name.toLowerCase()))
      .filter((one) => /^x-(?!request-id|forwarded|envoy)/.test(one))
      .map((one) => one.trimEnd())
      .sort();
  return { status: line.split(' ')[1] ?? '', request: shown(JSON.parse(text)), response: shown(response) };
}

describe('operators in headers', { timeout: 60_000 }, () => {
  let both: readonly [Subject, Subject];

  before(async () => {
    const app = await surface.listen(
      createServer(({ rawHeaders }, response) => {
        const lines = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : []));
        response.setHeader('x-b', 'b').end(JSON.stringify(lines));
      }),
    );
    const limit: JsonObject = {
      name: 'limit',
      typed_config: typed('extensions.filters.http.local_ratelimit.v3.LocalRateLimit', { stat_prefix: 'none' }),
    };
    both = await surface.startBoth({
      managers: {
        plain: {},
        mapped: {
          local_reply_config: {
            mappers: [
              {
                filter: { header_filter: { header: { name: 'x-pick' } } },
                headers_to_add: [add('x-mapped', '%REQ(X-PICK)% %RESP(X-OWN)% %PROTOCOL%')],
              },
            ],
          },
        },
      },
      routes: routes('dead'),
      filters: [limit, changing('first'), changing('second'), removing],
      host: changes('host'),
      routeConfiguration: changes('configuration'),
      clusters: [
        cluster({ name: 'app', endpoints: [app] }),
        cluster({ name: 'dead', endpoints: [{ ip: '127.0.0.1', port: await freePort() }] }),
      ],
    });
  });

  const seen = (name: string, path: string, ...fields: readonly string[]): Promise<readonly Seen[]> =>
    Promise.all(both.map(({ ports }) => ask(ports[name] ?? 0, path, ...fields)));

  test('every one', async () => {
    const [weft, envoy] = await seen('plain', '/all/x?w=1%202&empty=&utf8=%C3%A9', 'X-A: 12345');
    const wrong: string[] = [];
    for (const side of ['request', 'response'] as const) {
      for (const [i, operator] of known(side).entries()) {
        const [ours, theirs] = [weft, envoy].map((one) => one?.[side].find((l) => l.startsWith(`x-${side}-${i}:`)));
        const alike = OWN.test(operator) ? (ours === undefined) === (theirs === undefined) : ours === theirs;
        if (!alike) wrong.push(`${side} ${operator}: weft ${ours}, envoy ${theirs}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  test('line ends that a client encodes make no header', async () => {
    const [weft, envoy] = await seen('plain', '/split?a=1%0d%0aX-Admin:%20yes');
    const made = (one: Seen | undefined) => one?.response.filter((line) => /^x-(?:admin|own)/.test(line));
    assert.deepEqual(made(weft), []);
    // Envoy sends what it was told (RFC 9110 section 5.5: such a field value is invalid).
    assert.deepEqual(made(envoy), ['x-admin: yes', 'x-own: 1']);
  });

  for (const [what, name, path, ...fields] of [
    ['every action', 'plain', '/actions', 'X-A: a', ...there],
    ['made of the request before any is changed', 'plain', '/order', 'X-A: a', 'X-B: b', 'X-C: c', 'X-D: d'],
    ['of every level', 'plain', '/levels', 'X-Level: client', 'X-Gone-host: 1', 'X-Gone-route: 1', 'X-Gone-cluster: 1'],
    ['of filters', 'plain', '/plain', 'X-A: a', 'X-There: old', 'X-Filtered-Out: 1'],
    ['of no route', 'plain', '/none'],
    ['of a response of our own', 'plain', '/own/a?b'],
    ['of a redirect', 'plain', '/moved/a?b'],
    ['of what no endpoint answers', 'plain', '/dead'],
    ['of a reply that is mapped', 'mapped', '/own/a', 'X-Pick: picked'],
    ['of a request within its limit', 'plain', '/limited/a'],
    ['of a request beyond its limit', 'plain', '/limited/b'],
    ['of a request within a limit that is only told', 'plain', '/noted/a'],
    ['of a request beyond a limit that is only told', 'plain', '/noted/b'],
  ] as const) {
    test(what, async () => {
      const [weft, envoy] = await seen(name, path, ...fields);
      assert.deepEqual(weft, envoy);
    });
  }
});
