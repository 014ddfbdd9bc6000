import assert from 'node:assert/strict';
import { test } from 'node:test';
import { echo } from '../h1/server.fixture.ts';
import * as F from './frames.ts';
import { HEADER_TABLE_SIZE } from './settings.ts';
import { serve, settings } from './testing.ts';

/** The beginning of the first header block that is sent after those settings. */
async function blockAfter(...sizes: number[]): Promise<string> {
  const { peer } = serve(echo);
  peer.send(settings(...sizes.flatMap((size) => [HEADER_TABLE_SIZE, size])), peer.get(1));
  await peer.until(() => peer.frames.some(({ type }) => type === F.HEADERS));
  return peer.frames.find(({ type }) => type === F.HEADERS)?.payload.toString('hex', 0, 4) ?? '';
}

test('the smallest of several table sizes in one frame is signalled, then the last (RFC 7541 section 4.2)', async () => {
  const [toNothing, to4096, status200] = ['20', '3fe11f', '88'];
  assert.equal(await blockAfter(0, 4_096), `${toNothing}${to4096}`);
  assert.ok((await blockAfter(0)).startsWith(`${toNothing}${status200}`));
  assert.ok((await blockAfter(4_096)).startsWith(status200));
  assert.equal((await blockAfter(4_096, 100, 0, 4_096)).slice(0, 8), `${toNothing}${to4096}`);
});
