/** CONNECT through what the control plane makes of a workload and of a route, on Weft's sidecar and on a real Envoy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { startEnvoy } from '../support/envoy.ts';
import { CLIENT_ID, SERVER_ID } from '../support/pair.ts';
import { bootstrap, cluster, downstreamTls, type JsonObject, upstreamTls } from '../support/pair-bootstrap.ts';
import { sendRaw } from '../support/pair-origin.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { Translated } from '../support/translated.ts';
import { listenerWith, type Managed, managed, managedClient, overHttp2, withTls } from './translated-managers.ts';

const folder = testFolder('connect');
const programs: Program[] = [];
const sides = ['weft', 'envoy'] as const;

/** An HTTP proxy, which says what it was asked for and then what the tunnel carries. */
const proxy = createServer((socket) => {
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end === -1) return;
    const tunnelled = text.slice(end + 4);
    if (tunnelled === '') {
      const connect = text.startsWith('CONNECT ');
      socket.write(`HTTP/1.1 200 OK\r\n${connect ? '' : 'Content-Length: 3\r\n'}\r\n${connect ? '' : 'ok\n'}`);
    } else socket.end(`${text.slice(0, text.indexOf('\r\n'))}: ${tunnelled}`);
  });
});

const objects = (rules: readonly JsonObject[], policies: readonly JsonObject[]): string =>
  JSON.stringify({
    kind: 'List',
    items: [
      {
        kind: 'Pod',
        metadata: { name: 'squid-1', namespace: 'shop', labels: { app: 'squid' } },
        spec: {
          serviceAccountName: 'squid',
          containers: [{ name: 'app' }],
          initContainers: [{ name: 'weft-proxy', restartPolicy: 'Always' }],
        },
        status: { phase: 'Running', podIP: '10.1.0.1' },
      },
      {
        kind: 'Service',
        metadata: { name: 'squid', namespace: 'shop' },
        spec: { clusterIPs: ['10.96.0.1'], selector: { app: 'squid' }, ports: [{ name: 'http', port: 3128 }] },
      },
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'HTTPRoute',
        metadata: { name: 'squid', namespace: 'shop' },
        spec: { parentRefs: [{ group: '', kind: 'Service', name: 'squid' }], rules },
      },
      ...policies,
    ],
  });

const backendRefs = [{ name: 'squid', port: 3128 }];
const allow = (rules: readonly JsonObject[]): JsonObject => ({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'squid', namespace: 'shop' },
  spec: { action: 'ALLOW', rules },
});
const open = new Translated(objects([{ matches: [{ method: 'CONNECT' }], backendRefs }], []));
const others = new Translated(
  objects([{ matches: [{ method: 'GET' }], backendRefs }], [allow([{ to: [{ paths: ['/public/*'] }] }])]),
);
const named = new Translated(
  objects([{ backendRefs }], [allow([{ to: [{ methods: ['CONNECT'], hosts: ['far.example:443'] }] }])]),
);

const service = 'outbound/shop/squid/3128';
const inbound = (made: Translated, chain: string): Managed => managed(made, 'inbound', chain, 'squid-1');
const outbound = (made: Translated): Managed => managedClient(made, service, 'squid-1');

const managers: Readonly<Record<string, Managed>> = {
  'of a peer of the mesh': inbound(open, '3128/mesh-http'),
  'of anybody else': inbound(open, '3128/http'),
  'where rules look into requests': inbound(others, '3128/mesh-http'),
  'where a rule names it': inbound(named, '3128/http'),
  'of a route for it': outbound(open),
  'of a route for another method': outbound(others),
  'of a route for everything': outbound(named),
};
const ports = new Map<string, number>();
const hop = 'over HTTP/2, of a route for it';
/** As between sidecars, which Envoy is none of. */
const meshHop = 'over mesh TLS, of a route for it';

/** By way of the listener of the workload. */
const throughHop = (cluster: string): Managed =>
  JSON.parse(JSON.stringify(outbound(open)).replaceAll(`"${service}"`, `"${cluster}"`));

before(async () => {
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const endpoints = [{ ip: '127.0.0.1', port: (proxy.address() as AddressInfo).port }];
  const authority = await CertificateFolder.make(folder);
  const client = await authority.issue('client', CLIENT_ID);
  const server = await authority.issue('server', SERVER_ID);
  for (const side of sides) {
    const listeners: JsonObject[] = [];
    for (const [name, manager] of Object.entries({
      ...managers,
      [hop]: throughHop('hop'),
      [meshHop]: throughHop('mesh-hop'),
    })) {
      const port = await freePort();
      ports.set(`${side} ${name}`, port);
      listeners.push(listenerWith(name, port, name.includes('route') ? 'OUTBOUND' : 'INBOUND', manager));
    }
    const [adminPort, meshPort] = [await freePort(), await freePort()];
    const mesh = listenerWith('mesh', meshPort, 'INBOUND', managers['of a peer of the mesh'] ?? outbound(open));
    listeners.push(withTls(mesh, downstreamTls(server, 'weft-h2')));
    const next = [{ ip: '127.0.0.1', port: ports.get(`${side} of a peer of the mesh`) ?? 0 }];
    const clusters = [
      ...['inbound', service].map((name) => cluster({ name, endpoints })),
      cluster({ name: 'hop', endpoints: next, fields: overHttp2 }),
      cluster({
        name: 'mesh-hop',
        endpoints: [{ ip: '127.0.0.1', port: meshPort }],
        tls: upstreamTls(client, SERVER_ID, 'weft-h2'),
        fields: overHttp2,
      }),
    ];
    const text = bootstrap({ id: side, adminPort, listeners, clusters });
    programs.push(side === 'weft' ? await startSidecar(folder, text) : await startEnvoy(folder, text, adminPort));
  }
});

after(async () => {
  for (const program of programs) await program.stop();
  proxy.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The status and, of a tunnel, what the other end says of it. */
async function connectTo(side: string, name: string, target: string): Promise<string> {
  const request = `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
  const { text } = await sendRaw(
    ports.get(`${side} ${name}`) ?? 0,
    `${request}hello`,
    (t) => / 40\d /.test(t) || t.endsWith(': hello'),
    5_000,
  );
  const [status] = /\d{3}/.exec(text) ?? [''];
  return status === '200' ? `200 ${text.slice(text.indexOf('\r\n\r\n') + 4)}` : status;
}

const passed = (target: string): string => `200 CONNECT ${target} HTTP/1.1: hello`;
const cases: readonly (readonly [name: string, target: string, answer: string])[] = [
  ['of a peer of the mesh', 'far.example:443', passed('far.example:443')],
  ['of anybody else', 'far.example:443', '403'],
  ['where rules look into requests', 'far.example:443', '403'],
  ['where a rule names it', 'far.example:443', passed('far.example:443')],
  ['where a rule names it', 'else.example:443', '403'],
  ['of a route for it', 'far.example:443', passed('far.example:443')],
  [hop, 'far.example:443', passed('far.example:443')],
  [meshHop, 'far.example:443', passed('far.example:443')],
  ['of a route for another method', 'far.example:443', '404'],
  ['of a route for everything', 'far.example:443', '404'],
];

for (const side of sides) {
  describe(`CONNECT ${side}`, () => {
    for (const [name, target, answer] of cases) {
      if (side === 'envoy' && name === meshHop) continue;
      test(`${name}, to ${target}: ${answer}`, async () => {
        assert.equal(await connectTo(side, name, target), answer);
      });
    }
  });
}
