/** Sends the bytes of a case, and judges what came of them on both sides. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import type { Forwarded, RequestCase } from './case.ts';
import { readRequests, type Seen, styles } from './lenient.ts';
import type { RecordingOrigin } from './origin.ts';

export interface Rig {
  readonly origin: RecordingOrigin;
  /** A connection to the proxy. */
  connect(): Duplex;
}

const CASE_TIMEOUT_MS = 5_000;
const SENTINEL: Forwarded = { method: 'GET', target: '/sentinel', body: '', fields: {} };
const SENTINEL_BYTES = 'GET /sentinel HTTP/1.1\r\nHost: a\r\n\r\n';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Client {
  text = '';
  ended = false;
  private readonly stream: Duplex;
  private wake: () => void = () => undefined;

  constructor(stream: Duplex) {
    this.stream = stream;
    const end = (): void => {
      this.ended = true;
      this.wake();
    };
    stream.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1');
      this.wake();
    });
    stream.on('end', end);
    stream.on('close', end);
    stream.on('error', end);
  }

  /** Final statuses, in order. */
  get statuses(): readonly number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map(([, status]) => Number(status));
  }

  async send(writes: readonly string[]): Promise<void> {
    for (const octets of writes) {
      if (this.ended) return;
      this.stream.write(Buffer.from(octets, 'latin1'));
      if (writes.length > 1) await turn();
    }
  }

  end(): void {
    this.stream.end();
  }

  close(): void {
    this.stream.destroy();
  }

  /** Until it is so, or it can no longer become so. */
  until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, CASE_TIMEOUT_MS);
      this.wake = () => {
        if (!done()) return;
        clearTimeout(timer);
        resolve();
      };
      this.wake();
    });
  }
}

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
