import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Dispatch } from '../exchange.ts';
import { echo } from '../h1/server.fixture.ts';
import { answer } from '../h1/testing.ts';
import * as F from './frames.ts';
import { frame, type RawPeer, type Served, serve, settings, uint32 } from './testing.ts';

const CANCEL = uint32(F.ErrorCode.CANCEL);

/** Sends what `piece` makes until the connection ends; the defence has to be met within `most` pieces. */
async function flood(peer: RawPeer, most: number, piece: (i: number) => Buffer): Promise<number> {
  for (let i = 0; i < most; i += 50) {
    const parts: Buffer[] = [];
    for (let k = i; k < i + 50; k++) parts.push(piece(k));
    peer.send(...parts);
    await new Promise((resolve) => setImmediate(resolve));
    if (peer.goaway !== undefined || peer.ended) return i;
  }
  return most;
}

function counted(served: Served, kind: string): void {
  assert.ok(served.recorder.events.includes(`http2_downstream_${kind}`), served.recorder.events.slice(-3).join(', '));
}

const waits: Dispatch = (exchange) => {
  exchange.receiver = {
    onData: () => undefined,
    onTrailers: () => undefined,
    onReset: () => undefined,
    onWritable: () => undefined,
    onDone: () => undefined,
  };
};

describe('HTTP/2 server: defences', () => {
  test('streams beyond the limit are refused, also before SETTINGS are acknowledged', async () => {
    const served = serve(waits, { concurrentStreamsMax: 3 }, { silent: true });
    const { peer } = served;
    peer.send(F.PREFACE, settings(), peer.get(1), peer.get(3), peer.get(5), peer.get(7));
    const log = await peer.untilLog('RST_STREAM 7 REFUSED_STREAM');
    assert.equal(log.filter((line) => line.startsWith('RST_STREAM')).length, 1);
    counted(served, 'concurrent-streams');
  });

  test('rapid reset (CVE-2023-44487)', async () => {
    let open = 0;
    const served = serve((exchange) => {
      open++;
      waits(exchange);
    });
    const { peer } = served;
    const sent = await flood(peer, 5_000, (i) =>
      Buffer.concat([peer.get(2 * i + 1), frame(F.RST_STREAM, 0, 2 * i + 1, CANCEL)]),
    );
    assert.ok(sent < 500, `${sent}`);
    assert.ok(open < 500, `${open}`);
    assert.equal(peer.goaway, 'GOAWAY ENHANCE_YOUR_CALM');
    counted(served, 'reset-flood');
  });

  test('made you reset (CVE-2025-8671): streams that the client makes us reset count as well', async () => {
    const provocations: ((id: number) => Buffer)[] = [
      (id) => frame(F.WINDOW_UPDATE, 0, id, uint32(0)),
      (id) => frame(F.WINDOW_UPDATE, 0, id, uint32(0x7fffffff)),
      (id) => frame(F.PRIORITY, 0, id, Buffer.alloc(4)),
      (id) => frame(F.DATA, 0, id, 'after the end'),
    ];
    for (const provoke of provocations) {
      const served = serve(waits);
      const { peer } = served;
      const sent = await flood(peer, 5_000, (i) => Buffer.concat([peer.get(2 * i + 1), provoke(2 * i + 1)]));
      assert.ok(sent < 500, `${sent}`);
      assert.equal(peer.goaway, 'GOAWAY ENHANCE_YOUR_CALM');
      counted(served, 'reset-flood');
    }
  });

  test('another sidecar, whose clients all give up at once, is not taken for an attacker', async () => {
    const { peer } = serve(waits, {}, { mesh: true });
    const sent = await flood(peer, 1_000, (i) =>
      Buffer.concat([peer.get(2 * i + 1), frame(F.RST_STREAM, 0, 2 * i + 1, CANCEL)]),
    );
    assert.equal(sent, 1_000);
  });

  test('a client that cancels some of many requests is served on', async () => {
    const { peer } = serve((exchange) =>
      exchange.head.method === 'GET' ? answer(exchange, 200, '') : waits(exchange),
    );
    const sent = await flood(peer, 1_000, (i) => {
      const id = 6 * i + 1;
      return Buffer.concat([peer.get(id), peer.get(id + 2), peer.post(id + 4), frame(F.RST_STREAM, 0, id + 4, CANCEL)]);
    });
    assert.equal(sent, 1_000);
    assert.equal(peer.goaway, undefined);
  });

  test('CONTINUATION flood', async () => {
    const served = serve(waits);
    const { peer } = served;
    peer.send(frame(F.HEADERS, 0, 1, peer.block(':method', 'GET')));
    const sent = await flood(peer, 1_000, () => frame(F.CONTINUATION, 0, 1));
    assert.ok(sent <= 50);
    assert.equal(peer.goaway, 'GOAWAY ENHANCE_YOUR_CALM');
    counted(served, 'continuation-flood');
  });

  test('a header block without end in bytes', async () => {
    const served = serve(waits, { headBytesMax: 8_192 });
    const { peer } = served;
    peer.send(frame(F.HEADERS, 0, 1, peer.block(':method', 'GET')));
    await flood(peer, 100, () => frame(F.CONTINUATION, 0, 1, Buffer.alloc(16_000)));
    counted(served, 'continuation-flood');
  });

  test('an HPACK bomb costs no more than the limit of a head', async () => {
    const served = serve(echo);
    const { peer } = served;
    // One large entry, then a reference to it in every octet.
    const entry = peer.block(
      ':method',
      'GET',
      ':scheme',
      'http',
      ':path',
      '/',
      ':authority',
      'a',
      'x-b',
      'v'.repeat(3_900),
    );
    const bomb = Buffer.concat([entry, Buffer.alloc(16_000, 0xbe)]);
    assert.ok(bomb.length > 16_384);
    peer.send(
      frame(F.HEADERS, F.FLAG_END_STREAM, 1, bomb.subarray(0, 16_000)),
      frame(F.CONTINUATION, F.FLAG_END_HEADERS, 1, bomb.subarray(16_000)),
    );
    await peer.untilLog('DATA 1 END');
    assert.equal(peer.heads[0]?.fields[0], ':status: 431');
    counted(served, 'head-too-large');
  });

  const FLOODS: readonly (readonly [string, string, (peer: RawPeer, i: number) => Buffer])[] = [
    ['PING', 'control-flood', () => frame(F.PING, 0, 0, Buffer.alloc(8))],
    ['PING acknowledgements', 'control-flood', () => frame(F.PING, F.FLAG_ACK, 0, Buffer.alloc(8))],
    ['SETTINGS', 'control-flood', () => settings(4, 70_000)],
    ['SETTINGS acknowledgements', 'control-flood', () => frame(F.SETTINGS, F.FLAG_ACK, 0)],
    ['PRIORITY', 'control-flood', () => frame(F.PRIORITY, 0, 9, Buffer.alloc(5))],
    ['unknown types', 'control-flood', () => frame(0x42, 0, 0, 'x')],
    ['RST_STREAM of streams that are gone', 'control-flood', () => frame(F.RST_STREAM, 0, 1, CANCEL)],
    ['empty DATA', 'empty-frame-flood', () => frame(F.DATA, 0, 3)],
    ['padding without content', 'empty-frame-flood', () => frame(F.DATA, F.FLAG_PADDED, 3, Buffer.from([1, 0]))],
    ['WINDOW_UPDATE', 'window-update-flood', () => frame(F.WINDOW_UPDATE, 0, 3, uint32(1))],
    ['empty trailers on new streams', 'reset-flood', (peer, i) => peer.headers(2 * i + 5, true)],
  ];
  for (const [name, kind, piece] of FLOODS) {
    test(`flood of ${name}`, async () => {
      const served = serve(waits);
      const { peer } = served;
      peer.send(peer.post(1), frame(F.RST_STREAM, 0, 1, CANCEL), peer.post(3));
      const sent = await flood(peer, 10_000, (i) => piece(peer, i));
      assert.ok(sent < 4_000, `${sent}`);
      assert.equal(peer.goaway, 'GOAWAY ENHANCE_YOUR_CALM');
      counted(served, kind);
    });
  }

  test('a frame larger than MAX_FRAME_SIZE is not even waited for', async () => {
    const served = serve(waits);
    const { peer } = served;
    peer.send(peer.post(1), Buffer.from([0x00, 0x40, 0x01, 0, 0, 0, 0, 0, 1]));
    await peer.untilLog('GOAWAY FRAME_SIZE_ERROR');
    counted(served, 'frame-size');
  });

  test('windows that overflow, and content beyond windows', async () => {
    const cases: [string, (peer: RawPeer) => Buffer, string][] = [
      ['window-overflow', () => frame(F.WINDOW_UPDATE, 0, 0, uint32(0x7fffffff)), 'GOAWAY FLOW_CONTROL_ERROR'],
      [
        'stream-window-overflow',
        () => frame(F.WINDOW_UPDATE, 0, 1, uint32(0x7fffffff)),
        'RST_STREAM 1 FLOW_CONTROL_ERROR',
      ],
      ['settings-window', () => settings(4, 0x7fffffff), 'GOAWAY FLOW_CONTROL_ERROR'],
      [
        'stream-window-exceeded',
        (peer) => Buffer.concat([0, 1, 2, 3, 4].map(() => peer.data(1, Buffer.alloc(16_000)))),
        'RST_STREAM 1 FLOW_CONTROL_ERROR',
      ],
    ];
    for (const [kind, attack, expected] of cases) {
      const served = serve(waits);
      served.peer.send(served.peer.post(1), frame(F.WINDOW_UPDATE, 0, 1, uint32(100)), attack(served.peer));
      const log = await served.peer.untilLog(expected);
      assert.ok(log.includes(expected), `${kind}: ${log.join(', ')}`);
      counted(served, kind);
    }
  });

  test('the window of the connection holds for all streams together', async () => {
    const served = serve(waits);
    const { peer } = served;
    const parts: Buffer[] = [];
    for (let id = 1; id < 70; id += 2) {
      parts.push(peer.post(id), ...[0, 1, 2, 3].map(() => peer.data(id, Buffer.alloc(16_000))));
    }
    peer.send(...parts);
    await peer.untilLog('GOAWAY FLOW_CONTROL_ERROR');
    counted(served, 'window-exceeded');
  });

  test('a client that opens no window loses its stream, and its memory is given back', async () => {
    const resets: string[] = [];
    const served = serve(
      (exchange) => {
        waits(exchange);
        const { receiver } = exchange;
        if (receiver !== undefined) receiver.onReset = (error) => resets.push(error.flag);
        answer(exchange, 200, 'x'.repeat(100_000));
      },
      { streamIdleTimeoutMs: 1_000 },
    );
    const { peer, clock } = served;
    peer.send(settings(4, 0), peer.get(1));
    await peer.until(() => peer.heads.length === 1);
    clock.advance(1_100);
    await peer.untilLog('RST_STREAM 1 CANCEL');
    assert.ok(served.recorder.events.includes('http2_window_stalled'));
    assert.deepEqual(resets, ['SI']);
  });

  test('no preface, no SETTINGS, half a frame, half a header block: each within its time', async () => {
    const starts: ((peer: RawPeer) => Buffer)[] = [
      () => Buffer.alloc(0),
      () => F.PREFACE.subarray(0, 20),
      () => F.PREFACE,
      () => Buffer.concat([F.PREFACE, settings(), Buffer.from([0, 0, 5])]),
      (peer) => Buffer.concat([F.PREFACE, settings(), frame(F.HEADERS, 0, 1, peer.block(':method', 'GET'))]),
    ];
    for (const start of starts) {
      const served = serve(waits, { headTimeoutMs: 1_000 }, { silent: true });
      const { peer, clock } = served;
      peer.send(start(peer));
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(1_100);
      await peer.untilLog('GOAWAY ENHANCE_YOUR_CALM');
      counted(served, 'head-timeout');
    }
  });

  test('SETTINGS that are never acknowledged', async () => {
    const served = serve(waits, {}, { silent: true });
    const { peer, clock } = served;
    peer.send(F.PREFACE, settings());
    await peer.untilLog('SETTINGS ACK');
    clock.advance(61_000);
    await peer.untilLog('GOAWAY SETTINGS_TIMEOUT');
    counted(served, 'settings-timeout');
  });

  test('what is not HTTP/2 at all', async () => {
    const served = serve(waits, {}, { silent: true });
    served.peer.send(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    await served.peer.untilLog('GOAWAY PROTOCOL_ERROR');
    counted(served, 'preface');
  });

  test('closed streams are not kept', async () => {
    const served = serve(echo);
    const { peer } = served;
    await flood(peer, 2_000, (i) => peer.get(2 * i + 1));
    await peer.untilLog('DATA 3999 END');
    peer.send(frame(F.PING, 0, 0, Buffer.alloc(8)));
    await peer.untilLog('PING ACK');
    // A frame on one that ended long ago hurts only itself, on one that ended just now the connection.
    peer.send(peer.data(1, 'x'));
    await peer.untilLog('RST_STREAM 1 STREAM_CLOSED');
    peer.send(peer.data(3_999, 'x'));
    await peer.untilLog('GOAWAY STREAM_CLOSED');
    counted(served, 'closed-stream');
  });
});
