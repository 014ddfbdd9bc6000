/** The limits of an OverloadPolicy, at the sidecar of the workload and by way of that of its caller, on Weft and on Envoy. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { startEnvoy } from '../support/envoy.ts';
import { bootstrap, cluster } from '../support/pair-bootstrap.ts';
import { answerOk, RawOrigin, sendRaw } from '../support/pair-origin.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { Translated } from '../support/translated.ts';
import { listenerWith, managed, managedClient, overHttp2 } from './translated-managers.ts';

const folder = testFolder('request-limits');
const programs: Program[] = [];
const sides = ['weft', 'envoy'] as const;
const ways = ['direct', 'through the sidecar of the caller'] as const;
const ports = new Map<string, number>();
let origin: RawOrigin;

const made = new Translated(`
kind: Pod
metadata: { name: cart-a, namespace: shop, labels: { app: cart } }
spec: { containers: [{ name: app }], initContainers: [{ name: weft-proxy, restartPolicy: Always }] }
status: { phase: Running, podIP: 10.1.0.1 }
---
kind: Service
metadata: { name: cart, namespace: shop }
spec: { clusterIPs: [10.96.0.1], selector: { app: cart }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: weft.dev/v1alpha1
kind: OverloadPolicy
metadata: { name: limits, namespace: shop }
spec:
  requestLimits:
    maxHeadKiB: 2
    maxHeaders: 20
    maxRequestLineBytes: 500
    maxHeaderLineBytes: 1000
    maxBodyBytes: 10
    headTimeout: 300ms
    requestTimeout: 400ms
`);
const service = 'outbound/shop/cart/80';

before(async () => {
  origin = await RawOrigin.start((socket, bytes) => bytes.includes('/waits') || answerOk(socket, bytes));
  const at = (port: number) => [{ ip: '127.0.0.1', port }];
  for (const side of sides) {
    const [inner, outer, adminPort] = [await freePort(), await freePort(), await freePort()];
    ports.set(`${side} direct`, inner).set(`${side} through the sidecar of the caller`, outer);
    const text = bootstrap({
      id: side,
      adminPort,
      listeners: [
        listenerWith('in', inner, 'INBOUND', managed(made, 'inbound', '8080/http', 'cart-a')),
        listenerWith('out', outer, 'OUTBOUND', managedClient(made, service, 'cart-a')),
      ],
      clusters: [
        cluster({ name: 'inbound', endpoints: at(origin.port) }),
        cluster({ name: service, endpoints: at(inner), fields: overHttp2 }),
      ],
    });
    programs.push(side === 'weft' ? await startSidecar(folder, text) : await startEnvoy(folder, text, adminPort));
  }
});

after(async () => {
  for (const program of programs) await program.stop();
  await origin?.close();
  rmSync(folder, { recursive: true, force: true });
});

const host = 'Host: cart\r\n';
const get = `GET / HTTP/1.1\r\n${host}`;
interface Beyond {
  readonly what: string;
  readonly request: string;
  readonly status: number;
  /** Where it has no such limit. */
  readonly envoy?: number;
  /** Of a stream of HTTP/2 that it resets without an answer (RFC 9113 section 8.1.1 lets it): what the caller makes of that. */
  readonly envoyReset?: number;
  /** The sidecar of the caller waits itself. */
  readonly directAlone?: true;
}
const cases: readonly Beyond[] = [
  { what: 'all within them', request: `${get}\r\n`, status: 200 },
  { what: 'the request line', request: `GET /${'a'.repeat(600)} HTTP/1.1\r\n${host}\r\n`, status: 414, envoy: 200 },
  { what: 'a header', request: `${get}X: ${'a'.repeat(1_100)}\r\n\r\n`, status: 431, envoy: 200 },
  { what: 'the number of headers', request: `${get}${'X: a\r\n'.repeat(40)}\r\n`, status: 431, envoyReset: 503 },
  { what: 'the head', request: `${get}${`X: ${'a'.repeat(900)}\r\n`.repeat(4)}\r\n`, status: 431, envoyReset: 503 },
  {
    what: 'content',
    request: `POST / HTTP/1.1\r\n${host}Content-Length: 11\r\n\r\n0123456789a`,
    status: 413,
    envoy: 200,
  },
  { what: 'the time of the head', request: get, status: 408, directAlone: true },
  {
    what: 'the time of the content',
    request: `POST /waits HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\n0`,
    status: 408,
  },
];

for (const side of sides) {
  for (const way of ways) {
    describe(`request limits, ${side}, ${way}`, () => {
      for (const { what, request, status, envoy, envoyReset, directAlone } of cases) {
        if (directAlone && way !== 'direct') continue;
        const ofEnvoy = way === 'direct' ? envoy : (envoyReset ?? envoy);
        const expected = side === 'envoy' ? (ofEnvoy ?? status) : status;
        test(`${what}: ${expected}`, async () => {
          const port = ports.get(`${side} ${way}`) ?? 0;
          const { text } = await sendRaw(port, request, (answer) => answer.includes('\r\n\r\n'), 5_000);
          assert.match(text, new RegExp(`^HTTP/1.1 ${expected} `));
        });
      }
    });
  }
}
