/** Sends the bytes of a case, and judges what came of them on both sides. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import type { Forwarded, RequestCase } from './case.ts';
import { Client } from './client.ts';
import { readRequests, type Seen, styles } from './lenient.ts';
import type { RecordingOrigin } from './origin.ts';

export interface Rig {
  readonly origin: RecordingOrigin;
  /** A connection to the proxy. */
  connect(): Duplex;
}

const SENTINEL: Forwarded = { method: 'GET', target: '/sentinel', body: '', fields: {} };
const SENTINEL_BYTES = 'GET /sentinel HTTP/1.1\r\nHost: a\r\n\r\n';

const plain = ({ method, target, body }: Seen | Forwarded): string => JSON.stringify([method, target, body]);

function judgeFields(one: RequestCase, messages: readonly Seen[]): void {
  for (const forwarded of one.forwarded) {
    const seen = messages.find((message) => plain(message) === plain(forwarded));
    for (const [name, value] of Object.entries(forwarded.fields)) {
      assert.equal(seen?.fields.get(name), value, `field ${name}`);
    }
  }
}

/** Whoever reads what went upstream sees exactly what had to be forwarded, and the request that followed. */
function judgeStreams(one: RequestCase, streams: readonly string[]): void {
  const expected = [...one.forwarded, SENTINEL].map(plain).sort();
  for (const style of styles) {
    const messages = streams.flatMap((text) => readRequests(text, style).messages);
    assert.deepEqual(messages.map(plain).sort(), expected, `upstream, by a parser that ${style.name}`);
    judgeFields(one, messages);
  }
}

/** Returns what went upstream. */
export async function runRequestCase(one: RequestCase, rig: Rig): Promise<readonly string[]> {
  rig.origin.begin();
  const client = new Client(rig.connect());
  const expected = [...one.forwarded.map(() => 200), ...(one.refused === 0 ? [] : [one.refused])];
  await client.send(one.writes);
  if (one.halfClose) client.end();
  const closes = one.after === 'closed';
  await client.until(() => client.ended || (client.statuses.length >= expected.length && !closes));
  assert.deepEqual(client.statuses, expected, `answers: ${client.text.slice(0, 300)}`);
  assert.equal(client.ended, closes, closes ? 'the connection was left open' : 'the connection was closed');
  // On the same connection if it lives, so that nothing of the case is left in front of it.
  const next = closes ? new Client(rig.connect()) : client;
  const before = next.statuses.length;
  await next.send([SENTINEL_BYTES]);
  await next.until(() => next.ended || next.statuses.length > before);
  assert.equal(next.statuses.at(-1), 200, 'the request after the case');
  client.close();
  next.close();
  judgeStreams(one, rig.origin.streams);
  return rig.origin.streams;
}
