/** What a connection manager makes of responses of our own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AccessLogFilter } from '@weft/policies/model/access-log';
import type { LocalReplies, LocalReplyMapper } from '@weft/policies/model/local-reply';
import { noMutation } from '@weft/policies/model/route';
import { Headers } from '../http/headers.ts';
import { forwardTo, routes, testHcm, World } from './testing.ts';

const status = (value: number): AccessLogFilter => ({ kind: 'status', op: 'eq', value });
const mapper = (filter: AccessLogFilter, change: Partial<LocalReplyMapper>): LocalReplyMapper => ({
  filter,
  status: undefined,
  text: undefined,
  body: undefined,
  headers: noMutation,
  ...change,
});

/** The answer to a request that finds no backend: status 500, flag NC. */
function answer(localReplies: LocalReplies, headers: readonly string[] = [], method = 'GET') {
  const world = new World();
  const clusters = [{ name: '', weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }];
  const config = routes('r', forwardTo('', { clusters }));
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config }, { localReplies }));
  const exchange = world.send(dispatch, { method, headers: Headers.from(headers) });
  world.clock.advance(1);
  return { world, exchange, record: world.recorder.records[0] };
}

describe('local replies', () => {
  test('the first mapper that passes changes status, body and fields, and the record tells so', () => {
    const { exchange, record } = answer({
      mappers: [
        mapper(status(404), { text: 'not this' }),
        mapper(
          { kind: 'flags', flags: ['NC'] },
          {
            status: 503,
            text: 'later',
            headers: { ...noMutation, add: [{ name: 'x-mapped', value: '1' }] },
          },
        ),
        mapper(status(500), { text: 'nor this' }),
      ],
      body: undefined,
    });
    assert.equal(exchange.status, 503);
    assert.equal(exchange.body, 'later');
    assert.equal(exchange.response?.headers.get('x-mapped'), '1');
    assert.equal(exchange.response?.headers.get('content-type'), 'text/plain');
    assert.equal(record?.status, 503);
    assert.equal(record?.flag, 'NC');
  });

  test('a format says what the body is, without the end of our line', () => {
    const { exchange } = answer({
      mappers: [],
      body: {
        format: {
          kind: 'json',
          value: { flag: '%RESPONSE_FLAGS%', text: '%LOCAL_REPLY_BODY%' },
          omitEmptyValues: false,
        },
        contentType: 'application/problem+json',
      },
    });
    assert.equal(exchange.response?.headers.get('content-type'), 'application/problem+json');
    const body: unknown = JSON.parse(exchange.body);
    assert.deepEqual(body, { flag: 'NC', text: 'route ns/route/rule-0 has no valid backend' });
  });

  test('a status without content has none (RFC 9110 section 15.3.5), though Envoy sends it', () => {
    const { exchange } = answer({ mappers: [mapper(status(500), { status: 204 })], body: undefined });
    assert.equal(exchange.status, 204);
    assert.equal(exchange.body, '');
    assert.equal(exchange.response?.headers.has('content-type'), false);
  });

  test('a gRPC caller is told by its status', () => {
    const { exchange, record } = answer(
      { mappers: [mapper(status(500), { status: 401, text: 'who are you' })], body: undefined },
      ['content-type', 'application/grpc'],
    );
    assert.equal(exchange.status, 200);
    assert.equal(exchange.response?.headers.get('content-type'), 'application/grpc');
    assert.equal(exchange.response?.headers.get('grpc-status'), '16');
    assert.equal(exchange.response?.headers.get('grpc-message'), 'who are you');
    assert.equal(record?.grpcStatus, 16);
  });
});
