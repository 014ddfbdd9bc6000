import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OPERATOR_HEADER } from '@weft/policies/kit/operator';
import { KubeRefusal, KubeSilence } from './kube.ts';
import { askReplicas } from './replicas.ts';

const pods = {
  items: [
    { metadata: { name: 'a' }, spec: { serviceAccountName: 'weft-control-plane' }, status: { phase: 'Running' } },
  ],
};
const forbidden = (user: string, what: string): KubeRefusal =>
  new KubeRefusal(
    403,
    `https://api/x answered 403: {"kind":"Status","apiVersion":"v1","status":"Failure","message":"${what} is forbidden: User \\"${user}\\" cannot do it"}`,
  );

/** An API server that has these accounts, and refuses what `refuses` says. */
function kube(accounts: readonly string[], refuses: (path: string) => Error | undefined) {
  const asked: string[] = [];
  const headers: string[] = [];
  const answerOf = async (path: string, answer: unknown): Promise<unknown> => {
    asked.push(path);
    const refusal = refuses(path);
    if (refusal !== undefined) throw refusal;
    return answer;
  };
  return {
    asked,
    headers,
    get: async <T>(path: string, _timeoutMs?: number, sent: Readonly<Record<string, string>> = {}) => {
      headers.push(sent[OPERATOR_HEADER] ?? '');
      return (await answerOf(path, path.includes('/proxy') ? { from: 'a' } : pods)) as T;
    },
    answer: async <T>(path: string) => {
      const account = /serviceaccounts\/([^/]+)\/token/.exec(path)?.[1] ?? '';
      return (await answerOf(
        path,
        accounts.includes(account) ? { status: { token: `of ${account}` } } : undefined,
      )) as T;
    },
  };
}

describe('asking the control plane as an operator', () => {
  test('goes by a token of an account that may do nothing, or of an older chart by that of the control plane', async () => {
    const now = kube(['weft-operator', 'weft-control-plane'], () => undefined);
    assert.deepEqual(await askReplicas(now, '/debug/sync'), [{ from: 'a' }]);
    assert.equal(now.headers.at(-1), 'of weft-operator');
    assert.ok(!now.asked.some((path) => path.includes('serviceaccounts/weft-control-plane')));
    const before = kube(['weft-control-plane'], () => undefined);
    await askReplicas(before, '/debug/sync');
    assert.equal(before.headers.at(-1), 'of weft-control-plane');
  });

  for (const [path, permission] of [
    ['/token', 'create serviceaccounts/token of weft-operator'],
    ['/proxy', 'get pods/proxy'],
    ['/pods?', 'list pods'],
  ] as const) {
    test(`who may not ${permission} is told so, and what gives it`, async () => {
      const api = kube(['weft-operator'], (one) =>
        one.includes(path) ? forbidden('jane@example.com', path) : undefined,
      );
      await assert.rejects(askReplicas(api, '/debug/sync'), (error: Error) => {
        assert.ok(error.message.startsWith(`this needs "${permission}" in the namespace weft-system`), error.message);
        assert.match(
          error.message,
          /\n {2}kubectl create rolebinding weft-operator-jane-example-com -n weft-system --role=weft-operator --user='jane@example.com'\n/,
        );
        return true;
      });
    });
  }

  for (const [what, error] of [
    ['is silent', new KubeSilence('https://api/proxy did not answer within 5000 ms')],
    ['cannot reach it', new KubeRefusal(503, 'https://api/proxy answered 503: error trying to reach service')],
  ] as const) {
    test(`where the proxy of the API server ${what}, a NetworkPolicy may be in the way, and what opens it is told`, async () => {
      const api = kube(['weft-operator'], (one) => (one.includes('/proxy') ? error : undefined));
      await assert.rejects(askReplicas(api, '/debug/sync'), (told: Error) => {
        assert.match(told.message, /port 15014 of pod a /);
        assert.match(told.message, /networkPolicy\.apiServerBlocks/);
        assert.ok(told.message.endsWith(`(${error.message})`));
        return true;
      });
    });
  }

  test('what else goes wrong is told as it is, such as a refusal of the control plane itself', async () => {
    const ofReplica = new KubeRefusal(403, 'https://api/proxy answered 403: for operators');
    const api = kube(['weft-operator'], (one) => (one.includes('/proxy') ? ofReplica : undefined));
    await assert.rejects(askReplicas(api, '/debug/sync'), ofReplica);
  });
});
