import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AccessLogFilter, LogFormat } from '@weft/policies/model/access-log';
import { Headers } from '../../http/headers.ts';
import { emptyRecord, type RequestRecord } from '../record.ts';
import type { LogEntry, LoggedExchange } from './entry.ts';
import { compileFilter } from './filter.ts';
import { compileFormat } from './format.ts';
import { Loggers, LogSinks } from './loggers.ts';

function record(change: Partial<RequestRecord> = {}): RequestRecord {
  return {
    ...emptyRecord('inbound'),
    startUnixMs: Date.UTC(2024, 1, 29, 3, 4, 5, 67),
    durationMs: 12.9,
    upstreamMs: 7.2,
    status: 200,
    remote: '192.0.2.1:5000',
    destination: '[2001:db8::1]:443',
    upstream: '10.0.0.1:80',
    authority: 'shop',
    cluster: 'c',
    attempts: 1,
    requestId: 'id',
    ...change,
  };
}

function exchange(change: Partial<LoggedExchange> = {}): LoggedExchange {
  return {
    connection: {
      id: 7,
      peer: { subjectAltNames: ['spiffe://a/b', 'dns.name', 'https://c'], fingerprint: 'AB12' },
    },
    head: {
      method: 'GET',
      scheme: 'http',
      authority: 'shop',
      path: '/new?q=1&w=a%20b&w=2',
      protocol: undefined,
      headers: Headers.from(['X-A', '1', 'X-A', '2', 'X-Forwarded-For', '203.0.113.9, 198.51.100.2, 192.0.2.1']),
      version: 20,
      contentLength: 0,
      expectContinue: false,
    },
    clientIp: '198.51.100.2',
    path: '/old?q=1',
    responseHeaders: Headers.from(['Server', 'app']),
    responseTrailers: Headers.from(['X-T', 'end']),
    jwt: { claims: { sub: 'ann', realm: { roles: ['a'] } } },
    localReply: false,
    requestBodyBytes: 3,
    responseBodyBytes: 4,
    requestEndMs: 105,
    startMs: 100,
    upstreamStartMs: 102,
    ...change,
  };
}

const logged = (of: RequestRecord, http?: LoggedExchange): LogEntry => ({ record: of, http, ends: http });
const entry = logged(record(), exchange());
const line = (text: string, of: LogEntry = entry, trustedHops = 0, omitEmptyValues = false): string =>
  compileFormat(
    { kind: 'text', text, omitEmptyValues },
    { trustedHops, filterChainName: 'chain', environment: { HOME: '/h' } },
  )(of);

test('a request that could not be read has its reason in the line, an opaque connection has none', () => {
  const detail = 'malformed request: no Host (RFC 9112 section 3.2)';
  const refused = record({ protocol: 'http', status: 400, flag: 'DPE', detail });
  const format = '%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%';
  assert.equal(line(format, logged(refused)), '400 malformed_request:_no_Host_(RFC_9112_section_3.2)');
  assert.equal(line('%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%', logged(refused)), detail);
  assert.equal(line(format, logged({ ...refused, protocol: 'tcp', status: 0 })), '0 -');
});

describe('operators', () => {
  const cases: [string, string][] = [
    ['%START_TIME%', '2024-02-29T03:04:05.067Z'],
    [
      '%START_TIME(%Y/%m/%d %H:%M:%S %3f %6f %f %s %e %E3S %T %F %D %b %a %j %y %z %Z %%)%',
      '2024/02/29 03:04:05 067 067000 067000000 1709175845 29 05.067 03:04:05 2024-02-29 02/29/24 Feb Thu 060 24 +0000 UTC %',
    ],
    [
      '%REQ(X-A)% %REQ(:PATH)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(HOST)%',
      '1, 2 /new?q=1&w=a%20b&w=2 /old?q=1 shop',
    ],
    ['%PATH% %PATH(NQ)% %PROTOCOL%', '/old?q=1 /old HTTP/2'],
    ['%RESP(SERVER):2% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% %TRAILER(X-T)%', 'ap 7 end'],
    ['%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%', '12 5 7 5'],
    ['%BYTES_RECEIVED% %BYTES_SENT%', '3 4'],
    ['%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_PORT%', '192.0.2.1:5000 5000'],
    [
      '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%',
      '[2001:db8::1]:443 2001:db8::1 443',
    ],
    ['%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_FINGERPRINT_256%', 'spiffe://a/b,https://c ab12'],
    ['%ENVIRONMENT(HOME)% %ENVIRONMENT(NOPE)% %CONNECTION_ID% %STREAM_ID%', '/h - 7 id'],
    [
      '%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:jwt:sub)% %DYNAMIC_METADATA(envoy.filters.http.jwt_authn:jwt:realm:roles)% %DYNAMIC_METADATA(envoy.filters.http.jwt_authn:jwt:realm:toString)%',
      'ann ["a"] -',
    ],
    ['%RESPONSE_HEADERS_BYTES% %RESPONSE_TRAILERS_BYTES%', '19 6'],
    ['%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%', '- via_upstream'],
    ['%PATH(WQ:PATH)% %PATH(:ORIG)% %PATH(NQ:ORIG_OR_PATH)%', '/new?q=1&w=a%20b&w=2 /old?q=1 /old'],
    ['%QUERY_PARAM(w)% %QUERY_PARAM(W)% %QUERY_PARAMS%', 'a b - q=1&w=a%20b&w=2'],
    ['%QUERY_PARAMS(DECODED):18%', 'q=1&w=a%20b&w=2'],
    [
      '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(20)%',
      '192.0.0.0/16 2001::/20',
    ],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(33)%', '192.0.2.1/32'],
    ['%REQUESTED_SERVER_NAME(SNI_FIRST)% %REQUESTED_SERVER_NAME(HOST_FIRST:ORIG)% %REQUESTED_SERVER_NAME%', 'shop - -'],
    ['%COMMON_DURATION(DS_RX_BEG:DS_RX_END:ms)% %COMMON_DURATION(US_RX_BEG:DS_TX_END:us)%', '5 5700'],
    ['%COMMON_DURATION(US_TX_BEG:US_TX_END:ns)% %REQUEST_TX_DURATION%', '3000000 5'],
    ['%ACCESS_LOG_TYPE% %FILTER_CHAIN_NAME% %BYTES_RETRANSMITTED% %VIRTUAL_CLUSTER_NAME%', 'DownstreamEnd chain 0 -'],
    ['%EMIT_TIME(%S.%2f)% %START_TIME(%I %p %A %B %u %w %R %1f)%', '05.07 03 AM Thursday February 4 4 03:04 0'],
    [
      '%COALESCE({"operators": ["TRACE_ID", {"command": "REQ", "param": "nope"}, {"command": "REQ", "param": ":authority", "max_length": 2}]})%',
      'sh',
    ],
  ];
  for (const [format, wanted] of cases) test(format, () => assert.equal(line(format), wanted));

  test('behind trusted proxies the client is whom they name', () => {
    const format = '%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%';
    assert.equal(line(format, entry, 1), '198.51.100.2:0 192.0.2.1:5000');
  });

  test('gRPC statuses', () => {
    const grpc = (grpcStatus: number): LogEntry => logged(record({ grpcStatus }), exchange());
    const format = '%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%';
    assert.equal(line(format, grpc(0)), 'OK OK 0');
    assert.equal(line(format, grpc(4)), 'DeadlineExceeded DEADLINE_EXCEEDED 4');
    assert.equal(line(format, grpc(-1)), '- - -');
  });

  test('opaque connections have no request', () => {
    const tcp = logged(record({ protocol: 'tcp', status: 0, bytesReceived: 9, flag: 'UF', detail: 'a b' }));
    assert.equal(
      line(
        '%PROTOCOL% %REQ(A)% %RESPONSE_CODE% %BYTES_RECEIVED% %RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%',
        tcp,
      ),
      '- - 0 9 UF a_b',
    );
  });

  test('nothing is written as a dash, or left out', () => {
    assert.equal(line('[%REQ(NOPE)%]'), '[-]');
    assert.equal(line('[%REQ(NOPE)%]', entry, 0, true), '[]');
  });

  test('a value cannot begin a line of its own', () => {
    const http = exchange({ responseHeaders: Headers.from(['A', 'x\ny\u0085']) });
    assert.equal(line('%RESP(A)%', logged(record(), http)), 'x\\x0ay\\x85');
  });
});

test('JSON keeps types, sorts keys, and leaves out what is empty when asked to', () => {
  const value = {
    b: '%RESPONSE_CODE%',
    a: '%REQ(NOPE)%',
    c: ['%REQ(NOPE)%', 1, null],
    d: { e: '%REQ(NOPE)%' },
    f: '"%REQ(X-A)%"',
  };
  const written = (omitEmptyValues: boolean): string => {
    const format: LogFormat = { kind: 'json', value, omitEmptyValues };
    return compileFormat(format, { trustedHops: 0, filterChainName: '', environment: {} })(entry);
  };
  assert.equal(written(false), '{"a":null,"b":200,"c":[null,1,null],"d":{"e":null},"f":"\\"1, 2\\""}\n');
  assert.equal(written(true), '{"b":200,"c":[1],"f":"\\"1, 2\\""}\n');
});

test('filters', () => {
  const passes = (filter: AccessLogFilter, change: Partial<RequestRecord>): boolean =>
    compileFilter(filter)(logged(record(change), exchange()));
  assert.equal(passes({ kind: 'status', op: 'ge', value: 500 }, { status: 500 }), true);
  assert.equal(passes({ kind: 'status', op: 'ge', value: 500 }, { status: 499 }), false);
  assert.equal(passes({ kind: 'duration', op: 'le', value: 12 }, {}), true);
  assert.equal(passes({ kind: 'duration', op: 'eq', value: 13 }, {}), false);
  assert.equal(passes({ kind: 'flags', flags: [] }, { flag: 'UF' }), true);
  assert.equal(passes({ kind: 'flags', flags: ['UH'] }, { flag: 'UF' }), false);
  assert.equal(passes({ kind: 'grpc-status', codes: [4], exclude: false }, { grpcStatus: 4 }), true);
  assert.equal(passes({ kind: 'grpc-status', codes: [4], exclude: true }, { grpcStatus: 4 }), false);
  assert.equal(passes({ kind: 'grpc-status', codes: [14], exclude: false }, { status: 503 }), true);
  assert.equal(passes({ kind: 'log-type', http: true, tcp: false }, {}), true);
  assert.equal(passes({ kind: 'log-type', http: true, tcp: false }, { protocol: 'tcp' }), false);
  const share = (independent: boolean): AccessLogFilter => ({
    kind: 'share',
    fraction: { numerator: 30, denominator: 100 },
    independent,
  });
  // 0x1e is 30, one more than the last of the share.
  assert.equal(passes(share(false), { requestId: '0000001d-0000-4000-8000-000000000000' }), true);
  assert.equal(passes(share(false), { requestId: '0000001e-0000-4000-8000-000000000000' }), false);
  const dice = Array.from({ length: 2_000 }, () => passes(share(true), { requestId: '0000001e-0' }));
  const chosen = dice.filter((one) => one).length;
  assert.ok(chosen > 450 && chosen < 750, String(chosen));
  const both: AccessLogFilter[] = [
    { kind: 'flags', flags: [] },
    { kind: 'status', op: 'eq', value: 200 },
  ];
  assert.equal(passes({ kind: 'and', filters: both }, {}), false);
  assert.equal(passes({ kind: 'or', filters: both }, {}), true);
});

test('loggers of one file share it, a slow one loses lines that are counted', async () => {
  const written: string[] = [];
  const opened: string[] = [];
  const lost: string[] = [];
  const sinks = new LogSinks(
    ({ path }) => {
      opened.push(path);
      return { write: (text) => written.push(text) > 1, onDrain: () => undefined };
    },
    (event) => lost.push(event),
  );
  const log = (text: string, path: string) =>
    ({ kind: 'file', path, format: { kind: 'text', text, omitEmptyValues: false }, filter: undefined }) as const;
  const loggers = new Loggers([log('1 ', 'a'), log('2 ', 'a'), log('3 ', 'b')], sinks, {
    trustedHops: 0,
    filterChainName: '',
    environment: {},
  });
  loggers.write(record(), exchange());
  loggers.write(record(), exchange());
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(opened, ['a', 'b']);
  assert.deepEqual(written, ['1 2 1 2 ', '3 3 ']);
  for (let i = 0; i < 6_000; i++) loggers.write(record(), exchange());
  assert.equal(lost.filter((event) => event === 'access_log_dropped').length, 2_000);
});
