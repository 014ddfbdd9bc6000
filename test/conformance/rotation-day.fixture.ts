/**
 * Control plane, two sidecars' data planes with mesh TLS between, and a load that never stops, while leaves are renewed, the
 * root takes the place of another, and the control plane is away. Everything goes by the clock of the machine, which whoever
 * starts this lets run faster. The last line says what happened.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer as createHttp, request } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadAuthority } from '@weft/control-plane/ca/material';
import { createRoot } from '@weft/control-plane/ca/root';
import { startHarness, trustDomain } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import type { Cluster } from '@weft/policies/model/cluster';
import type { Listener } from '@weft/policies/model/listener';
import { TRUST_SECRETS } from '@weft/policies/model/trust';
import { ControlChannel } from '@weft/sidecar/control-channel';
import { TestRecorder } from '@weft/sidecar/http/h1/testing';
import { IdentityManager } from '@weft/sidecar/identity/manager';
import { StateDir } from '@weft/sidecar/identity/state-dir';
import { followTrust } from '@weft/sidecar/identity/trust-follower';
import { controlWire } from '@weft/sidecar/wire/codec';
import { XdsClient } from '@weft/sidecar/xds/client';
import { chain, http, listener, meshTls } from '../integration/listener-rig.fixture.ts';
import { serveOne } from '../support/one-listener.ts';
import { clusterTo, routesTo } from '../support/one-route.ts';

const MINUTE = 60_000;
const WEB = 'spiffe://cluster.local/ns/shop/sa/web' as SpiffeId;
const CART = 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId;
const folder = mkdtempSync(join(tmpdir(), 'weft-day-'));
const mesh = 'kind: Mesh\nmetadata: { name: default }\nspec: { certificates: { ttl: 10m } }\n';

const harness = await startHarness({ objects: `${shopObjects}\n---\n${mesh}`, tokens: shopTokens });
const trustFile = join(folder, 'root-cert.pem');
const publishTrust = (): void => writeFileSync(trustFile, harness.authority.trustBundlePem);
publishTrust();

/** The way to the control plane, which can be cut. */
const open = new Set<Socket>();
let away = false;
const way = createServer((socket) => {
  if (away) {
    socket.destroy();
    return;
  }
  const upstream = connect(harness.serving.xdsPort, '127.0.0.1');
  for (const end of [socket, upstream]) {
    open.add(end);
    end.on('error', () => undefined);
    end.on('close', () => open.delete(end));
  }
  socket.pipe(upstream).pipe(socket);
  socket.on('close', () => upstream.destroy());
});
way.listen(0, '127.0.0.1');
await once(way, 'listening');
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

function identityOf(spiffeId: SpiffeId, name: string, pod: string, ip: string): IdentityManager {
  const state = StateDir.open(join(folder, name), true);
  assert.ok(state.ok);
  const tokenFile = join(folder, `${name}-token`);
  writeFileSync(tokenFile, `${name}-token`);
  const channel = new ControlChannel({
    target: `127.0.0.1:${portOf(way)}`,
    serverName: 'weft-control-plane.weft-system.svc',
    trustFile,
    tokenFile,
    clock: systemClock,
    wire: () => controlWire,
  });
  const common = { clock: systemClock, prng: systemPrng, count: () => undefined, log: () => undefined };
  const identity = new IdentityManager({ ...common, spiffeId, sign: (csr) => channel.sign(csr), state: state.value });
  const xds = new XdsClient({
    ...common,
    open: (events) => channel.openDiscovery(events),
    wire: () => controlWire,
    nodeId: `sidecar~${ip}~${pod}.shop~cluster.local`,
    listeners: [],
    secrets: TRUST_SECRETS,
    waitersMax: 10,
    namesMax: 10,
    store: { load: () => undefined, save: () => undefined },
  });
  followTrust(xds.source, spiffeId, identity);
  identity.start();
  xds.start();
  return identity;
}

const serve = async (one: Listener, cluster: Cluster, certificates: IdentityManager): Promise<number> =>
  (await serveOne({ listener: one, cluster, certificates, recorder })).port;

async function until(what: string, holds: () => boolean, minutes: number): Promise<void> {
  for (const end = Date.now() + minutes * MINUTE; !holds(); await delay(1_000)) {
    if (Date.now() > end) throw new Error(`not within ${minutes} minutes: ${what}`);
  }
}

/** What the sidecars say of failures. */
const recorder = new TestRecorder();

const web = identityOf(WEB, 'web', 'web-a', '10.1.0.3');
const cart = identityOf(CART, 'cart', 'cart-a', '10.1.0.1');
const both = [web, cart];
await until('certificates and trust', () => both.every((one) => one.own()?.trust !== undefined), 5);

const origin = createHttp((_, response) => response.end('ok'));
// A server that closes idle connections by itself would fail a request now and then, whatever we do.
origin.keepAliveTimeout = 0;
origin.listen(0, '127.0.0.1');
await once(origin, 'listening');
const terminal = (name: string) => ({ ...http(name), route: { kind: 'inline' as const, config: routesTo(name) } });
const inboundPort = await serve(
  listener('inbound', {
    addresses: [{ ip: '127.0.0.1', port: 0 }],
    detectTls: true,
    filterChains: [chain(terminal('application'), { tls: meshTls(['weft-http/1.1']) })],
  }),
  clusterTo('application', portOf(origin), undefined),
  cart,
);
const port = await serve(
  listener('outbound', {
    direction: 'outbound',
    addresses: [{ ip: '127.0.0.1', port: 0 }],
    filterChains: [chain(terminal('cart'))],
  }),
  clusterTo('cart', inboundPort, CART),
  web,
);

let answered = 0;
const failures: string[] = [];
let running = true;
const agent = new Agent({ keepAlive: true });
const call = (): Promise<void> =>
  new Promise((resolve) => {
    // A POST is not repeated: what a rotation breaks is to be seen.
    const sent = request({ port, host: '127.0.0.1', method: 'POST', agent, headers: { 'content-length': 0 } });
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        if (response.statusCode === 200) answered++;
        else failures.push(`${response.statusCode} ${text}`);
        resolve();
      });
    });
    sent.on('error', (error) => {
      failures.push(error.message);
      resolve();
    });
    sent.end();
  });
const workers = [0, 1, 2, 3].map(async () => {
  while (running) {
    await call();
    await delay(300);
  }
});

const serials = new Set<string>();
for (const one of both) one.onChange(({ serialHex }) => serials.add(serialHex));

// Leaves alone.
await delay(6 * MINUTE);
const renewed = serials.size;

// One root takes the place of another: announced, used, and then the first is dropped.
const before = harness.ca.issuer;
const second = loadAuthority(await createRoot(trustDomain(), Date.now()), {
  clock: systemClock,
  issued: { trustDomain: trustDomain(), dnsName: undefined },
});
assert.ok(second.ok);
harness.ca.use(before, [...before.trustAnchors, ...second.value.trustAnchors]);
publishTrust();
const anchors = (one: IdentityManager): number => (one.own()?.trustPem ?? '').split('BEGIN CERTIFICATE').length - 1;
await until('both anchors everywhere', () => both.every((one) => anchors(one) === 2), 2);
harness.ca.use(second.value, [...before.trustAnchors, ...second.value.trustAnchors]);
const root = new X509Certificate(Buffer.from(second.value.der));
const underSecond = (one: IdentityManager): boolean =>
  one.material !== undefined && new X509Certificate(one.material.chainPem).verify(root.publicKey);
await until('leaves under the second root', () => both.every(underSecond), 6);
harness.ca.use(second.value, second.value.trustAnchors);
publishTrust();
await until('the first anchor to be gone', () => both.every((one) => anchors(one) === 1), 2);

// From fresh certificates on, so that they outlive an outage of more than half of what they live.
const held = both.map((one) => one.own()?.serialHex);
await until('fresh certificates', () => both.every((one, i) => one.own()?.serialHex !== held[i]), 6);

// The control plane is away for longer than half of what a certificate lives.
const beforeOutage = serials.size;
away = true;
for (const socket of open) socket.destroy();
await delay(6 * MINUTE);
away = false;
await until('certificates after the outage', () => serials.size >= beforeOutage + 2, 5);
await delay(MINUTE);

running = false;
await Promise.all(workers);
rmSync(folder, { recursive: true, force: true });
const said = recorder.records.flatMap(({ flag, detail, direction }) =>
  flag === '' ? [] : [`${direction} ${flag} ${detail}`],
);
console.log(
  JSON.stringify({
    answered,
    said: said.slice(0, 10),
    failures: failures.slice(0, 10),
    failed: failures.length,
    renewed,
  }),
);
process.exit(0);
