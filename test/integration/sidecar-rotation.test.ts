/**
 * Two data planes with mesh TLS between them, whose identities come from a real control plane: certificates change under
 * load, the control plane goes away, and a restarted sidecar begins with what it had.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { type Clock, systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import type { Cluster } from '@weft/policies/model/cluster';
import type { Listener } from '@weft/policies/model/listener';
import type { RouteConfiguration } from '@weft/policies/model/route';
import { ControlChannel } from '@weft/sidecar/control-channel';
import { TestRecorder } from '@weft/sidecar/http/h1/testing';
import { IdentityManager } from '@weft/sidecar/identity/manager';
import { StateDir } from '@weft/sidecar/identity/state-dir';
import { controlWire } from '@weft/sidecar/wire/codec';
import { XdsClient } from '@weft/sidecar/xds/client';
import { serveOne } from '../support/one-listener.ts';
import { clusterTo, routesTo } from '../support/one-route.ts';
import { answerOk, RawOrigin } from '../support/pair-origin.ts';
import { freePort } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';
import { chain, http, listener, meshTls } from './listener-rig.fixture.ts';

const WEB = 'spiffe://cluster.local/ns/shop/sa/web' as SpiffeId;
const CART = 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId;
const main = join(import.meta.dirname, '..', '..', 'control-plane', 'main.ts');

/** Certificates live for hours: the clock by which they come to be renewed runs this much faster. */
const SPEED = 100_000;
const fastClock: Clock = {
  nowMs: () => systemClock.nowMs() * SPEED,
  unixMs: () => systemClock.unixMs(),
  // Only the wait until the next renewal is as long as this; retries come in real time, and soon.
  after: (delayMs, run) => systemClock.after(delayMs >= 20_000 ? delayMs / SPEED : Math.min(delayMs, 500), run),
  afterUnref: (delayMs, run) => fastClock.after(delayMs, run),
};

class ControlPlane {
  readonly dir = mkdtempSync(join(tmpdir(), 'weft-rotation-'));
  readonly trustFile = join(this.dir, 'ca', 'ca.crt');
  private port = 0;
  private child: ChildProcess | undefined = undefined;

  async start(): Promise<void> {
    if (this.port === 0) {
      this.port = await freePort();
      writeFileSync(join(this.dir, 'objects.yaml'), shopObjects);
      writeFileSync(join(this.dir, 'tokens.yaml'), shopTokens);
    }
    const files = ['--static', join(this.dir, 'objects.yaml'), '--tokens', join(this.dir, 'tokens.yaml')];
    const places = ['--ca-dir', join(this.dir, 'ca'), '--xds', `127.0.0.1:${this.port}`, '--monitoring', '127.0.0.1:0'];
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...files, ...places], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child = child;
    let log = '';
    child.stdout.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    await waitFor('the control plane to serve', () => log.includes('"serving"') || undefined);
  }

  async kill(): Promise<void> {
    if (this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }

  channel(token: string): ControlChannel {
    const tokenFile = join(this.dir, token);
    writeFileSync(tokenFile, token);
    return new ControlChannel({
      target: `127.0.0.1:${this.port}`,
      serverName: 'weft-control-plane.weft-system.svc',
      trustFile: this.trustFile,
      tokenFile,
      clock: systemClock,
      wire: () => controlWire,
    });
  }

  state(name: string): StateDir {
    const state = StateDir.open(join(this.dir, name), true);
    assert.ok(state.ok);
    return state.value;
  }
}

const control = new ControlPlane();
const closing: (() => void | Promise<void>)[] = [];

before(() => control.start());
after(async () => {
  for (const close of closing.reverse()) await close();
  await control.kill();
  rmSync(control.dir, { recursive: true, force: true });
});

interface Identity {
  readonly manager: IdentityManager;
  readonly lines: string[];
}

function identityOf(spiffeId: SpiffeId, token: string, stateName: string): Identity {
  const channel = control.channel(token);
  const lines: string[] = [];
  const manager = new IdentityManager({
    spiffeId,
    sign: (csr) => channel.sign(csr),
    state: control.state(stateName),
    clock: fastClock,
    prng: systemPrng,
    log: (line) => lines.push(line),
    count: () => {},
  });
  closing.push(() => {
    manager.close();
    channel.close();
  });
  return { manager, lines };
}

/** A rotation that leaves a request hanging is to be seen as well. */
const toCluster = (name: string): RouteConfiguration => routesTo(name, { timeoutMs: 5_000 });

async function dataPlane(one: Listener, cluster: Cluster, certificates: IdentityManager) {
  const recorder = new TestRecorder();
  const { port, close } = await serveOne({ listener: one, cluster, certificates, recorder });
  closing.push(close);
  return { port, recorder };
}

/** Requests over kept and over new connections, until it is stopped; every failure is kept. */
class Load {
  answered = 0;
  readonly failures: string[] = [];
  private running = true;
  private readonly workers: Promise<void>[];
  private readonly agent = new Agent({ keepAlive: true });

  constructor(port: number) {
    this.workers = [0, 1, 2, 3].map(async (worker) => {
      while (this.running) {
        await this.one(port, worker < 2 ? this.agent : undefined);
        await delay(1);
      }
    });
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.workers);
    this.agent.destroy();
  }

  private one(port: number, agent: Agent | undefined): Promise<void> {
    return new Promise((resolve) => {
      const options = {
        port,
        host: '127.0.0.1',
        method: 'POST',
        agent: agent ?? false,
        headers: { 'content-length': 0 },
      };
      const sent = httpRequest(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          if (response.statusCode === 200) this.answered++;
          else this.failures.push(`${response.statusCode} ${text}`);
          resolve();
        });
      });
      sent.on('error', (error) => {
        this.failures.push(error.message);
        resolve();
      });
      sent.end();
    });
  }
}

describe('identities of a real authority', () => {
  let web: Identity;
  let cart: Identity;
  let load: Load;
  let server: { readonly port: number; readonly recorder: TestRecorder };

  before(async () => {
    const origin = await RawOrigin.start(answerOk);
    closing.push(() => origin.close());
    web = identityOf(WEB, 'web-token', 'web');
    cart = identityOf(CART, 'cart-token', 'cart');
    for (const { manager } of [web, cart]) manager.start();
    await waitFor('certificates', () => (web.manager.own() && cart.manager.own() ? true : undefined));
    const inbound = listener('inbound', {
      addresses: [{ ip: '127.0.0.1', port: 0 }],
      detectTls: true,
      filterChains: [
        chain(
          { ...http('application'), route: { kind: 'inline', config: toCluster('application') } },
          { tls: meshTls(['weft-http/1.1']) },
        ),
      ],
    });
    server = await dataPlane(inbound, clusterTo('application', origin.port, undefined), cart.manager);
    const outbound = listener('outbound', {
      direction: 'outbound',
      addresses: [{ ip: '127.0.0.1', port: 0 }],
      filterChains: [chain({ ...http('cart'), route: { kind: 'inline', config: toCluster('cart') } })],
    });
    const client = await dataPlane(outbound, clusterTo('cart', server.port, CART), web.manager);
    load = new Load(client.port);
    closing.push(() => load.stop());
  });

  const generations = (): number => Math.min(web.manager.own()?.generation ?? 0, cart.manager.own()?.generation ?? 0);

  test('rotate under constant load: no request fails, not even one that may not be repeated', async () => {
    const [first, answered] = [generations(), load.answered];
    const done = (): boolean => generations() >= first + 10 && load.answered >= answered + 500;
    await waitFor('ten rotations of both under load', () => done() || undefined, 60_000);
    assert.deepEqual(load.failures, []);
    const peers = new Set(server.recorder.records.map((record) => record.sourceIdentity));
    assert.deepEqual([...peers], [WEB]);
  });

  test('stay while the control plane is away for more than half of a life, and rotate again after its return', async () => {
    await control.kill();
    const said = new Map([web, cart].map(({ lines }) => [lines, lines.length]));
    await waitFor('the first failed renewals', () => {
      const failing = [...said].every(([lines, before]) =>
        lines.slice(before).some((line) => line.includes('no certificate for')),
      );
      return failing || undefined;
    });
    const [held, answered] = [generations(), load.answered];
    await waitFor('traffic without a control plane', () => load.answered > answered + 100 || undefined);
    assert.equal(generations(), held);
    await control.start();
    await waitFor('rotations again', () => generations() >= held + 2 || undefined, 60_000);
    assert.deepEqual(load.failures, []);
    for (const { lines } of [web, cart]) assert.doesNotMatch(lines.join('\n'), /PRIVATE KEY|web-token|cart-token/);
  });
});

describe('a sidecar that is restarted while the control plane is away', () => {
  const xdsOf = (channel: ControlChannel, state: StateDir, nodeId = 'sidecar~10.1.0.3~web-a.shop~cluster.local') => {
    const events: string[] = [];
    const lines: string[] = [];
    const client = new XdsClient({
      open: (listener) => channel.openDiscovery(listener),
      wire: () => controlWire,
      nodeId,
      clock: systemClock,
      prng: systemPrng,
      log: (line) => lines.push(line),
      count: (event) => events.push(event),
      listeners: ['inbound', 'outbound'],
      waitersMax: 16,
      namesMax: 64,
      store: {
        load: () => state.read('snapshot.bin'),
        save: (bytes) => {
          assert.equal(state.write('snapshot.bin', bytes), undefined);
        },
      },
    });
    closing.push(() => {
      client.close();
      channel.close();
    });
    return { client, events, lines };
  };
  const known = (client: XdsClient): boolean =>
    client.source.lookup('listener', 'inbound').state === 'found' &&
    client.source.lookup('listener', 'outbound').state === 'found' &&
    client.source.lookup('address', '10.96.0.10').state === 'found';

  test('serves from its last good snapshot and certificate; a damaged or foreign one is not used', async () => {
    const state = control.state('restarted');
    const first = identityOf(WEB, 'web-token', 'restarted');
    first.manager.start();
    const running = xdsOf(control.channel('web-token'), state);
    running.client.start();
    await waitFor('identity and configuration', () =>
      first.manager.own() && known(running.client) ? true : undefined,
    );
    const kept = (name: string): boolean => state.read('snapshot.bin')?.includes(name) === true;
    await waitFor('the snapshot', () => ['inbound', 'outbound', '10.96.0.10'].every(kept) || undefined);
    first.manager.close();
    running.client.close();
    await control.kill();

    const again = identityOf(WEB, 'web-token', 'restarted');
    assert.ok(again.manager.own() !== undefined);
    const restored = xdsOf(control.channel('web-token'), state);
    assert.equal(restored.client.start(), true);
    assert.equal(known(restored.client), true);
    restored.client.close();

    const stranger = xdsOf(control.channel('web-token'), state, 'sidecar~10.1.0.9~other.shop~cluster.local');
    assert.equal(stranger.client.start(), false);
    stranger.client.close();
    const whole = readFileSync(join(state.path, 'snapshot.bin'));
    for (const damaged of [whole.subarray(0, whole.length - 10), Buffer.alloc(0), Buffer.alloc(1_000, 0xff)]) {
      writeFileSync(join(state.path, 'snapshot.bin'), damaged);
      const { client, events } = xdsOf(control.channel('web-token'), state);
      assert.equal(client.start(), false);
      assert.ok(events.includes('xds_snapshot_damaged'));
      client.close();
    }

    await control.start();
    const recovered = xdsOf(control.channel('web-token'), state);
    recovered.client.start();
    await waitFor('configuration from the control plane', () => known(recovered.client) || undefined);
  });
});
