/** Lets an application answer with the frames of a case, and judges what clients of both versions are told. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { Client, turn } from '../http1-corpus/client.ts';
import { type Reading, readResponses, type Seen, styles } from '../http1-corpus/lenient.ts';
import { request } from './case.ts';
import { RawHttp2 } from './peer.ts';
import type { ResponseCase } from './response-case.ts';
import { data, headers } from './wire.ts';

/** An application in HTTP/2 that answers each case with its frames, and everything else properly. */
export class ScriptedApplication {
  current: ResponseCase | undefined = undefined;
  /** The connection that the case came in on, and its stream. */
  peer: RawHttp2 | undefined = undefined;
  id = 0;

  accept(stream: Duplex): void {
    const peer = new RawHttp2(stream, {
      side: 'server',
      onEnd: (id) => {
        if (peer.of(id).get(':path') === '/case') {
          this.peer = peer;
          this.id = id;
          void this.answer(peer, id);
        } else {
          peer.send(
            headers(
              id,
              [
                [':status', '200'],
                ['x-after', 'yes'],
                ['content-length', '4'],
              ],
              false,
            ),
            data(id, 'next'),
          );
        }
      },
    });
  }

  private async answer(peer: RawHttp2, id: number): Promise<void> {
    for (const bytes of this.current?.writes(id) ?? []) {
      peer.send(bytes);
      await turn();
    }
  }
}

async function judgeTold({ told }: ResponseCase, { peer, id }: ScriptedApplication): Promise<void> {
  assert.ok(peer !== undefined);
  if (told === 'nothing') return;
  if ('goaway' in told) {
    await peer.until(() => peer.goawayCode !== undefined);
    assert.equal(peer.goawayCode, told.goaway, peer.goawayText);
  } else {
    await peer.until(() => peer.of(id).resetCode !== undefined);
    assert.equal(peer.of(id).resetCode, told.reset, `${peer.goawayCode} ${peer.goawayText}`);
  }
}

export async function runOverHttp2(one: ResponseCase, stream: Duplex, application: ScriptedApplication): Promise<void> {
  application.current = one;
  const client = new RawHttp2(stream, { side: 'client' });
  client.send(headers(1, request({ ':method': one.method })));
  const answer = client.of(1);
  await client.until(() => answer.ended || answer.resetCode !== undefined);
  if (one.ends === 'cut') {
    assert.deepEqual(
      [answer.ended, answer.resetCode !== undefined],
      [false, true],
      `${answer.status} "${answer.text}"`,
    );
    // The proxy may have had all of it before it said anything.
    assert.ok(one.body.startsWith(answer.text) || !answer.text.includes('evil'), answer.text);
  } else {
    assert.deepEqual([answer.ended, answer.status], [true, one.status], `reset ${answer.resetCode}`);
    if (one.ends === 'whole') assert.equal(answer.text, one.body);
    for (const [name, value] of Object.entries(one.fields)) {
      const head_ = answer.heads.at(-1 - (answer.heads.length > 1 && one.interims.length === 0 ? 1 : 0)) ?? [];
      const values = head_.filter(([other]) => other === name).map(([, text]) => text);
      assert.equal(values.length === 0 ? undefined : values.join(','), value, name);
    }
    assert.deepEqual(answer.interims, one.interims);
  }
  await judgeTold(one, application);
  client.send(headers(3, request({ ':path': '/next' })));
  const next = client.of(3);
  await client.until(() => next.ended);
  assert.deepEqual([next.status, next.text, next.get('x-after')], [200, 'next', 'yes']);
  client.close();
}

const isFinal = ({ method }: Seen): boolean => !method.startsWith('1') || method === '101';

function judgeHttp1(one: ResponseCase, name: string, { messages, rest }: Reading): void {
  const where = `for a client that ${name}`;
  const expected = [...one.interims, one.status].map(String);
  assert.deepEqual(
    messages.map(({ method }) => method),
    expected,
    where,
  );
  assert.equal(rest, '', `${where}: bytes that belong to no response`);
  const final = messages.find(isFinal);
  if (one.ends === 'whole') assert.equal(final?.body, one.body, where);
  for (const [field, value] of Object.entries(one.fields)) assert.equal(final?.fields.get(field), value, field);
}

export async function runOverHttp1(
  one: ResponseCase,
  connect: () => Duplex,
  application: ScriptedApplication,
): Promise<void> {
  application.current = one;
  const client = new Client(connect());
  await client.send([`${one.method} /case HTTP/1.1\r\nHost: a.test\r\n\r\n`]);
  const strict = styles[0];
  assert.ok(strict !== undefined);
  const read = (): Reading => readResponses(client.text, strict, [one.method], client.ended);
  await client.until(() => client.ended || (one.ends !== 'cut' && read().messages.some(isFinal)));
  const { text, ended } = client;
  if (one.ends === 'cut') {
    assert.equal(ended, true, `left open: ${text}`);
    // What has no content is complete with its head; nothing may follow it.
    const bodyless = one.method === 'HEAD' || one.status === 204 || one.status === 304;
    assert.ok(!text.includes('evil'), text);
    if (!bodyless) assert.equal(text.includes('\r\n0\r\n'), false, text);
  } else for (const style of styles) judgeHttp1(one, style.name, readResponses(text, style, [one.method], ended));
  await judgeTold(one, application);

  const next = ended ? new Client(connect()) : client;
  const before = ended ? 0 : text.length;
  await next.send(['GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n']);
  await next.until(() => next.ended || next.text.slice(before).endsWith('next'));
  assert.match(
    next.text.slice(before),
    /^HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)*x-after: yes\r\n(?:[^\r]+\r\n)*\r\nnext$/i,
  );
  client.close();
  next.close();
}
