/** Routing, retries and timeouts of a client sidecar, with the applications behind mutual TLS of a server sidecar. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { type Pair, startPair } from '../support/pair.ts';
import { cluster, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { curl, curlStatus } from '../support/pair-curl.ts';
import { type HttpOrigin, httpOrigin } from '../support/pair-origin.ts';
import { freePort } from '../support/pair-process.ts';
import { type AccessLogLine, accessLog, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const folder = testFolder('pair-routes');
const origins: HttpOrigin[] = [];
/** Requests that the flaky application has seen, by path. */
const seen = new Map<string, number>();
let pair: Pair;

/** Answers with its own name, what it was asked, and the headers that it saw. */
async function application(name: string): Promise<HttpOrigin> {
  const origin = await httpOrigin((request, response) => {
    const { method, url, rawHeaders } = request;
    response.setHeader('X-From', name);
    response.end(JSON.stringify({ name, method, url, rawHeaders }));
  });
  origins.push(origin);
  return origin;
}

function flaky(path: string, response: ServerResponse): void {
  const count = (seen.get(path) ?? 0) + 1;
  seen.set(path, count);
  if (path.startsWith('/slow')) return;
  if (path.startsWith('/third') && count < 3) response.statusCode = 503;
  if (path.startsWith('/always')) response.statusCode = 503;
  if (path.startsWith('/reset') && count < 2) {
    response.socket?.resetAndDestroy();
    return;
  }
  response.end(`attempt ${count}\n`);
}

const match = (name: string, fields: JsonObject, to: string): JsonObject => ({
  name,
  match: fields,
  route: { cluster: to, timeout: '10s' },
});

const retryPolicy = (retries: number): JsonObject => ({
  retry_policy: {
    retry_on: '5xx,reset,connect-failure',
    num_retries: retries,
    retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
  },
});

before(async () => {
  const authority = await CertificateFolder.make(folder);
  const [main, a, b] = [await application('main'), await application('a'), await application('b')];
  const unreliable = await httpOrigin((request, response) => flaky(request.url ?? '', response));
  origins.push(unreliable);
  const dead = await freePort();
  const local = (name: string, ...ports: readonly number[]): JsonObject =>
    cluster({ name, endpoints: ports.map((port) => ({ ip: '127.0.0.1', port })) });
  pair = await startPair(folder, authority, {
    applicationPort: main.port,
    clusters: [
      local('a', a.port),
      local('b', b.port),
      local('flaky', unreliable.port),
      local('dead', dead),
      local('half-dead', dead, a.port),
    ],
    routes: [
      match('canary', { prefix: '/', headers: [{ name: 'x-canary', string_match: { exact: 'yes' } }] }, 'b'),
      match('delete', { prefix: '/m', headers: [{ name: ':method', string_match: { exact: 'DELETE' } }] }, 'a'),
      match('exact', { path: '/exact' }, 'a'),
      match('segment', { path_separated_prefix: '/seg' }, 'a'),
      match('regex', { safe_regex: { regex: '/v[0-9]+/.*' } }, 'a'),
      match('query', { prefix: '/q', query_parameters: [{ name: 'to', string_match: { exact: 'b' } }] }, 'b'),
      {
        name: 'weighted',
        match: { prefix: '/weighted' },
        route: {
          weighted_clusters: {
            clusters: [
              { name: 'a', weight: 90 },
              { name: 'b', weight: 10 },
            ],
          },
          timeout: '10s',
        },
      },
      {
        name: 'rewritten',
        match: { path_separated_prefix: '/old' },
        request_headers_to_add: [
          { header: { key: 'X-Added', value: 'yes' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
        ],
        request_headers_to_remove: ['x-removed'],
        response_headers_to_add: [
          { header: { key: 'X-Answered', value: 'yes' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
        ],
        route: { cluster: 'a', prefix_rewrite: '/new', host_rewrite_literal: 'new.example', timeout: '10s' },
      },
      { name: 'moved', match: { prefix: '/moved' }, redirect: { path_redirect: '/there', response_code: 'FOUND' } },
      {
        name: 'direct',
        match: { prefix: '/direct' },
        direct_response: { status: 410, body: { inline_string: 'gone' } },
      },
      route('third', '/third', 'flaky', retryPolicy(5)),
      route('always', '/always', 'flaky', retryPolicy(2)),
      route('reset', '/reset', 'flaky', retryPolicy(2)),
      route('patient', '/slow-left', 'flaky', { timeout: '60s' }),
      route('slow', '/slow', 'flaky', { timeout: '0.3s' }),
      route('dead', '/dead', 'dead'),
      route('half-dead', '/half-dead', 'half-dead', {
        retry_policy: { retry_on: 'connect-failure', num_retries: 3, retry_back_off: { base_interval: '0.001s' } },
      }),
      match('main', { prefix: '/main' }, 'server'),
    ],
  });
});

after(async () => {
  await pair.stop();
  for (const origin of origins) await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

const url = (path: string): string => `http://127.0.0.1:${pair.port}${path}`;

interface Answer {
  readonly name: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
}

async function ask(path: string, ...args: readonly string[]): Promise<Answer> {
  const { stdout } = await curl(...args, url(path));
  return JSON.parse(stdout);
}

const logOf = (path: string): Promise<AccessLogLine> =>
  waitFor(`the log of ${path}`, () => accessLog(pair.clientProgram).find((line) => line.path === path));

describe('routes', () => {
  const cases: readonly [string, string, readonly string[], string][] = [
    ['/main/x', 'main', [], 'main'],
    ['/main/x', 'canary', ['-H', 'X-Canary: yes'], 'b'],
    ['/main/x', 'main', ['-H', 'X-Canary: no'], 'main'],
    ['/m', 'delete', ['-X', 'DELETE'], 'a'],
    ['/exact', 'exact', [], 'a'],
    ['/exact?with=query', 'exact', [], 'a'],
    ['/seg', 'segment', [], 'a'],
    ['/seg/ment', 'segment', [], 'a'],
    ['/v12/x', 'regex', [], 'a'],
    ['/q?to=b', 'query', [], 'b'],
    ['/q?x=1&to=b', 'query', [], 'b'],
    ['/seg/../exact', 'exact', ['--path-as-is'], 'a'],
  ];
  for (const [path, name, args, to] of cases) {
    test(`${args.join(' ')} ${path} goes by ${name} to ${to}`, async () => {
      assert.equal((await ask(path, ...args)).name, to);
    });
  }

  for (const path of ['/exact/', '/segment', '/vx/x', '/q?to=c', '/nowhere']) {
    test(`${path} has no route: 404 NR`, async () => {
      assert.equal(await curlStatus(url(path)), 404);
      assert.equal((await logOf(path)).flags, 'NR');
    });
  }

  test('90 to 10, within what 600 draws allow', async () => {
    const urls = Array.from({ length: 600 }, () => ['-o', '/dev/null', url('/weighted')]).flat();
    const { stdout } = await curl('-w', '%header{x-from}\n', ...urls);
    const answers = stdout.trim().split('\n');
    const toB = answers.filter((name) => name === 'b').length;
    assert.equal(answers.length, 600);
    // Four standard deviations of a binomial: 60 +- 4 * sqrt(600 * 0.1 * 0.9).
    assert.ok(toB > 60 - 30 && toB < 60 + 30, `${toB} of 600`);
  });

  test('rewritten path and host, added and removed fields', async () => {
    const { stdout } = await curl('-i', '-H', 'X-Removed: 1', url('/old/thing?a=b'));
    assert.match(stdout, /\r\nX-Answered: yes\r\n/i);
    const answer: Answer = JSON.parse(stdout.slice(stdout.indexOf('\r\n\r\n') + 4));
    assert.equal(answer.url, '/new/thing?a=b');
    const headers = answer.rawHeaders.map((text) => text.toLowerCase());
    assert.equal(headers[headers.indexOf('host') + 1], 'new.example');
    assert.equal(headers[headers.indexOf('x-added') + 1], 'yes');
    assert.ok(!headers.includes('x-removed'));
  });

  test('redirect and direct response', async () => {
    assert.match(
      (await curl('-i', url('/moved'))).stdout,
      /^HTTP\/1.1 302 [\s\S]*Location: http:\/\/127\.0\.0\.1:\d+\/there\r\n/i,
    );
    assert.match((await curl('-i', url('/direct'))).stdout, /^HTTP\/1.1 410 Gone\r\n[\s\S]*\r\n\r\ngone$/);
  });
});

describe('retries', () => {
  test('the third attempt succeeds', async () => {
    assert.equal((await curl(url('/third'))).stdout, 'attempt 3\n');
    const line = await logOf('/third');
    assert.equal(line.attempts, 3);
    assert.equal(line.flags, '');
  });

  test('what always fails is returned after the last attempt, with URX', async () => {
    assert.equal(await curlStatus(url('/always')), 503);
    const line = await logOf('/always');
    assert.equal(line.attempts, 3);
    assert.equal(line.flags, 'URX');
  });

  test('a POST is not repeated after it was sent', async () => {
    assert.equal(await curlStatus('-d', 'x', url('/third-post')), 503);
    assert.equal(seen.get('/third-post'), 1);
  });

  test('a connection that the application resets', async () => {
    assert.equal((await curl(url('/reset'))).stdout, 'attempt 2\n');
  });

  test('of two endpoints one is down: every request is answered, a POST too', async () => {
    const urls = Array.from({ length: 20 }, () => ['-o', '/dev/null', '-d', 'x', url('/half-dead')]).flat();
    const { stdout } = await curl('-w', '%{http_code}\n', ...urls);
    assert.deepEqual(new Set(stdout.trim().split('\n')), new Set(['200']));
  });
});

describe('failures', () => {
  test('nothing listens: 503 UF with address and cause', async () => {
    assert.equal(await curlStatus(url('/dead')), 503);
    const line = await logOf('/dead');
    assert.equal(line.flags, 'UF');
    assert.match(line.details, /127\.0\.0\.1:\d+ failed: connection refused/);
  });

  test('no answer in time: 504 UT', async () => {
    const startMs = performance.now();
    assert.equal(await curlStatus(url('/slow')), 504);
    assert.ok(performance.now() - startMs < 5_000);
    assert.equal((await logOf('/slow')).flags, 'UT');
  });

  test('a client that goes away is DC, and nothing is kept open', async () => {
    const client = connect(pair.port, '127.0.0.1');
    client.write('GET /slow-left HTTP/1.1\r\nHost: a\r\n\r\n');
    await waitFor('the request at the application', () => seen.get('/slow-left'));
    client.destroy();
    // The log is written when the exchange ends.
    const line = await logOf('/slow-left');
    assert.equal(line.flags, 'DC');
  });
});
