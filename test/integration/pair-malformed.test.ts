/**
 * Requests that no server should take, through two sidecars: the first answers with the right status and closes, the
 * application behind sees nothing of it, and whoever else is connected is served on.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { CertificateFolder } from '../support/certs.ts';
import { type Pair, startPair } from '../support/pair.ts';
import { answerOk, RawOrigin, sendRaw } from '../support/pair-origin.ts';
import { accessLog, testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';

const folder = testFolder('pair-malformed');
let origin: RawOrigin;
let pair: Pair;
let bystander: Socket;
let bystanderRead = '';

before(async () => {
  const authority = await CertificateFolder.make(folder);
  origin = await RawOrigin.start(answerOk);
  pair = await startPair(folder, authority, { applicationPort: origin.port });
  bystander = connect(pair.port, '127.0.0.1');
  bystander.setEncoding('latin1').on('data', (text: string) => {
    bystanderRead += text;
  });
});

after(async () => {
  bystander.destroy();
  await pair.stop();
  await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The connection that was open before everything is the one that goes on being served. */
async function bystanderIsServed(): Promise<void> {
  bystanderRead = '';
  bystander.write('GET /bystander HTTP/1.1\r\nHost: a\r\n\r\n');
  await waitFor('the answer to the bystander', () => bystanderRead.endsWith('\r\n\r\nok\n') || undefined);
  assert.match(bystanderRead, /^HTTP\/1.1 200 OK\r\n/);
}

const head = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const POST = 'POST /malformed HTTP/1.1';
const GET = 'GET /malformed HTTP/1.1';

/** What is sent, and the status of the answer. RFC 9112 unless said otherwise. */
const malformed: readonly [string, string, number][] = [
  ['two lengths that differ (6.3)', `${head(POST, 'Host: a', 'Content-Length: 3', 'Content-Length: 4')}abcd`, 400],
  ['two lengths in one field (6.3)', `${head(POST, 'Host: a', 'Content-Length: 3, 4')}abcd`, 400],
  [
    'a length and chunked (6.1)',
    `${head(POST, 'Host: a', 'Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    400,
  ],
  [
    'chunked and a length (6.1)',
    `${head(POST, 'Host: a', 'Transfer-Encoding: chunked', 'Content-Length: 3')}0\r\n\r\n`,
    400,
  ],
  ['a length that is no number', `${head(POST, 'Host: a', 'Content-Length: +3')}abc`, 400],
  ['a negative length', `${head(POST, 'Host: a', 'Content-Length: -3')}abc`, 400],
  ['a hexadecimal length', `${head(POST, 'Host: a', 'Content-Length: 0x3')}abc`, 400],
  ['an endless length', head(POST, 'Host: a', `Content-Length: ${'9'.repeat(40)}`), 400],
  ['an empty length', head(POST, 'Host: a', 'Content-Length:'), 400],
  ['chunked twice (6.1)', `${head(POST, 'Host: a', 'Transfer-Encoding: chunked, chunked')}0\r\n\r\n`, 400],
  ['chunked not last (6.3)', `${head(POST, 'Host: a', 'Transfer-Encoding: chunked, identity')}0\r\n\r\n`, 400],
  ['a coding nobody knows (6.1)', `${head(POST, 'Host: a', 'Transfer-Encoding: xchunked')}0\r\n\r\n`, 501],
  [
    'chunked in HTTP/1.0 (6.1)',
    `${head('POST /malformed HTTP/1.0', 'Host: a', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    400,
  ],
  [
    'a tab before chunked is white space, a vertical tab is not',
    `${head(POST, 'Host: a', 'Transfer-Encoding: \x0bchunked')}0\r\n\r\n`,
    400,
  ],
  ['bare LF between fields (2.2)', `${GET}\r\nHost: a\nX: b\r\n\r\n`, 400],
  ['bare LF everywhere (2.2)', `${GET}\nHost: a\n\n`, 400],
  ['bare CR in a value (2.2)', head(GET, 'Host: a', 'X: b\rc'), 400],
  ['NUL in a value', head(GET, 'Host: a', 'X: b\0c'), 400],
  ['folded field (5.2)', head(GET, 'Host: a', 'X: b', ' c'), 400],
  ['folded first field (2.2)', head(GET, ' Host: a'), 400],
  ['space before the colon (5.1)', head(GET, 'Host: a', 'Content-Length : 3'), 400],
  ['no colon', head(GET, 'Host: a', 'nonsense'), 400],
  ['an empty field name', head(GET, 'Host: a', ': x'), 400],
  ['a field name with a bracket', head(GET, 'Host: a', 'X[0]: x'), 400],
  ['no Host (3.2)', head(GET), 400],
  ['two Hosts (3.2)', head(GET, 'Host: a', 'Host: b'), 400],
  ['two Hosts that agree (3.2)', head(GET, 'Host: a', 'Host: a'), 400],
  ['a Host that is none', head(GET, 'Host: a/b'), 400],
  ['user information in Host', head(GET, 'Host: a@b'), 400],
  ['two spaces in the request line (3)', head('GET  /malformed HTTP/1.1', 'Host: a'), 400],
  ['a space in the target (3.2)', head('GET /a b HTTP/1.1', 'Host: a'), 400],
  ['no target', head('GET HTTP/1.1', 'Host: a'), 400],
  ['no version', head('GET /malformed', 'Host: a'), 400],
  ['a version in lower case', head('GET /malformed http/1.1', 'Host: a'), 400],
  ['HTTP/1.2 of 2040', head('GET /malformed HTTP/1.2', 'Host: a'), 505],
  ['HTTP/2.0 as text', head('GET /malformed HTTP/2.0', 'Host: a'), 505],
  ['a method with a colon', head('GE:T /malformed HTTP/1.1', 'Host: a'), 400],
  ['a fragment in the target', head('GET /malformed#x HTTP/1.1', 'Host: a'), 400],
  ['TLS instead of HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
  ['a head of 100 kB (RFC 6585 5)', head(GET, 'Host: a', `X: ${'y'.repeat(100_000)}`), 431],
  ['a target of 100 kB (RFC 9110 15.5.15)', head(`GET /${'y'.repeat(100_000)} HTTP/1.1`, 'Host: a'), 414],
  ['500 fields (RFC 6585 5)', head(GET, 'Host: a', ...Array.from({ length: 500 }, (_, i) => `X-${i}: y`)), 431],
];

/** The head is right and goes through; the content is wrong. */
const brokenContent: readonly [string, string][] = [
  ['a chunk size that is no number', 'zz\r\nabc\r\n0\r\n\r\n'],
  ['a chunk longer than its size', '3\r\nabcdef\r\n0\r\n\r\n'],
  ['a bare LF after a chunk size', '3\nabc\r\n0\r\n\r\n'],
  ['a chunk size of 17 digits', '00000000000000003\r\nabc\r\n0\r\n\r\n'],
  ['a negative chunk size', '-3\r\nabc\r\n0\r\n\r\n'],
  ['a chunk size with 0x', '0x3\r\nabc\r\n0\r\n\r\n'],
  ['5 kB of chunk extensions', `3;${'x'.repeat(5_000)}\r\nabc\r\n0\r\n\r\n`],
  ['a bare LF in trailers', '3\r\nabc\r\n0\r\nX: y\n\r\n'],
];

describe('malformed heads', () => {
  for (const [what, bytes, status] of malformed) {
    test(`${what}: ${status}`, async () => {
      origin.clear();
      const answer = await sendRaw(pair.port, `${bytes}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
      assert.match(answer.text, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal(answer.text.match(/HTTP\/1\.1 /g)?.length, 1, 'more than one answer');
      assert.ok(answer.closed, 'the connection was not closed');
      await bystanderIsServed();
      assert.doesNotMatch(origin.text, /malformed|smuggled/);
    });
  }

  test('each is in the access log of the sidecar that refused it, with the reason', async () => {
    const refused = (): readonly string[] =>
      accessLog(pair.clientProgram)
        .filter(({ flags }) => flags === 'DPE')
        .map(({ details }) => details);
    await waitFor('all lines', () => refused().length >= malformed.length || undefined);
    for (const details of refused()) assert.match(details, /RFC \d{4}/);
    assert.equal(accessLog(pair.serverProgram).filter(({ flags }) => flags === 'DPE').length, 0);
  });
});

describe('broken content', () => {
  for (const [what, content] of brokenContent) {
    test(`${what}: an error, never a complete request`, async () => {
      origin.clear();
      const bytes = `${head(POST, 'Host: a', 'Transfer-Encoding: chunked')}${content}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`;
      const answer = await sendRaw(pair.port, bytes);
      // An application may have answered the head already; what must not be is a second answer.
      assert.match(answer.text, /^(HTTP\/1\.1 (4\d\d|200) |$)/);
      assert.ok((answer.text.match(/HTTP\/1\.1 /g)?.length ?? 0) <= 1, 'more than one answer');
      assert.ok(answer.closed, 'the connection was not closed');
      await bystanderIsServed();
      assert.doesNotMatch(origin.text, /smuggled|\r\n0\r\n\r\n/);
    });
  }

  test('an empty chunked body is a body', async () => {
    origin.clear();
    const bytes = head('POST /empty HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked', 'Connection: close');
    const answer = await sendRaw(pair.port, `${bytes}0\r\n\r\n`);
    assert.match(answer.text, /^HTTP\/1\.1 200 OK/);
    assert.match(origin.text, /^POST \/empty HTTP\/1.1\r\n/);
  });
});

describe('malformed answers of an application are 502', () => {
  const answers: readonly [string, string][] = [
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
    ['a length and chunked', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['no HTTP', 'hello\r\n\r\n'],
    ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['status 42', 'HTTP/1.1 42 What\r\nContent-Length: 0\r\n\r\n'],
    ['a folded field', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n'],
    ['a switch that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  ];
  let answerBytes = '';
  let broken: RawOrigin;
  let other: Pair;

  before(async () => {
    broken = await RawOrigin.start((socket) => socket.write(Buffer.from(answerBytes, 'latin1')));
    other = await startPair(folder, await CertificateFolder.make(folder, 'other'), { applicationPort: broken.port });
  });

  after(async () => {
    await other.stop();
    await broken.close();
  });

  for (const [what, bytes] of answers) {
    test(what, async () => {
      answerBytes = bytes;
      const request = head('POST /x HTTP/1.1', 'Host: a', 'Content-Length: 0', 'Connection: close');
      assert.match((await sendRaw(other.port, request)).text, /^HTTP\/1\.1 502 /);
      const line = await waitFor('the log of the server side', () =>
        accessLog(other.serverProgram).findLast(({ flags }) => flags !== ''),
      );
      assert.equal(line.flags, 'UPE');
    });
  }
});
