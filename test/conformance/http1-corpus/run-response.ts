/** Lets an application answer with the bytes of a case, and judges what the client is told. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import type { ResponseCase } from './case.ts';
import { Client, turn } from './client.ts';
import { type Reading, readResponses, type Seen, styles } from './lenient.ts';

export interface ResponseRig {
  /** A connection to the proxy. */
  connect(): Duplex;
}

/** An application that answers each case with its bytes, and everything else properly. */
export class ScriptedOrigin {
  /** Of the case that is asked for next. */
  current: ResponseCase | undefined = undefined;
  /** Connections that a request of this kind came in on. */
  private readonly ofCase = new Set<Duplex>();
  reused = false;

  accept(stream: Duplex): void {
    let text = '';
    stream.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
        const line = text.slice(0, text.indexOf('\r\n'));
        text = text.slice(end + 4);
        if (line.includes(' /case ')) void this.answer(stream);
        else {
          this.reused = this.ofCase.has(stream);
          this.ofCase.clear();
          stream.write('HTTP/1.1 200 OK\r\nX-After: yes\r\nContent-Length: 4\r\n\r\nnext');
        }
      }
    });
    stream.on('end', () => stream.end());
    stream.on('error', () => stream.destroy());
  }

  private async answer(stream: Duplex): Promise<void> {
    this.ofCase.add(stream);
    const { current } = this;
    for (const octets of current?.writes ?? []) {
      if (stream.destroyed || stream.writableEnded) return;
      if (octets !== '') stream.write(Buffer.from(octets, 'latin1'));
      if ((current?.writes.length ?? 0) > 1) await turn();
    }
    if (current?.closes === true) stream.end();
  }
}

const isFinal = ({ method }: Seen): boolean => !method.startsWith('1') || method === '101';

function judge(one: ResponseCase, name: string, { messages, rest }: Reading): void {
  const where = `for a client that ${name}`;
  const expected = [...one.interims, ...(one.ends === 'cut' || one.status === 0 ? [] : [one.status])].map(String);
  assert.deepEqual(
    messages.map(({ method }) => method),
    expected,
    where,
  );
  if (one.ends === 'cut') return;
  const final = messages.find(isFinal);
  assert.equal(rest, '', `${where}: bytes that belong to no response`);
  // The text of the proxy's own errors is not the application's.
  if (one.status !== 502 && one.status !== 503) assert.equal(final?.body, one.body, where);
  for (const [field, value] of Object.entries(one.fields)) assert.equal(final?.fields.get(field), value, field);
  assert.equal(final?.fields.has('x-after'), false, where);
}

export async function runResponseCase(one: ResponseCase, rig: ResponseRig, origin: ScriptedOrigin): Promise<void> {
  origin.current = one;
  const client = new Client(rig.connect());
  const ask = (method: string, target: string, fields: string): string =>
    `${method} ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
  await client.send([ask(one.method, '/case', one.requestFields)]);
  const strict = styles[0];
  assert.ok(strict !== undefined);
  const read = (): Reading => readResponses(client.text, strict, [one.method], client.ended);
  await client.until(() => client.ended || (one.ends === 'whole' && read().messages.some(isFinal)));
  const { text, ended } = client;
  if (one.ends === 'cut') {
    assert.equal(ended, true, `left open: ${text}`);
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${one.status} `));
    assert.ok(text.includes('\r\n\r\n'), text);
    // What came of the content is its beginning, whichever framing it has.
    const content = text.slice(text.indexOf('\r\n\r\n') + 4).replace(/^[0-9a-f]+\r\n|\r\n$/g, '');
    assert.ok(one.body.startsWith(content), `content "${content}"`);
  } else for (const style of styles) judge(one, style.name, readResponses(text, style, [one.method], ended));

  // The next request, on the same connection if it is left, gets its own answer and nothing else.
  const next = ended ? new Client(rig.connect()) : client;
  const before = ended ? 0 : text.length;
  await next.send([ask('GET', '/next', '')]);
  await next.until(() => next.ended || next.text.slice(before).endsWith('next'));
  assert.match(
    next.text.slice(before),
    /^HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)*X-After: yes\r\n(?:[^\r]+\r\n)*\r\nnext$/i,
  );
  assert.equal(origin.reused, one.reused, 'whether the connection to the application carries the next request');
  client.close();
  next.close();
}
