/** Sends the frames of a case, and judges what came of them on both sides. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { turn } from '../http1-corpus/client.ts';
import type { RecordingApplication } from './applications.ts';
import { type Forwarded, type RequestCase, request, seen } from './case.ts';
import { RawHttp2 } from './peer.ts';
import { headers } from './wire.ts';

const SENTINEL = seen({ target: '/sentinel' });
const SENTINEL_ID = 1_001;

const plain = ({ method, target, authority, body }: Omit<Forwarded, 'fields'>): string =>
  JSON.stringify([method, target, authority, body]);

async function judgeOutcome({ outcome, forwarded }: RequestCase, client: RawHttp2): Promise<void> {
  const stream = client.of(1);
  switch (outcome.kind) {
    case 'connection':
      await client.until(() => client.ended);
      assert.deepEqual([client.goawayCode, client.ended], [outcome.code, true], client.goawayText);
      return;
    case 'stream':
      await client.until(() => stream.resetCode !== undefined);
      assert.deepEqual([stream.status, stream.resetCode], [outcome.status, outcome.code], client.goawayText);
      return;
    case 'answered':
      await client.until(() => stream.ended);
      assert.deepEqual([stream.status, stream.ended], [outcome.status, true], client.goawayText);
      return;
    case 'forwarded': {
      const answered = (): number => [...client.streams.values()].filter((it) => it.ended && it.status === 200).length;
      await client.until(() => answered() === forwarded.length);
      assert.equal(answered(), forwarded.length, `answers; ${stream.status} ${stream.resetCode} ${client.goawayText}`);
    }
  }
}

function judgeApplication(one: RequestCase, application: RecordingApplication): void {
  const expected = [...one.forwarded, SENTINEL];
  const maybe = one.maybe.map(plain);
  for (const { reader, requests: all } of application.readings()) {
    const requests = all.filter((it) => !maybe.includes(plain(it)));
    assert.deepEqual(requests.map(plain).sort(), expected.map(plain).sort(), `the application, read by ${reader}`);
    for (const forwarded of one.forwarded) {
      const found = requests.find((it) => plain(it) === plain(forwarded));
      for (const [name, value] of Object.entries(forwarded.fields)) {
        // Framing is HTTP/1's own.
        if (reader === 'HTTP/2' && name === 'transfer-encoding') continue;
        assert.equal(found?.fields.get(name), value, `field ${name}, read by ${reader}`);
      }
    }
  }
}

export interface RequestRig {
  readonly application: RecordingApplication;
  /** A connection to the proxy. */
  connect(): Duplex;
}

export async function runRequestCase(one: RequestCase, { application, connect }: RequestRig): Promise<void> {
  application.begin();
  const client = new RawHttp2(connect(), { side: 'client' });
  await client.until(() => client.framesRead > 0);
  for (const bytes of one.writes) {
    client.send(bytes);
    if (one.writes.length > 1) await turn();
  }
  await judgeOutcome(one, client);
  // On the same connection if it lives: the others on it are not to suffer.
  const next = one.outcome.kind === 'connection' ? new RawHttp2(connect(), { side: 'client' }) : client;
  next.send(headers(SENTINEL_ID, request({ ':path': '/sentinel' })));
  const answer = next.of(SENTINEL_ID);
  await next.until(() => answer.ended);
  assert.equal(answer.status, 200, `the request after the case; ${next.goawayText}`);
  client.close();
  next.close();
  judgeApplication(one, application);
}
