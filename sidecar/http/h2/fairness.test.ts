import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Downstream } from '../exchange.ts';
import { Headers } from '../headers.ts';
import * as F from './frames.ts';
import { frame, serve, settings, uint32 } from './testing.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a stream whose content comes in small pieces all the time does not starve one that waits', async () => {
  const exchanges: Downstream[] = [];
  const { peer } = serve((exchange) => {
    exchange.receiver = {
      onData: () => undefined,
      onTrailers: () => undefined,
      onReset: () => undefined,
      onWritable: () => undefined,
      onDone: () => undefined,
    };
    exchanges.push(exchange);
  });
  peer.send(settings(4, 1 << 28), frame(F.WINDOW_UPDATE, 0, 0, uint32(1 << 28)), peer.get(1), peer.get(3));
  await peer.until(() => exchanges.length === 2);
  const [large, busy] = exchanges;
  assert.ok(large !== undefined && busy !== undefined);
  const ok = () => ({ status: 200, reason: '', headers: new Headers(), contentLength: -1 });
  busy.respond(ok(), false);
  large.respond(ok(), false);
  large.write(Buffer.alloc(1 << 20, 'L'), true);
  const piece = Buffer.alloc(16_384, 'B');
  const ended = (): boolean => peer.log.includes('DATA 1 END');
  let turns = 0;
  for (; turns < 200 && !ended(); turns++) {
    for (let i = 0; i < 4; i++) busy.write(piece, false);
    await turn();
  }
  assert.ok(ended(), 'the large response was never sent');
});
