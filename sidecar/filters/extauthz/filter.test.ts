import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Rbac } from '@weft/policies/model/authorization';
import type { ExtAuthz, GrpcAuthorizer, HttpAuthorizer } from '@weft/policies/model/ext-authz';
import type { StringMatch } from '@weft/policies/model/match';
import { frameMessage } from '../../grpc/messages.ts';
import { fieldsOf, MessageWriter } from '../../grpc/protobuf.ts';
import type { RequestHead } from '../../http/exchange.ts';
import { Headers } from '../../http/headers.ts';
import type { DispatchDeps } from '../chain.ts';
import { forwardTo, type Handler, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';

const names = (...all: readonly string[]): StringMatch[] =>
  all.map((value) => ({ kind: 'exact', value, ignoreCase: false }));
const byHttp: HttpAuthorizer = {
  kind: 'http',
  cluster: 'authz',
  uri: '',
  pathPrefix: '/check',
  headersToAdd: [{ name: 'x-from', value: 'weft' }],
  upstreamHeaders: names('x-user'),
  upstreamHeadersToAppend: [],
  clientHeaders: names('x-reason'),
  clientHeadersOnSuccess: names('x-seen'),
};
const byGrpc: GrpcAuthorizer = { kind: 'grpc', cluster: 'authz', authority: '', metadata: [] };
const settings: ExtAuthz = {
  service: byHttp,
  timeoutMs: 100,
  failureAllowed: false,
  tellsFailure: false,
  errorStatus: 403,
  body: undefined,
  allowedHeaders: undefined,
  disallowedHeaders: [],
  validatesMutations: true,
  enabledBy: undefined,
  statPrefix: 'opa',
};

/** A shop that an authorizer watches over. */
function shop(overrides: Partial<ExtAuthz>, handler: Handler, shadow?: Rbac, deps: Partial<DispatchDeps> = {}) {
  const world = new World(7);
  world.source.cluster(testCluster('shop'));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  world.source.cluster(testCluster('authz', overrides.service?.kind === 'grpc' ? { protocol: 'http2' } : {}));
  world.source.assignment('authz', [testEndpoint('10.0.0.9', 9191), testEndpoint('10.0.0.10', 9191)]);
  const app = world.server('10.0.0.1', 80, () => ({ status: 200, body: 'bought' }));
  const authorizer = world.server('10.0.0.9', 9191, handler);
  const second = world.server('10.0.0.10', 9191, handler);
  const dispatch = world.dispatch(
    testHcm(
      { kind: 'inline', config: routes('r', forwardTo('shop')) },
      {
        filters: [
          ...(shadow === undefined ? [] : [{ kind: 'rbacShadow' as const, name: 'rules', prefix: 'p_', rbac: shadow }]),
          { kind: 'extAuthz', name: 'opa', authz: { ...settings, ...overrides } },
          { kind: 'router' },
        ],
      },
    ),
    'inbound',
    deps,
  );
  const send = (head: Partial<RequestHead> = {}, body?: readonly string[]) => {
    const exchange = world.send(dispatch, head, body);
    world.clock.advance(10);
    return exchange;
  };
  return { world, app, authorizer, second, send };
}

const flagOf = (world: World): string => world.recorder.records.at(-1)?.flag ?? 'none';

describe('an authorizer by HTTP', () => {
  test('sees the head, and lets pass with 200', () => {
    const { app, authorizer, second, send } = shop({}, () => ({
      status: 200,
      headers: Headers.from(['x-user', 'ann', 'x-secret', 's', 'x-seen', 'yes', 'host', 'evil', ':path', '/evil']),
    }));
    const headers = Headers.from(['Authorization', 'Bearer t', 'X-User', 'root', 'Cookie', 'c=1']);
    const exchange = send({ method: 'POST', path: '/buy?x=1', headers });
    assert.equal(exchange.status, 200);
    assert.equal(exchange.body, 'bought');
    assert.equal(exchange.response?.headers.get('x-seen'), 'yes');
    const asked = authorizer.requests[0] ?? second.requests[0];
    assert.equal(asked?.head.path, '/check/buy?x=1');
    assert.equal(asked?.head.method, 'POST');
    assert.equal(asked?.head.headers.get('authorization'), 'Bearer t');
    assert.equal(asked?.head.headers.get('cookie'), undefined);
    assert.equal(asked?.head.headers.get('x-from'), 'weft');
    const [got] = app.requests;
    assert.equal(got?.head.headers.get('x-user'), 'ann');
    assert.equal(got?.head.headers.get('x-secret'), undefined);
    assert.equal(got?.head.path, '/buy?x=1');
    assert.equal(got?.head.authority, 'shop.example');
  });

  test('refuses with its own status, body and the headers that may go on', () => {
    const { world, app, send } = shop({}, () => ({
      status: 302,
      body: 'log in',
      headers: Headers.from(['Location', '/login', 'x-reason', 'anonymous', 'x-secret', 's']),
    }));
    const exchange = send();
    assert.equal(exchange.status, 302);
    assert.equal(exchange.body, 'log in');
    assert.equal(exchange.response?.headers.get('location'), '/login');
    assert.equal(exchange.response?.headers.get('x-reason'), 'anonymous');
    assert.equal(exchange.response?.headers.get('x-secret'), undefined);
    assert.equal(app.requests.length, 0);
    assert.equal(flagOf(world), 'UAEX');
  });

  for (const [title, handler] of [
    ['a server error', () => ({ status: 500 })],
    ['no answer', () => 'hang'],
    ['a reset', () => 'reset'],
    ['an endless answer', () => ({ status: 403, body: 'x'.repeat(300_000), endless: true })],
  ] as const satisfies readonly (readonly [string, Handler])[]) {
    test(`${title} fails closed, unless that is said`, () => {
      const closed = shop({ errorStatus: 503 }, handler);
      const refused = closed.send();
      closed.world.clock.advance(200);
      assert.equal(refused.status, 503);
      assert.equal(flagOf(closed.world), 'UAEX');
      assert.equal(closed.app.requests.length, 0);
      assert.ok(closed.world.count('ext_authz.failed') > 0);
      const open = shop({ failureAllowed: true, tellsFailure: true }, handler);
      const passed = open.send();
      open.world.clock.advance(200);
      assert.equal(passed.status, 200);
      assert.equal(open.app.requests[0]?.head.headers.get('x-envoy-auth-failure-mode-allowed'), 'true');
    });
  }

  test('one that does not listen is passed over for another, and a stale connection for a fresh one', () => {
    const { authorizer, second, send } = shop({}, () => ({ status: 200 }));
    authorizer.accepts = false;
    for (let i = 0; i < 8; i++) assert.equal(send().status, 200);
    assert.equal(second.requests.length, 8);
    second.makeStale();
    assert.equal(send().status, 200);
  });

  test('nothing is left of a request whose client goes', () => {
    const { world, send } = shop({}, () => 'hang');
    const exchange = send();
    assert.equal(exchange.ended, false);
    exchange.receiver?.onReset({ source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'gone' });
    exchange.receiver?.onDone();
    assert.equal(world.clusters.get('authz')?.limits.requests, 0);
    world.clock.advance(1_000);
    assert.equal(world.count('ext_authz.failed'), 0);
  });
});

describe('bodies', () => {
  const body = { bytesMax: 10, partial: false, raw: true };

  test('are shown whole, and go on whole', () => {
    const { app, authorizer, second, send } = shop({ body }, () => ({ status: 200 }));
    assert.equal(send({ method: 'POST' }, ['12345', '67890']).status, 200);
    const asked = authorizer.requests[0] ?? second.requests[0];
    assert.equal(asked?.body, '1234567890');
    assert.equal(asked?.head.contentLength, 10);
    assert.equal(asked?.head.headers.get('x-envoy-auth-partial-body'), 'false');
    assert.equal(app.requests[0]?.body, '1234567890');
  });

  test('that are too large are refused unasked, or shown in part', () => {
    const strict = shop({ body }, () => ({ status: 200 }));
    assert.equal(strict.send({ method: 'POST' }, ['123456', '789012']).status, 413);
    assert.equal(strict.send({ method: 'POST', contentLength: 11 }, []).status, 413);
    assert.equal(strict.authorizer.requests.length + strict.second.requests.length, 0);
    const partial = shop({ body: { ...body, partial: true } }, () => ({ status: 200 }));
    assert.equal(partial.send({ method: 'POST' }, ['123456', '789012', 'end']).status, 200);
    const asked = partial.authorizer.requests[0] ?? partial.second.requests[0];
    assert.equal(asked?.body, '1234567890');
    assert.equal(asked?.head.headers.get('x-envoy-auth-partial-body'), 'true');
    assert.equal(partial.app.requests[0]?.body, '123456789012end');
  });
});

const option = (name: string, value: string): MessageWriter =>
  new MessageWriter().message(1, new MessageWriter().text(1, name).text(2, value));

function grpcAnswer(response: MessageWriter): ReturnType<Handler> {
  return {
    status: 200,
    body: frameMessage(response.finish()),
    headers: Headers.from(['content-type', 'application/grpc', 'grpc-status', '0']),
  };
}

const bytesIn = (message: Buffer, ...path: readonly number[]): Buffer => {
  let inner = message;
  for (const wanted of path) {
    const found = [...fieldsOf(inner)].find(({ number }) => number === wanted)?.value;
    assert.ok(Buffer.isBuffer(found), `no field ${wanted}`);
    inner = found;
  }
  return inner;
};

describe('an authorizer by gRPC', () => {
  test('is told who asks for what, and changes fields and query', () => {
    const ok = new MessageWriter()
      .message(2, option('x-user', 'ann'))
      .message(2, option('host', 'evil'))
      .message(2, option('transfer-encoding', 'chunked'))
      .text(5, 'authorization')
      .message(6, option('x-seen', 'yes'))
      .message(7, new MessageWriter().text(1, 'who').text(2, 'a&b'))
      .text(8, 'token');
    const { world, app, authorizer, second, send } = shop({ service: byGrpc }, () =>
      grpcAnswer(new MessageWriter().message(3, ok)),
    );
    const headers = Headers.from(['Authorization', 'Bearer t', 'x-a', '1', 'X-A', '2']);
    const exchange = send({ path: '/buy?token=1&x=2', headers });
    assert.equal(exchange.status, 200);
    assert.equal(exchange.response?.headers.get('x-seen'), 'yes');
    const [got] = app.requests;
    assert.equal(got?.head.headers.get('x-user'), 'ann');
    assert.equal(got?.head.headers.has('authorization'), false);
    assert.equal(got?.head.headers.has('transfer-encoding'), false);
    assert.equal(got?.head.path, '/buy?x=2&who=a%26b');
    assert.equal(world.count('ext_authz.field_ignored'), 1);
    const asked = authorizer.requests[0] ?? second.requests[0];
    assert.equal(asked?.head.path, '/envoy.service.auth.v3.Authorization/Check');
    const http = bytesIn((asked?.bytes ?? Buffer.alloc(0)).subarray(5), 1, 4, 2);
    assert.equal(bytesIn(http, 2).toString(), 'GET');
    assert.equal(bytesIn(http, 4).toString(), '/buy?token=1&x=2');
    assert.ok(http.includes('1,2'));
  });

  test('refuses with a status, headers and a body; a gRPC client gets a status of its own', () => {
    const denied = new MessageWriter()
      .message(1, new MessageWriter().number(1, 401))
      .message(2, option('www-authenticate', 'Basic'))
      .text(3, 'who are you');
    const answer = new MessageWriter().message(1, new MessageWriter().number(1, 16)).message(2, denied);
    const { send } = shop({ service: byGrpc }, () => grpcAnswer(answer));
    const exchange = send();
    assert.equal(exchange.status, 401);
    assert.equal(exchange.body, 'who are you');
    assert.equal(exchange.response?.headers.get('www-authenticate'), 'Basic');
    const call = send({ method: 'POST', headers: Headers.from(['content-type', 'application/grpc']) });
    assert.equal(call.status, 200);
    assert.equal(call.response?.headers.get('grpc-status'), '16');
  });

  test('what is no answer fails closed; fields that are none of HTTP end the request', () => {
    for (const body of ['', 'garbage', '\0\0\0\0\x01\x08', '\0\0\0\0\x02\x1a\x7f']) {
      const headers = Headers.from(['content-type', 'application/grpc', 'grpc-status', '0']);
      const { app, send } = shop({ service: byGrpc }, () => ({ status: 200, body, headers }));
      assert.equal(send().status, 403, JSON.stringify(body));
      assert.equal(app.requests.length, 0);
    }
    const ok = new MessageWriter().message(2, option('x-user', 'a\r\nx-admin: 1'));
    const { app, send } = shop({ service: byGrpc, failureAllowed: true }, () =>
      grpcAnswer(new MessageWriter().message(3, ok)),
    );
    assert.equal(send().status, 500);
    assert.equal(app.requests.length, 0);
  });
});

describe('rules in the shadow say who is asked about', () => {
  const path = { kind: 'path', match: { kind: 'prefix', value: '/admin', ignoreCase: false } } as const;
  const shadow: Rbac = {
    action: 'deny',
    policies: [{ name: 'shop/ask/admin', permissions: [path], principals: [{ kind: 'any' }] }],
  };
  const enabledBy = { prefix: 'p_', value: { kind: 'present' } } as const;

  test('and no one else is', () => {
    const { world, authorizer, second, send } = shop({ enabledBy }, () => ({ status: 403 }), shadow);
    assert.equal(send({ path: '/public' }).status, 200);
    assert.equal(authorizer.requests.length + second.requests.length, 0);
    assert.equal(send({ path: '/admin/x' }).status, 403);
    assert.equal(world.recorder.records.at(-1)?.rule, 'shop/ask/admin');
  });

  test('a path that can be read in two ways is refused unasked', () => {
    const { authorizer, second, send } = shop({ enabledBy }, () => ({ status: 200 }), shadow);
    assert.equal(send({ path: '/x/..%2fadmin' }).status, 403);
    assert.equal(authorizer.requests.length + second.requests.length, 0);
  });
});

describe('the trace of a request', () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const parent = `00-${trace}-00f067aa0ba902b7-01`;
  const fields = ['traceparent', parent, 'tracestate', 'a=1', 'b3', `${trace}-00f067aa0ba902b7-1`, 'baggage', 'x=1'];
  const tracing = { otlpEndpoint: 'http://otel:4318', otlpProtocol: 'http', samplingPercent: 0 } as const;
  const settings = { tracing, accessLog: 'none', workloadName: 'shop/cart', serviceName: 'shop/cart' } as const;
  const ok = () => grpcAnswer(new MessageWriter().message(3, new MessageWriter()));

  for (const [title, service, handler] of [
    ['HTTP', byHttp, () => ({ status: 200 })],
    ['gRPC', byGrpc, ok],
  ] as const) {
    const askedOf = (deps: Partial<DispatchDeps>, sent: readonly string[]): Headers | undefined => {
      const { authorizer, second, app, send } = shop({ service, allowedHeaders: [] }, handler, undefined, deps);
      assert.equal(send({ headers: Headers.from(sent) }).status, 200);
      const asked = (authorizer.requests[0] ?? second.requests[0])?.head.headers;
      if (deps.settings !== undefined) {
        assert.equal(asked?.get('traceparent'), app.requests[0]?.head.headers.get('traceparent'));
      }
      return asked;
    };

    test(`goes on in the spans of an authorizer by ${title}`, () => {
      const asked = askedOf({ settings }, fields);
      assert.match(asked?.get('traceparent') ?? '', new RegExp(`^00-${trace}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`));
      assert.equal(asked?.get('tracestate'), 'a=1');
      assert.equal(asked?.has('b3'), false);
      assert.equal(asked?.has('baggage'), false);
      assert.match(askedOf({ settings }, [])?.get('traceparent') ?? '', /^00-[0-9a-f]{32}-/, 'one that begins here');
    });

    test(`also through a proxy that does not trace, by ${title}`, () => {
      const asked = askedOf({}, fields);
      assert.equal(asked?.get('traceparent'), parent);
      assert.equal(asked?.get('tracestate'), 'a=1');
      assert.equal(askedOf({}, ['traceparent', 'nonsense', 'tracestate', 'a=1'])?.has('traceparent'), false);
      assert.equal(askedOf({}, [])?.has('traceparent'), false);
    });
  }
});
