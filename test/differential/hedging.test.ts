/** Hedging and Retry-After as Envoy's messages say them, through Weft and a real Envoy from one bootstrap. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { startEnvoy } from '../support/envoy.ts';
import { bootstrap, cluster, httpListener, type JsonObject } from '../support/pair-bootstrap.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';

/** What an attempt gets; undefined: no answer at all. */
type Reply = { readonly status: number; readonly afterMs: number; readonly retryAfter?: string } | undefined;

interface Scenario {
  readonly name: string;
  readonly method?: string;
  readonly route: JsonObject;
  /** In the order of the attempts; the last one for all further ones. */
  readonly replies: readonly Reply[];
  /** Status and the attempt whose answer it is (0: of the proxy), and how many the application saw. */
  readonly expected: { readonly status: number; readonly of: number; readonly attempts: number };
  readonly msMin?: number;
  readonly msMax: number;
}

const perTry = (retries: number, more: JsonObject = {}): JsonObject => ({
  retry_on: '5xx',
  num_retries: retries,
  per_try_timeout: '0.15s',
  retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
  ...more,
});
const hedge = { hedge_policy: { hedge_on_per_try_timeout: true } };
const good = (afterMs: number): Reply => ({ status: 200, afterMs });
const retryAfter = {
  rate_limited_retry_back_off: {
    reset_headers: [{ name: 'Retry-After', format: 'SECONDS' }],
    max_interval: '2s',
  },
};

const scenarios: readonly Scenario[] = [
  {
    name: 'a slow try goes on beside the next, which answers',
    route: { retry_policy: perTry(1), ...hedge },
    replies: [good(700), good(20)],
    expected: { status: 200, of: 2, attempts: 2 },
    msMax: 600,
  },
  {
    name: 'a slow try answers after all',
    route: { retry_policy: perTry(1), ...hedge },
    replies: [good(300), undefined],
    expected: { status: 200, of: 1, attempts: 2 },
    msMax: 900,
  },
  {
    name: 'an error of the slow try is dropped',
    route: { retry_policy: perTry(1), ...hedge },
    replies: [{ status: 503, afterMs: 250 }, good(300)],
    expected: { status: 200, of: 2, attempts: 2 },
    msMax: 1_000,
  },
  {
    name: 'none answers',
    route: { retry_policy: perTry(2), timeout: '0.8s', ...hedge },
    replies: [undefined],
    expected: { status: 504, of: 0, attempts: 3 },
    msMax: 1_500,
  },
  {
    name: 'without hedging the slow try is given up',
    route: { retry_policy: perTry(1) },
    replies: [good(300), good(20)],
    expected: { status: 200, of: 2, attempts: 2 },
    msMax: 900,
  },
  {
    name: 'the server says when to come back',
    route: { retry_policy: perTry(1, { per_try_timeout: '3s', ...retryAfter }) },
    replies: [{ status: 503, afterMs: 0, retryAfter: '1' }, good(0)],
    expected: { status: 200, of: 2, attempts: 2 },
    msMin: 990,
    msMax: 2_000,
  },
  {
    name: 'a server that wants too much is asked as ever',
    route: { retry_policy: perTry(1, { per_try_timeout: '3s', ...retryAfter }) },
    replies: [{ status: 503, afterMs: 0, retryAfter: '3' }, good(0)],
    expected: { status: 200, of: 2, attempts: 2 },
    msMax: 900,
  },
];

/** Tenths of a second decide: a machine with other work may hold somebody up for as long, but not every time. */
const TRIES_MAX = 3;

const folder = testFolder('hedging');
const attempts = new Map<string, number>();
const origin: Server = createServer((incoming, outgoing) => {
  const url = incoming.url ?? '';
  const attempt = (attempts.get(url) ?? 0) + 1;
  attempts.set(url, attempt);
  const { replies } = scenarios[Number(/(\d+)\?/.exec(url)?.[1])] ?? assert.fail(url);
  const reply = replies[Math.min(attempt, replies.length) - 1];
  if (reply === undefined) return;
  setTimeout(() => {
    const fields = reply.retryAfter === undefined ? {} : { 'Retry-After': reply.retryAfter };
    outgoing.writeHead(reply.status, { 'X-Attempt': String(attempt), ...fields }).end('answer');
  }, reply.afterMs);
});

async function ask(port: number, path: string): Promise<{ status: number; of: number; ms: number }> {
  const startMs = performance.now();
  const outgoing = request({ host: '127.0.0.1', port, path, agent: false });
  outgoing.end();
  const [response] = await once(outgoing, 'response');
  response.resume();
  await once(response, 'end');
  return {
    status: response.statusCode,
    of: Number(response.headers['x-attempt'] ?? 0),
    ms: performance.now() - startMs,
  };
}

describe('hedging, the same in Weft and in Envoy', () => {
  const programs: Program[] = [];
  const ports: Record<string, number> = {};

  before(async () => {
    origin.listen(0, '127.0.0.1');
    await once(origin, 'listening');
    const { port } = origin.address() as AddressInfo;
    for (const side of ['weft', 'envoy'] as const) {
      const at = { ip: '127.0.0.1', port: await freePort() };
      ports[side] = at.port;
      const adminPort = await freePort();
      const routes = scenarios.map(({ route }, i) => ({
        name: `s${i}`,
        match: { path: `/${side}/${i}` },
        route: { cluster: 'origin', timeout: '5s', ...route },
      }));
      const text = bootstrap({
        id: side,
        adminPort,
        listeners: [httpListener({ name: 'in', at, direction: 'OUTBOUND', routes })],
        clusters: [cluster({ name: 'origin', endpoints: [{ ip: '127.0.0.1', port }] })],
      });
      programs.push(side === 'weft' ? await startSidecar(folder, text) : await startEnvoy(folder, text, adminPort));
    }
  });

  after(async () => {
    for (const program of programs) await program.stop();
    origin.closeAllConnections();
    origin.close();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const [i, { name, expected, msMin = 0, msMax }] of scenarios.entries()) {
    for (const side of ['envoy', 'weft'] as const) {
      test(`${name} (${side})`, async (t) => {
        for (let tries = 1; ; tries++) {
          const path = `/${side}/${i}?${tries}`;
          const { status, of, ms } = await ask(ports[side] ?? 0, path);
          const seen = { status, of, attempts: attempts.get(path) };
          const isInTime = ms >= msMin && ms <= msMax;
          if (tries === TRIES_MAX || (isInTime && isDeepStrictEqual(seen, expected))) {
            assert.deepEqual(seen, expected);
            assert.ok(isInTime, `${ms} ms`);
            return;
          }
          t.diagnostic(`tried again after ${JSON.stringify(seen)} in ${ms} ms`);
        }
      });
    }
  }
});
