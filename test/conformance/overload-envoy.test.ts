/** Limits from one bootstrap on Weft and on a real Envoy: the same requests get the same answers. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { Agent, createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startEnvoy } from '../support/envoy.ts';
import { bootstrap, cluster, httpListener, type JsonObject, route, typed } from '../support/pair-bootstrap.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const folder = testFolder('overload-envoy');
const name = 'envoy.filters.http.local_ratelimit';
const hundred = { default_value: { numerator: 100, denominator: 'HUNDRED' } };
const local = (fields: JsonObject): JsonObject =>
  typed('extensions.filters.http.local_ratelimit.v3.LocalRateLimit', {
    stat_prefix: 'limits',
    filter_enabled: hundred,
    filter_enforced: hundred,
    ...fields,
  });
const bucket = (max: number, fill: number, interval: string): JsonObject => ({
  token_bucket: { max_tokens: max, tokens_per_fill: fill, fill_interval: interval },
});
const added = (field: string, key: string): JsonObject => ({
  [field]: [{ header: { key, value: 'yes' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
});

const filters: Readonly<Record<string, readonly JsonObject[]>> = {
  plain: [{ name, typed_config: local(bucket(3, 1, '60s')) }],
  shown: [{ name, typed_config: local({ ...bucket(2, 1, '60s'), enable_x_ratelimit_headers: 'DRAFT_VERSION_03' }) }],
  status: [
    {
      name,
      typed_config: local({
        ...bucket(1, 1, '60s'),
        status: { code: 503 },
        ...added('response_headers_to_add', 'x-limited'),
      }),
    },
  ],
  success: [{ name, typed_config: local({ ...bucket(1, 1, '60s'), status: { code: 200 } }) }],
  watched: [
    {
      name,
      typed_config: local({
        ...bucket(1, 1, '60s'),
        filter_enforced: { default_value: { numerator: 0, denominator: 'HUNDRED' } },
        ...added('request_headers_to_add_when_not_enforced', 'x-limited'),
      }),
    },
  ],
  off: [
    {
      name,
      typed_config: local({
        ...bucket(1, 1, '60s'),
        filter_enabled: { default_value: { numerator: 0, denominator: 'HUNDRED' } },
      }),
    },
  ],
  refilled: [{ name, typed_config: local(bucket(1, 1, '0.3s')) }],
  routes: [{ name, typed_config: local(bucket(2, 1, '60s')) }],
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const agent = new Agent({ keepAlive: true });

function ask(port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, host: '127.0.0.1', path, agent, timeout: 8_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    outgoing.on('error', reject).end();
  });
}

describe('local rate limits', { timeout: 90_000 }, () => {
  const application = createServer((incoming, response) =>
    response.end(`limited=${incoming.headers['x-limited'] ?? ''}`),
  );
  const programs: Program[] = [];
  const ports: Record<string, number>[] = [];

  before(async () => {
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
    const app = { ip: '127.0.0.1', port: (application.address() as AddressInfo).port };
    const own = { typed_per_filter_config: { [name]: local(bucket(1, 1, '60s')) } };
    for (const kind of ['weft', 'envoy'] as const) {
      const at: Record<string, number> = {};
      const listeners: JsonObject[] = [];
      for (const [listener, all] of Object.entries(filters)) {
        at[listener] = await freePort();
        const routes =
          listener === 'routes'
            ? [{ ...route('own', '/own', 'app'), ...own }, route('all', '/', 'app')]
            : [route('all', '/', 'app')];
        listeners.push(
          httpListener({
            name: listener,
            at: { ip: '127.0.0.1', port: at[listener] },
            direction: 'OUTBOUND',
            routes,
            filters: all,
          }),
        );
      }
      ports.push(at);
      const adminPort = await freePort();
      const text = bootstrap({
        id: 'limits',
        adminPort,
        listeners,
        clusters: [cluster({ name: 'app', endpoints: [app] })],
      });
      programs.push(await (kind === 'weft' ? startSidecar(folder, text) : startEnvoy(folder, text, adminPort)));
    }
  });

  after(async () => {
    agent.destroy();
    for (const program of programs) await program.stop();
    application.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function both<T>(listener: string, paths: readonly string[], seen: (answer: Answer) => T): Promise<T[]> {
    const all: T[][] = [];
    for (const at of ports) {
      const answers: T[] = [];
      for (const path of paths) answers.push(seen(await ask(at[listener] ?? 0, path)));
      all.push(answers);
    }
    const [weft, envoy] = all;
    assert.ok(weft !== undefined && envoy !== undefined);
    assert.deepEqual(weft, envoy, listener);
    return weft;
  }

  const some = (count: number): string[] => new Array<string>(count).fill('/');
  const status = (answer: Answer): number => answer.status;

  test('so many at once, then none', async () => {
    const answers = await both('plain', some(5), ({ status, body }) => [status, body]);
    assert.deepEqual(
      answers.map(([one]) => one),
      [200, 200, 200, 429, 429],
    );
  });

  test('what is left is shown', async () => {
    const shown = await both('shown', some(3), ({ headers }) =>
      ['x-ratelimit-limit', 'x-ratelimit-remaining'].map((field) => headers[field]),
    );
    assert.deepEqual(shown, [
      ['2', '1'],
      ['2', '0'],
      ['2', '0'],
    ]);
    assert.deepEqual(await both('shown', some(1), ({ headers }) => headers['x-ratelimit-reset']), ['60']);
  });

  test('with another status and further headers', async () => {
    const answers = await both('status', some(2), ({ status, headers }) => [status, headers['x-limited']]);
    assert.deepEqual(answers, [
      [200, undefined],
      [503, 'yes'],
    ]);
  });

  test('a status of success is not taken', async () => {
    assert.deepEqual(await both('success', some(2), status), [200, 429]);
  });

  test('what is not enforced goes on, marked', async () => {
    assert.deepEqual(await both('watched', some(2), ({ body }) => body), ['limited=', 'limited=yes']);
  });

  test('what is not enabled takes no token', async () => {
    assert.deepEqual(await both('off', some(3), status), [200, 200, 200]);
  });

  test('a route has a bucket of its own', async () => {
    assert.deepEqual(
      await both('routes', ['/own', '/own', '/', '/', '/', '/own'], status),
      [200, 429, 200, 200, 429, 429],
    );
  });

  test('tokens come back', async () => {
    for (const at of ports) {
      const port = at['refilled'] ?? 0;
      let takenMs = performance.now();
      assert.equal((await ask(port, '/')).status, 200);
      let refused = 0;
      await waitFor('the token after a refusal', async () => {
        const askedMs = performance.now();
        const { status } = await ask(port, '/');
        if (status === 429) refused++;
        else assert.equal(status, 200);
        if (status === 429) return undefined;
        assert.ok(performance.now() - takenMs > 200, 'not before its time');
        // Held up for so long that there was a token for the very next request: then once more.
        takenMs = askedMs;
        return refused > 0 || undefined;
      });
    }
  });
});
