import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { OPERATOR_HEADER } from '@weft/policies/kit/operator';
import { err, ok } from '@weft/policies/kit/result';
import type { TokenVerifier } from '../auth/caller.ts';
import { operatorsBy } from './operators.ts';
import { type MonitoringServer, startMonitoring } from './server.ts';

const identity = (namespace: string) =>
  ok({ namespace, serviceAccount: 'default', pod: undefined, expiresUnixMs: undefined });
const tokens: TokenVerifier = {
  verify: async (token) => {
    switch (token.reveal()) {
      case 'operator':
        return identity('weft-system');
      case 'tenant':
        return identity('shop');
      case 'fault':
        throw new Error('planted');
      default:
        return err({ code: 'unauthenticated', message: 'token refused' });
    }
  },
};
/** As it comes by the API server's proxy, or from any pod: not from this very machine. */
const elsewhere = { 'x-forwarded-for': '10.1.0.9' };

describe('what callers have asked for', () => {
  let server: MonitoringServer;
  before(async () => {
    server = await startMonitoring(
      { host: '127.0.0.1', port: 0 },
      {
        metrics: () => 'up 1\n',
        missing: () => undefined,
        sync: () => ({ sidecars: [] }),
        flows: (_, namespace) => ({ flows: [`secret of ${namespace}`] }),
        isOperator: operatorsBy(tokens, 'weft-system', new ManualClock()),
      },
    );
  });
  after(() => server.stop());

  const ask = async (path: string, headers: Readonly<Record<string, string>>): Promise<readonly [number, string]> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { headers });
    return [response.status, await response.text()];
  };

  test('is told to operators of the mesh, and to no other pod', async () => {
    for (const path of ['/debug/flows?namespace=shop', '/debug/sync']) {
      for (const token of [undefined, '', 'nobody', 'tenant', 'x'.repeat(10_000)]) {
        const header = token === undefined ? {} : { [OPERATOR_HEADER]: token };
        const [status, text] = await ask(path, { ...elsewhere, ...header });
        assert.equal(status, 403, `${token}`);
        assert.doesNotMatch(text, /secret/);
      }
      assert.equal((await ask(path, { ...elsewhere, [OPERATOR_HEADER]: 'fault' }))[0], 503);
      assert.equal((await ask(path, { ...elsewhere, [OPERATOR_HEADER]: 'operator' }))[0], 200);
      assert.equal((await ask(path, {}))[0], 200, 'whoever is on the machine itself');
    }
    assert.match((await ask('/debug/flows?namespace=shop', {}))[1], /secret of shop/);
  });

  test('metrics and health are for everybody', async () => {
    for (const path of ['/metrics', '/healthz', '/readyz']) assert.equal((await ask(path, elsewhere))[0], 200);
  });
});
