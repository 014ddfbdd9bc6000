/** When CONNECT is passed on to an application: a tunnel must not hide from a rule what the rule looks for. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Listener } from '@weft/policies/model/listener';
import { ClusterState } from '../index/state.ts';
import { parseObjects } from '../static/objects.ts';
import { translateInbound } from './listener.ts';

const world = `
kind: Pod
metadata: { name: squid, namespace: shop, labels: { app: squid } }
spec: { containers: [{ name: app }], initContainers: [{ name: weft-proxy, restartPolicy: Always }] }
status: { phase: Running, podIP: 10.1.0.1 }
---
kind: Service
metadata: { name: squid, namespace: shop }
spec: { clusterIPs: [10.96.0.1], selector: { app: squid }, ports: [{ name: http, port: 3128 }] }
`;

function inbound(objects: string, connect = true): Listener {
  const parsed = parseObjects(objects === '' ? world : `${world}\n---\n${objects}`);
  if (!parsed.ok) assert.fail(parsed.error);
  const state = new ClusterState('weft-system');
  for (const object of parsed.value) state.apply(object);
  const trustDomain = parseTrustDomain('cluster.local');
  assert.ok(trustDomain.ok);
  const pod = state.pods.get('shop/squid');
  assert.ok(pod !== undefined);
  const context = { state, trustDomain: trustDomain.value, isDrained: () => false };
  return translateInbound(context, pod, { http2: true, connect });
}

/** Of the chains of mesh TLS and of plaintext: what becomes of CONNECT. */
function tunnels(objects: string, connect = true): readonly [mesh: string, others: string] {
  const listener = inbound(objects, connect);
  const of = (name: string): string => {
    const terminal = listener.filterChains.find((chain) => chain.name === name)?.terminal;
    assert.ok(terminal?.kind === 'http' && terminal.route.kind === 'inline', name);
    const route = terminal.route.config.virtualHosts[0]?.routes.find(({ match }) => match.path.kind === 'connect');
    return route === undefined ? 'none' : route.action.kind === 'direct' ? `${route.action.status}` : 'passed';
  };
  return [of('3128/mesh-http'), of('3128/http')];
}

const policy = (spec: string): string => `
apiVersion: weft.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: p, namespace: shop }
spec: ${spec}
`;
const web = 'from: [{ serviceAccounts: [web] }]';

describe('CONNECT to an application', () => {
  const cases: readonly (readonly [what: string, objects: string, mesh: string, others: string])[] = [
    ['without policies passes from peers of the mesh alone', '', 'passed', '403'],
    ['passes where rules are about callers', policy(`{ rules: [{ ${web} }] }`), 'passed', '403'],
    [
      'passes where rules deny callers and ports',
      policy(`{ action: DENY, rules: [{ ${web}, to: [{ ports: [22] }] }] }`),
      'passed',
      '403',
    ],
    [
      'passes where what looks into requests only audits',
      policy('{ action: AUDIT, rules: [{ to: [{ paths: [/admin] }] }] }'),
      'passed',
      '403',
    ],
    [
      'does not pass where paths are denied',
      policy('{ action: DENY, rules: [{ to: [{ paths: [/admin] }] }] }'),
      '403',
      '403',
    ],
    ['does not pass where methods are allowed', policy('{ rules: [{ to: [{ methods: [GET] }] }] }'), '403', '403'],
    [
      'does not pass where headers decide',
      policy('{ action: DENY, rules: [{ when: [{ header: x-user, values: [eve] }] }] }'),
      '403',
      '403',
    ],
    [
      'does not pass where a DENY rule names it',
      policy('{ action: DENY, rules: [{ to: [{ methods: [CONNECT] }] }] }'),
      '403',
      '403',
    ],
    [
      'is for the rules to judge where an ALLOW rule names it',
      policy('{ rules: [{ to: [{ methods: [GET, CONNECT] }] }] }'),
      'passed',
      'passed',
    ],
    [
      'does not pass where tokens are read',
      `
apiVersion: weft.dev/v1alpha1
kind: AuthenticationPolicy
metadata: { name: users, namespace: shop }
spec: { jwt: [{ issuer: "https://id.example", jwks: { inline: '{"keys":[]}' } }] }
`,
      '403',
      '403',
    ],
  ];
  for (const [what, objects, mesh, others] of cases) {
    test(what, () => assert.deepEqual(tunnels(objects), [mesh, others]));
  }

  test('has no route at a sidecar that does not know one', () => {
    assert.deepEqual(tunnels('', false), ['none', 'none']);
  });
});
