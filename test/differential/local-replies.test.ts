/** What becomes of responses that the proxy makes itself, from one bootstrap on Weft and on Envoy. */
import { after, before, describe, test } from 'node:test';
import { CLOSE, exchange, get, type Subject, Surface, same, told } from '../integration/envoy-surface.fixture.ts';
import { cluster, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { freePort } from '../support/pair-process.ts';

const surface = new Surface('local-replies');

after(() => surface.close());

const status = (op: string, value: number): JsonObject => ({
  status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: 'none' } } },
});
const text = (value: string, more: JsonObject = {}): JsonObject => ({
  text_format_source: { inline_string: value },
  ...more,
});
const header = (key: string, value: string, more: JsonObject = {}): JsonObject => ({ header: { key, value }, ...more });

const replies: Readonly<Record<string, JsonObject>> = {
  json: {
    body_format: {
      json_format: {
        code: '%RESPONSE_CODE%',
        text: '%LOCAL_REPLY_BODY%',
        of: { path: '%REQ(:PATH)%', n: '%TRACE_ID%' },
      },
    },
  },
  text: {
    body_format: text('<p>%RESPONSE_CODE% %RESP(X-ROUTE)% %LOCAL_REPLY_BODY%</p>', { content_type: 'text/html' }),
  },
  mapped: {
    mappers: [
      {
        filter: { and_filter: { filters: [status('EQ', 404), { header_filter: { header: { name: 'x-pick' } } }] } },
        status_code: 450,
        body: { inline_string: 'picked' },
        headers_to_add: [header('X-Mapped', '1'), header('Content-Type', 'text/x-own')],
      },
      { filter: status('EQ', 404), body: { inline_string: '' } },
      {
        filter: { response_flag_filter: { flags: ['UF'] } },
        status_code: 502,
        body: { inline_string: 'down' },
        body_format_override: text('%LOCAL_REPLY_BODY% %RESPONSE_CODE% %RESPONSE_FLAGS%\n'),
        headers_to_add: [header('X-Route', 'mapped', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' })],
      },
      { filter: status('EQ', 418), status_code: 299 },
      { filter: { grpc_status_filter: { statuses: ['UNAUTHENTICATED'] } }, body: { inline_string: 'who' } },
    ],
  },
};

describe('local replies', { timeout: 60_000 }, () => {
  let both: readonly [Subject, Subject];

  before(async () => {
    const direct = (path: string, code: number, body: string): JsonObject => ({
      match: { prefix: path },
      direct_response: { status: code, ...(body === '' ? {} : { body: { inline_string: body } }) },
      response_headers_to_add: [header('X-Route', 'r')],
    });
    both = await surface.startBoth({
      managers: Object.fromEntries(
        Object.entries(replies).map(([name, config]) => [
          name,
          { local_reply_config: config, delayed_close_timeout: '0.05s' },
        ]),
      ),
      routes: [
        route('dead', '/dead', 'dead', { retry_policy: { num_retries: 0 } }),
        direct('/own', 418, 'own\n'),
        direct('/fine', 200, 'fine'),
        direct('/empty', 200, ''),
        direct('/who', 401, 'a b'),
        { match: { prefix: '/moved' }, redirect: { path_redirect: '/there' } },
      ],
      clusters: [cluster({ name: 'dead', endpoints: [{ ip: '127.0.0.1', port: await freePort() }] })],
    });
  });

  // Weft says the port of a redirect that Envoy leaves to the client (known difference of redirects).
  const fields = ['content-type', 'content-length', 'x-route', 'x-mapped', 'grpc-status', 'grpc-message'];
  const ask = async ({ ports }: Subject, name: string, path: string, ...more: readonly string[]) =>
    told(await exchange(ports[name] ?? 0, get(path, ...more, CLOSE)), ...fields);

  for (const name of Object.keys(replies)) {
    test(`of a connection manager with ${name}`, async () => {
      for (const path of [
        '/own',
        '/fine',
        '/empty',
        '/who',
        '/moved',
        ...(name === 'mapped' ? ['/dead', '/none'] : []),
      ]) {
        await same(both, (proxy) => ask(proxy, name, path));
      }
    });
  }

  test('chosen by a header', async () => {
    const wanted = '450 content-length: 6 content-type: text/x-own x-mapped: 1 picked';
    await same(both, (proxy) => ask(proxy, 'mapped', '/none', 'X-Pick: 1'), wanted);
  });

  test('to callers of gRPC', async () => {
    for (const path of ['/who', '/dead']) {
      await same(both, (proxy) => ask(proxy, 'mapped', path, 'Content-Type: application/grpc'));
    }
    await same(both, (proxy) => ask(proxy, 'text', '/who', 'Content-Type: application/grpc'));
  });
});
