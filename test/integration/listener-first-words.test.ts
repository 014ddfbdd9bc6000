/** Who speaks first: clients, servers, both late, neither; and that no late first flight is taken for something else. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { SecureContext } from 'node:tls';
import { promisify } from 'node:util';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Rbac } from '@weft/policies/model/authorization';
import { anyTraffic, type FilterChain, type HttpConnectionManager } from '@weft/policies/model/listener';
import { MESH_ALPN } from '@weft/policies/model/tls';
import { LoopbackServers } from '../support/loopback-servers.ts';
import { waitFor } from '../support/wait.ts';
import {
  chain,
  http,
  listener,
  meshTls,
  plaintext,
  type Rig,
  startRig,
  TestAuthority,
  TestCertificates,
  tcp,
} from './listener-rig.fixture.ts';
import { meshHello } from './mesh-hello.fixture.ts';
import { answerHttp, greet, listenOnly, MYSQL_GREETING } from './talkers.fixture.ts';

const run = promisify(execFile);
const CART = 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId;
const any = { kind: 'any' as const };
const denyAll: Rbac = { action: 'deny', policies: [{ name: 'p', permissions: [any], principals: [any] }] };
const DETECT_MS = 150;
/** Where something has to happen before it is over, however busy the machine is. */
const PATIENT_MS = 10_000;

let rig: Rig;
let client: Rig;
const servers = new LoopbackServers();
/** Connections that the servers have seen. */
const accepted = (): number => servers.accepted;
let mutePort = 0;
/** Of a peer that is of another mesh. */
let stranger: SecureContext;

const events = (name: string): number => rig.recorder.events.filter((event) => event === name).length;
const http1 = {
  ...anyTraffic,
  transportProtocol: 'raw_buffer' as const,
  applicationProtocols: ['http/1.0', 'http/1.1'],
};
const tlsOf = (alpn: readonly string[]) => ({
  ...anyTraffic,
  transportProtocol: 'tls' as const,
  applicationProtocols: alpn,
});

const detectTimeoutMs = (name: string): number => (/^(greeter|absent)/.test(name) ? PATIENT_MS : DETECT_MS);

function permissive(name: string, extra: Partial<FilterChain> = {}, rules: HttpConnectionManager['filters'] = []) {
  return listener(name, {
    detectTls: true,
    detectHttp: true,
    detectTimeoutMs: detectTimeoutMs(name),
    filterChains: [
      chain(tcp(name), { name: 'mesh', match: tlsOf([MESH_ALPN.tcp]), tls: meshTls([MESH_ALPN.tcp]) }),
      chain({ ...http(name), filters: rules }, { name: 'http', match: http1 }),
    ],
    defaultFilterChain: chain(tcp(name), { name: 'opaque', ...extra }),
  });
}

const ruled = () => permissive('ruled', {}, [{ kind: 'rbac', name: 'r', rbac: denyAll }, { kind: 'router' }]);

before(async () => {
  const authority = await TestAuthority.make();
  const certificates = new TestCertificates(await authority.issue(CART));
  const target = (port: number) => ({ address: { ip: '127.0.0.1', port }, security: plaintext });
  const ports = {
    greeter: await servers.serve(greet),
    web: await servers.serve(answerHttp),
    mute: await servers.serve(listenOnly),
  };
  mutePort = ports.mute;
  stranger = (await (await TestAuthority.make()).issue(CART)).context;
  const closer = await servers.serve((socket) => socket.destroy());
  const slow = await servers.serve((socket) => {
    setTimeout(() => greet(socket), 400);
    socket.on('end', () => socket.end());
  });
  rig = await startRig({
    certificates,
    clusters: {
      greeter: target(ports.greeter),
      'greeter-2': target(ports.greeter),
      web: target(ports.web),
      mute: target(ports.mute),
      slow: target(slow),
      closer: target(closer),
      dead: target(1),
      absent: target(1),
      ruled: target(ports.greeter),
      denied: target(ports.greeter),
      held: target(ports.greeter),
      idle: target(ports.mute),
    },
    addresses: {
      '127.0.0.1': {
        kind: 'workload',
        namespace: 'shop',
        name: 'web-1',
        workloadName: 'web',
        spiffeId: CART,
        zone: '',
        mtls: false,
        service: '',
        ports: [],
        terminating: false,
      },
    },
    listeners: [
      ...['greeter', 'greeter-2', 'web', 'mute', 'slow', 'closer', 'dead', 'absent', 'held'].map((name) =>
        permissive(name),
      ),
      ruled(),
      permissive('denied', { networkRbac: [denyAll] }),
      permissive('idle', { terminal: tcp('idle', 400) }),
    ],
  });
  const mesh = { kind: 'mesh' as const, spiffeId: CART, alpn: [MESH_ALPN.tcp] };
  client = await startRig({
    certificates,
    clusters: Object.fromEntries(
      ['greeter', 'greeter-2', 'held', 'mute'].map((name) => [
        name,
        { address: { ip: '127.0.0.1', port: rig.port(name) }, security: mesh },
      ]),
    ),
    listeners: ['greeter', 'greeter-2', 'held', 'mute'].map((name) =>
      listener(name, {
        direction: 'outbound',
        detectHttp: true,
        detectTimeoutMs: detectTimeoutMs(name),
        filterChains: [chain(http(name), { name: 'http', match: http1 })],
        defaultFilterChain: chain(tcp(name), { name: 'opaque' }),
      }),
    ),
  });
});

after(() => {
  client?.manager.close();
  rig?.manager.close();
  servers.close();
});

function open(port: number): Socket & { text: string } {
  const socket = Object.assign(connect(port, '127.0.0.1'), { text: '' });
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    socket.text += bytes.toString('latin1');
  });
  return socket;
}

const ended = (socket: Socket): Promise<unknown> => (socket.closed ? Promise.resolve() : once(socket, 'close'));
const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('servers that speak first', () => {
  test('are heard long before the detection time is over, and at once when they are known', async () => {
    const before = performance.now();
    const first = open(rig.port('greeter'));
    await waitFor('the greeting', () => first.text.length === MYSQL_GREETING.length || undefined, undefined, 2);
    assert.ok(performance.now() - before < PATIENT_MS, `${performance.now() - before} ms`);
    assert.equal(events('listener.detect_server_first'), 1);
    assert.equal(events('listener.detect_timeout'), 0);
    first.write('login');
    await ended(first);
    assert.ok(first.text.endsWith('heard 5'));
    const record = await waitFor('the record', () => rig.recorder.records.find((one) => one.cluster === 'greeter'));
    assert.deepEqual([record.bytesReceived, record.bytesSent, record.flag], [5, first.text.length, '']);
    const seen = accepted();
    const second = open(rig.port('greeter'));
    await waitFor('the second connection upstream', () => accepted() === seen + 1 || undefined, undefined, 1);
    await waitFor('the second greeting', () => second.text !== '' || undefined, undefined, 1);
    second.end();
    await ended(second);
  });

  test('through a pair, with mesh TLS in between: no more connections than one', async () => {
    for (let i = 0; i < 2; i++) {
      const seen = accepted();
      const socket = open(client.port('greeter-2'));
      await waitFor('the greeting', () => socket.text.length === MYSQL_GREETING.length || undefined, undefined, 2);
      socket.write('x');
      await ended(socket);
      assert.ok(socket.text.endsWith('heard 1'));
      assert.equal(accepted(), seen + 1);
    }
    assert.equal(client.recorder.events.filter((event) => event === 'listener.detect_server_first').length, 2);
  });

  test('later than the detection time: both were silent, which is counted, and nothing is lost', async () => {
    const counted = events('listener.detect_timeout');
    const socket = open(rig.port('slow'));
    await waitFor('the greeting', () => socket.text !== '' || undefined, undefined, 5);
    assert.equal(events('listener.detect_timeout'), counted + 1);
    socket.end();
    await ended(socket);
  });

  test('are kept from a client with a sidecar until it had time for TLS; from others only for a moment', async () => {
    const held = rig.source.addresses.get('127.0.0.1');
    assert.ok(held !== undefined && held !== 'pending' && held.kind === 'workload');
    // The port is known to be one of a server that speaks first.
    const known = open(rig.port('held'));
    await waitFor('the greeting', () => known.text !== '' || undefined, undefined, 2);
    known.destroy();
    rig.source.addresses.set('127.0.0.1', { ...held, mtls: true });
    try {
      const hello = await meshHello(stranger);
      // One second is given: where the machine stood still for as long, nothing is learned.
      const [before, answer] = await waitFor('TLS that comes in time', async () => {
        const seen = accepted();
        const beganMs = performance.now();
        const late = open(rig.port('held'));
        await waitFor('the dial', () => accepted() > seen || undefined, undefined, 1);
        await later(100);
        const heard = late.text;
        late.write(hello);
        await waitFor('an answer', () => late.text !== '' || undefined, undefined, 2);
        late.destroy();
        return performance.now() - beganMs < 1_000 ? ([heard, late.text] as const) : undefined;
      });
      assert.equal(before, '', 'nothing before TLS');
      assert.equal(answer.charCodeAt(0), 0x16, 'a handshake record: TLS was ended here');
    } finally {
      rig.source.addresses.set('127.0.0.1', held);
    }
  });
});

describe('clients that speak first', () => {
  test('HTTP costs no second connection', async () => {
    // One that is stopped for 20 ms between connecting and speaking is taken for silent: then another one shows it.
    const answers = new Set<string>();
    await waitFor('a request that costs one', async () => {
      const seen = accepted();
      const { stdout } = await run('curl', ['-s', '--max-time', '10', `http://127.0.0.1:${rig.port('web')}/`]);
      answers.add(stdout);
      return accepted() === seen + 1 || undefined;
    });
    assert.deepEqual([...answers], ['ok\n']);
  });

  for (const afterMs of [60, 300]) {
    test(`HTTP that is ${afterMs} ms late is HTTP, and the spare connection is closed`, async () => {
      const exchanges = rig.exchanges.length;
      const socket = open(rig.port('web'));
      await later(afterMs);
      socket.write('GET /late HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      await ended(socket);
      assert.match(socket.text, /^HTTP\/1.1 200 [\s\S]*ok\n$/);
      assert.equal(rig.exchanges.length, exchanges + 1);
    });

    test(`mesh TLS that is ${afterMs} ms late is mesh TLS`, async () => {
      const hello = await meshHello(stranger);
      const socket = open(rig.port('mute'));
      await later(afterMs);
      socket.write(hello.subarray(0, 7));
      await later(afterMs);
      socket.write(hello.subarray(7));
      await waitFor('an answer', () => socket.text !== '' || undefined, undefined, 2);
      assert.equal(socket.text.charCodeAt(0), 0x16);
      socket.destroy();
    });

    test(`opaque bytes that are ${afterMs} ms late take the spare connection`, async () => {
      const seen = accepted();
      const socket = open(rig.port('mute'));
      await later(afterMs);
      socket.write('\x01\x02\x03');
      await ended(socket);
      assert.equal(socket.text, 'got \x01\x02\x03');
      assert.equal(accepted(), seen + 1);
    });
  }

  test('a request line in pieces, slower than the detection time, is HTTP', async () => {
    const exchanges = rig.exchanges.length;
    const socket = open(rig.port('web'));
    await once(socket, 'connect');
    socket.write('GET /in/pie');
    await later(DETECT_MS + 100);
    socket.write('ces HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await ended(socket);
    assert.match(socket.text, /^HTTP\/1.1 200 /);
    assert.equal(rig.exchanges.length, exchanges + 1);
  });

  test('one word without an end is opaque after the detection time', async () => {
    const socket = open(rig.port('mute'));
    await once(socket, 'connect');
    socket.write('HELO');
    await ended(socket);
    assert.equal(socket.text, 'got HELO');
  });
});

describe('nobody speaks', () => {
  test('both sides stay open until the idle time is over, then it is said', async () => {
    const counted = events('listener.detect_timeout');
    const socket = open(rig.port('idle'));
    await ended(socket);
    assert.equal(events('listener.detect_timeout'), counted + 1);
    const record = rig.recorder.records.findLast((one) => one.flag === 'SI');
    assert.match(record?.detail ?? '', /ever spoke/);
  });

  test('a client that gives up takes the spare connection with it', async () => {
    const seen = accepted();
    let closed = false;
    servers.at(mutePort).once('connection', (socket: Socket) =>
      socket.once('close', () => {
        closed = true;
      }),
    );
    const socket = open(rig.port('mute'));
    await waitFor('the spare connection', () => accepted() > seen || undefined, undefined, 2);
    socket.destroy();
    await waitFor('its end', () => closed || undefined, undefined, 2);
  });

  test('a half-closed client still hears its server', async () => {
    const socket = connect({ port: rig.port('greeter'), host: '127.0.0.1', allowHalfOpen: true });
    const heard = once(socket, 'data');
    socket.end();
    const [bytes]: unknown[] = await heard;
    assert.deepEqual(bytes, MYSQL_GREETING);
    socket.destroy();
  });

  test('a server that is not there, or hangs up, ends a silent client after the detection time', async () => {
    for (const name of ['dead', 'closer']) await ended(open(rig.port(name)));
    const record = await waitFor('the record', () => rig.recorder.records.find((one) => one.cluster === 'dead'));
    assert.equal(record.flag, 'UF');
  });

  test('and HTTP that comes before that gets its answer about such a server', async () => {
    const socket = open(rig.port('absent'));
    await later(60);
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await ended(socket);
    assert.match(socket.text, /^HTTP\/1.1 503 /);
  });
});

describe('rules', () => {
  test('about requests refuse what turns opaque, without a connection to the application', async () => {
    const seen = accepted();
    const socket = open(rig.port('ruled'));
    await once(socket, 'connect');
    socket.write('\x01opaque');
    await ended(socket);
    assert.equal(socket.text, '');
    assert.equal(events('listener.opaque_refused'), 1);
    const record = rig.recorder.records.findLast((one) => one.flag === 'UAEX');
    assert.match(record?.detail ?? '', /not HTTP/);
    const clusters = { ruled: { address: { ip: '127.0.0.1', port: mutePort }, security: plaintext } };
    const hasty = await startRig({ clusters, listeners: [ruled()], handshakeTimeoutMs: 300 });
    try {
      await ended(open(hasty.port('ruled')));
      assert.deepEqual(
        hasty.recorder.events.filter((event) => event === 'listener.opaque_refused'),
        ['listener.opaque_refused'],
      );
    } finally {
      hasty.manager.close();
    }
    assert.equal(accepted(), seen);
  });

  test('about connections that deny keep a silent client from the application', async () => {
    const seen = accepted();
    const socket = open(rig.port('denied'));
    await later(DETECT_MS + 50);
    assert.equal(accepted(), seen);
    socket.write('\x01');
    await ended(socket);
    assert.equal(accepted(), seen);
    assert.equal(rig.recorder.records.findLast((one) => one.flag === 'UAEX')?.rule, 'p');
  });
});
