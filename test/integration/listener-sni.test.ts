/** TLS passed through by the name it asks for, and the PROXY protocol in front of listeners; with openssl, curl and raw bytes. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { anyTraffic } from '@weft/policies/model/listener';
import { waitFor } from '../support/wait.ts';
import { chain, http, listener, plaintext, type Rig, startRig, TestAuthority, tcp } from './listener-rig.fixture.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'weft-sni-'));
const servers: Server[] = [];
let rig: Rig;

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

before(async () => {
  const authority = await TestAuthority.make();
  const certificate = await authority.issue('spiffe://cluster.local/ns/a/sa/b' as SpiffeId);
  writeFileSync(join(folder, 'ca.pem'), authority.rootPem);
  const target = (port: number) => ({ address: { ip: '127.0.0.1', port }, security: plaintext });
  const tlsServer = (name: string): Promise<number> =>
    portOf(
      createTlsServer({ cert: certificate.certPem, key: certificate.keyPem, ALPNProtocols: ['http/1.1'] }, (socket) => {
        socket.on('error', () => undefined);
        const text = `${name} for ${socket.servername}\n`;
        socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`));
      }),
    );
  const raw = await portOf(
    createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (bytes) => socket.end(`raw got ${bytes.length}\n`));
    }),
  );
  const web = await portOf(
    createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n'));
    }),
  );
  const named = (cluster: string, serverNames: readonly string[]) =>
    chain(tcp(cluster), { name: cluster, match: { ...anyTraffic, serverNames, transportProtocol: 'tls' } });
  rig = await startRig({
    clusters: {
      exact: target(await tlsServer('exact')),
      wild: target(await tlsServer('wild')),
      deep: target(await tlsServer('deep')),
      other: target(await tlsServer('other')),
      raw: target(raw),
      web: target(web),
    },
    listeners: [
      listener('sni', {
        detectTls: true,
        filterChains: [
          named('exact', ['a.example.com']),
          named('wild', ['*.example.com']),
          named('deep', ['*.deep.example.com', 'elsewhere.test']),
          named('other', []),
        ],
        defaultFilterChain: chain(tcp('raw')),
      }),
      listener('strict-sni', { detectTls: true, filterChains: [named('exact', ['a.example.com'])] }),
      listener('behind', { proxyProtocol: true, detectHttp: true, filterChains: [chain(http('web'))] }),
      listener('behind-tls', {
        proxyProtocol: true,
        detectTls: true,
        filterChains: [named('exact', ['a.example.com'])],
      }),
    ],
  });
});

after(() => {
  rig?.manager.close();
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function curl(name: string, ...args: string[]): Promise<string> {
  const port = rig.port('sni');
  const url = `https://${name}:${port}/`;
  const { stdout } = await run('curl', [
    '-sk',
    '--max-time',
    '5',
    '--resolve',
    `${name}:${port}:127.0.0.1`,
    ...args,
    url,
  ]);
  return stdout;
}

/** What is answered to these bytes, in these pieces. */
async function answerTo(at: Rig, listenerName: string, ...pieces: Buffer[]): Promise<string> {
  const socket = connect(at.port(listenerName), '127.0.0.1');
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  await once(socket, 'connect');
  socket.setNoDelay(true);
  for (const [i, piece] of pieces.entries()) {
    if (i > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    socket.write(piece);
  }
  if (!socket.closed) await once(socket, 'close');
  return text;
}

describe('TLS by its server name', () => {
  test('the exact name, then the longest suffix, then any; the answer is of the server itself', async () => {
    assert.equal(await curl('a.example.com'), 'exact for a.example.com\n');
    assert.equal(await curl('b.example.com'), 'wild for b.example.com\n');
    assert.equal(await curl('x.y.example.com'), 'wild for x.y.example.com\n');
    assert.equal(await curl('x.deep.example.com'), 'deep for x.deep.example.com\n');
    assert.equal(await curl('elsewhere.test'), 'deep for elsewhere.test\n');
    assert.equal(await curl('example.com'), 'other for example.com\n');
    assert.equal(await curl('A.Example.COM'), 'exact for a.example.com\n');
  });

  test('TLS 1.2, and no name at all', async () => {
    assert.equal(await curl('a.example.com', '--tls-max', '1.2'), 'exact for a.example.com\n');
    const { stdout } = await run('curl', ['-sk', '--max-time', '5', `https://127.0.0.1:${rig.port('sni')}/`]);
    assert.equal(stdout, 'other for false\n');
  });

  test('openssl s_client', async () => {
    const args = [
      's_client',
      '-connect',
      `127.0.0.1:${rig.port('sni')}`,
      '-servername',
      'a.example.com',
      '-quiet',
      '-ign_eof',
    ];
    const client = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'ignore'] });
    const exited = once(client, 'exit');
    let text = '';
    client.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    client.stdin.write('GET / HTTP/1.1\r\n\r\n');
    try {
      await waitFor('the answer', () => text.includes('exact for a.example.com') || undefined, 5_000);
    } finally {
      client.kill('SIGKILL');
      await exited;
    }
  });

  test('what is no ClientHello goes where opaque bytes go', async () => {
    // The hello of SSL 2 (RFC 5246 appendix E.2), which no server has to take any more.
    const sslv2 = Buffer.from('802e010301001500000010000039000038000035000016000013000010dead', 'hex');
    assert.match(await answerTo(rig, 'sni', sslv2), /^raw got/);
    assert.match(await answerTo(rig, 'sni', Buffer.from([0x16, 3, 1, 0, 0])), /^raw got 5/);
    assert.match(await answerTo(rig, 'sni', Buffer.alloc(100, 0xff)), /^raw got 100/);
    assert.match(await answerTo(rig, 'sni', Buffer.from('160301000502000001ff', 'hex')), /^raw got 10/);
  });

  test('a name that nobody serves is refused where nothing else is', async () => {
    const port = rig.port('strict-sni');
    await assert.rejects(
      run('curl', ['-sk', '--max-time', '5', '--resolve', `no.test:${port}:127.0.0.1`, `https://no.test:${port}/`]),
    );
    assert.ok(rig.recorder.records.some((record) => record.flag === 'NR'));
  });
});

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const v4 = Buffer.concat([SIGNATURE, Buffer.from('2111000cc0000201c00002020fa00050', 'hex')]);
const request = Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

describe('behind a proxy that says who its client is', () => {
  test('version 1, by curl', async () => {
    const url = `http://127.0.0.1:${rig.port('behind')}/`;
    const { stdout } = await run('curl', ['-s', '--max-time', '5', '--haproxy-protocol', url]);
    assert.equal(stdout, 'ok\n');
    assert.equal(rig.exchanges.at(-1)?.connection.remoteIp, '127.0.0.1');
  });

  test('version 2: both addresses are those of the header, in one read or in pieces', async () => {
    for (const pieces of [
      [Buffer.concat([v4, request])],
      [v4.subarray(0, 5), v4.subarray(5, 20), Buffer.concat([v4.subarray(20), request])],
    ]) {
      assert.match(await answerTo(rig, 'behind', ...pieces), /^HTTP\/1.1 200 [\s\S]*ok\n$/);
      const connection = rig.exchanges.at(-1)?.connection;
      assert.deepEqual(
        [connection?.remoteIp, connection?.remotePort, connection?.destinationIp, connection?.destinationPort],
        ['192.0.2.1', 4_000, '192.0.2.2', 80],
      );
    }
  });

  test('without a header, or with a wrong one, nothing is served', async () => {
    const failed = (): number => rig.recorder.events.filter((one) => one === 'listener.proxy_protocol_failed').length;
    const before = failed();
    const exchanges = rig.exchanges.length;
    assert.equal(await answerTo(rig, 'behind', request), '');
    assert.equal(await answerTo(rig, 'behind', Buffer.from('PROXY TCP4 a b 1 2\r\n'), request), '');
    assert.equal(failed(), before + 2);
    assert.equal(rig.exchanges.length, exchanges);
    assert.match(rig.recorder.records.at(-1)?.detail ?? '', /address/);
    assert.equal(rig.recorder.records.at(-1)?.flag, 'DPE');
  });

  test('a header that does not come is waited for within a bound', async () => {
    const hasty = await startRig({
      clusters: {},
      listeners: [listener('hasty', { proxyProtocol: true, filterChains: [chain(http('none'))] })],
      handshakeTimeoutMs: 300,
    });
    try {
      assert.equal(await answerTo(hasty, 'hasty', v4.subarray(0, 10)), '');
      assert.match(hasty.recorder.records.at(-1)?.detail ?? '', /within 300 ms/);
    } finally {
      hasty.manager.close();
    }
  });

  test('TLS behind it is still told by its name', async () => {
    const port = rig.port('behind-tls');
    const address = `a.example.com:${port}:127.0.0.1`;
    const args = [
      '-sk',
      '--max-time',
      '5',
      '--haproxy-protocol',
      '--resolve',
      address,
      `https://a.example.com:${port}/`,
    ];
    const { stdout } = await run('curl', args);
    assert.equal(stdout, 'exact for a.example.com\n');
  });
});
