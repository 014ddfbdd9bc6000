import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RequestHead } from '../exchange.ts';
import type { HeadError } from './head-error.ts';
import { ParsedRequest, parseRequestHead } from './parse-request.ts';

const defaults = { scheme: 'http', authority: '192.0.2.2:80' } as const;

function parse(text: string): { readonly parsed: ParsedRequest; readonly error: HeadError | undefined } {
  const parsed = new ParsedRequest();
  const end = text.indexOf('\r\n\r\n');
  const error = parseRequestHead(end === -1 ? text : text.slice(0, end), 100, defaults, parsed);
  return { parsed, error };
}

function head(text: string): RequestHead {
  const { parsed, error } = parse(text);
  assert.equal(error?.detail, undefined);
  assert.ok(parsed.head);
  return parsed.head;
}

const G = 'GET / HTTP/1.1\r\n';
const H = 'Host: a\r\n';
const P = `POST / HTTP/1.1\r\n${H}`;

describe('malformed request heads', () => {
  const cases: readonly (readonly [section: string, name: string, text: string, kind: string, status: number])[] = [
    ['9112 2.2', 'bare LF after request line', `GET / HTTP/1.1\n${H}\r\n`, 'bare-lf', 400],
    ['9112 2.2', 'bare LF after a field', `${G}Host: a\nX: b\r\n\r\n`, 'bare-lf', 400],
    ['9112 2.2', 'bare LF in a field name', `${G}${H}X\nY: b\r\n\r\n`, 'bare-lf', 400],
    ['9112 2.2', 'bare CR in a value', `${G}${H}X: a\rb\r\n\r\n`, 'bare-cr', 400],
    ['9112 2.2', 'CR CR LF', `${G}${H}X: a\r\r\n\r\n`, 'bare-cr', 400],
    ['9112 2.2', 'white space before the first field', `${G} X: a\r\n${H}\r\n`, 'obs-fold', 400],
    ['9112 3', 'no version', `GET /\r\n${H}\r\n`, 'target', 400],
    ['9112 3', 'empty line of blanks', `   \r\n${H}\r\n`, 'method', 400],
    ['9112 3', 'tab as separator', `GET\t/ HTTP/1.1\r\n${H}\r\n`, 'method', 400],
    ['9112 3', 'two spaces after the method', `GET  / HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3', 'two spaces before the version', `GET /  HTTP/1.1\r\n${H}\r\n`, 'start-line', 400],
    ['9112 3', 'space after the version', `GET / HTTP/1.1 \r\n${H}\r\n`, 'start-line', 400],
    ['9112 3.1', 'method with a bracket', `G[T / HTTP/1.1\r\n${H}\r\n`, 'method', 400],
    ['9112 3.1', 'no method', ` / HTTP/1.1\r\n${H}\r\n`, 'method', 400],
    ['9112 3.1', 'method too long', `${'G'.repeat(33)} / HTTP/1.1\r\n${H}\r\n`, 'method', 501],
    ['9112 3.2', 'space in the target', `GET /a b HTTP/1.1\r\n${H}\r\n`, 'start-line', 400],
    ['9112 3.2', 'fragment in the target', `GET /a#b HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3.2', 'octet above 0x7e in the target', `GET /\xe9 HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3.2', 'NUL in the target', `GET /\0 HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3.2', 'relative target', `GET a HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3.2.2', 'userinfo in absolute form', `GET http://u@b/ HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3.2.2', 'other scheme', `GET ftp://b/ HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3.2.2', 'absolute form without host', `GET http:///x HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3.2.3', 'CONNECT with a path', `CONNECT /x HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3.2.3', 'CONNECT without port', `CONNECT a HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9112 3.2.4', 'asterisk with GET', `GET * HTTP/1.1\r\n${H}\r\n`, 'target', 400],
    ['9110 9.3.6', 'CONNECT with content', `CONNECT a:1 HTTP/1.1\r\n${H}Content-Length: 1\r\n\r\n`, 'connect', 400],
    [
      '9110 9.3.6',
      'CONNECT with chunks',
      `CONNECT a:1 HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`,
      'connect',
      400,
    ],
    ['9110 2.5', 'HTTP/2.0', `GET / HTTP/2.0\r\n${H}\r\n`, 'version', 505],
    ['9110 2.5', 'HTTP/1.2', `GET / HTTP/1.2\r\n${H}\r\n`, 'version', 505],
    ['9110 2.5', 'HTTP/0.9', `GET / HTTP/0.9\r\n${H}\r\n`, 'version', 505],
    ['9112 2.3', 'lower-case http', `GET / http/1.1\r\n${H}\r\n`, 'start-line', 400],
    ['9112 2.3', 'HTTP/1.10', `GET / HTTP/1.10\r\n${H}\r\n`, 'start-line', 400],
    ['9112 3.2', 'no Host', `${G}X: a\r\n\r\n`, 'host', 400],
    ['9112 3.2', 'two Hosts', `${G}${H}Host: b\r\n\r\n`, 'host', 400],
    ['9112 3.2', 'two equal Hosts', `${G}${H}${H}\r\n`, 'host', 400],
    ['9112 3.2', 'empty Host', `${G}Host:\r\n\r\n`, 'host', 400],
    ['9112 3.2', 'Host with a path', `${G}Host: a/b\r\n\r\n`, 'host', 400],
    ['9112 3.2', 'Host with userinfo', `${G}Host: u@a\r\n\r\n`, 'host', 400],
    ['9112 3.2', 'Host list', `${G}Host: a b\r\n\r\n`, 'host', 400],
    ['9112 3.2', 'Host with two ports', `${G}Host: a:1:2\r\n\r\n`, 'host', 400],
    ['9112 5', 'no colon', `${G}${H}foo\r\n\r\n`, 'field-name', 400],
    ['9112 5', 'no name', `${G}${H}: foo\r\n\r\n`, 'field-name', 400],
    ['9112 5', 'octet above 0x7e in a name', `${G}${H}f\xf6: a\r\n\r\n`, 'field-name', 400],
    ['9112 5', 'NUL in a name', `${G}${H}f\0: a\r\n\r\n`, 'field-name', 400],
    ['9112 5.1', 'space before the colon', `${G}${H}X : a\r\n\r\n`, 'space-before-colon', 400],
    ['9112 5.1', 'tab before the colon', `${G}${H}X\t: a\r\n\r\n`, 'space-before-colon', 400],
    ['9112 5.1', 'space inside a name', `${G}${H}X Y: a\r\n\r\n`, 'space-before-colon', 400],
    ['9112 5.2', 'obs-fold', `${G}${H}X: a\r\n b\r\n\r\n`, 'obs-fold', 400],
    ['9112 5.2', 'obs-fold of framing', `${G}${H}Transfer-Encoding:\r\n\tchunked\r\n\r\n`, 'obs-fold', 400],
    ['9110 5.5', 'NUL in a value', `${G}${H}X: a\0b\r\n\r\n`, 'control-character', 400],
    ['9110 5.5', 'DEL in a value', `${G}${H}X: \x7f\r\n\r\n`, 'control-character', 400],
    ['9110 5.5', 'vertical tab before chunked', `${P}Transfer-Encoding: \x0bchunked\r\n\r\n`, 'control-character', 400],
    [
      '9112 6.1',
      'Transfer-Encoding and Content-Length',
      `${P}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n`,
      'framing-conflict',
      400,
    ],
    [
      '9112 6.1',
      'the other order',
      `${P}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n`,
      'framing-conflict',
      400,
    ],
    [
      '9112 6.1',
      'Transfer-Encoding in HTTP/1.0',
      `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n`,
      'transfer-encoding',
      400,
    ],
    ['9112 6.1', 'chunked twice', `${P}Transfer-Encoding: chunked, chunked\r\n\r\n`, 'transfer-encoding', 400],
    [
      '9112 6.1',
      'chunked twice in two fields',
      `${P}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
      'transfer-encoding',
      400,
    ],
    [
      '9112 6.1',
      'chunked before identity',
      `${P}Transfer-Encoding: chunked, identity\r\n\r\n`,
      'transfer-encoding',
      400,
    ],
    ['9112 6.1', 'identity', `${P}Transfer-Encoding: identity\r\n\r\n`, 'transfer-coding', 501],
    ['9112 6.1', 'unknown coding', `${P}Transfer-Encoding: xchunked\r\n\r\n`, 'transfer-coding', 501],
    ['9112 6.1', 'gzip, chunked', `${P}Transfer-Encoding: gzip, chunked\r\n\r\n`, 'transfer-coding', 501],
    ['9112 6.3', 'gzip alone', `${P}Transfer-Encoding: gzip\r\n\r\n`, 'transfer-encoding', 400],
    ['9112 7', 'empty coding', `${P}Transfer-Encoding: \r\n\r\n`, 'transfer-encoding', 400],
    ['9112 7', 'empty list element', `${P}Transfer-Encoding: chunked,\r\n\r\n`, 'transfer-encoding', 400],
    ['9112 7', 'chunked with parameter', `${P}Transfer-Encoding: chunked;q=1\r\n\r\n`, 'transfer-encoding', 400],
    ['9112 7', 'quoted chunked', `${P}Transfer-Encoding: "chunked"\r\n\r\n`, 'transfer-encoding', 400],
    ['9112 6.3', 'two different lengths', `${P}Content-Length: 3\r\nContent-Length: 4\r\n\r\n`, 'content-length', 400],
    ['9112 6.3', 'two equal lengths', `${P}Content-Length: 3\r\nContent-Length: 3\r\n\r\n`, 'content-length', 400],
    ['9110 8.6', 'list of lengths', `${P}Content-Length: 3, 3\r\n\r\n`, 'content-length', 400],
    ['9110 8.6', 'signed length', `${P}Content-Length: +3\r\n\r\n`, 'content-length', 400],
    ['9110 8.6', 'negative length', `${P}Content-Length: -3\r\n\r\n`, 'content-length', 400],
    ['9110 8.6', 'hexadecimal length', `${P}Content-Length: 0x3\r\n\r\n`, 'content-length', 400],
    ['9110 8.6', 'length with a fraction', `${P}Content-Length: 3.0\r\n\r\n`, 'content-length', 400],
    ['9110 8.6', 'length with a space inside', `${P}Content-Length: 1 3\r\n\r\n`, 'content-length', 400],
    ['9110 8.6', 'empty length', `${P}Content-Length:\r\n\r\n`, 'content-length', 400],
    ['9110 8.6', 'length beyond 64 bits', `${P}Content-Length: 18446744073709551617\r\n\r\n`, 'content-length', 400],
  ];
  for (const [section, name, text, kind, status] of cases) {
    test(`RFC ${section}: ${name}`, () => {
      const { error } = parse(text);
      assert.deepEqual([error?.kind, error?.status], [kind, status]);
      assert.match(error?.section ?? '', /^RFC \d+ section \d/);
    });
  }

  test('too many fields', () => {
    const { error } = parse(`${G}${H}${'X: 1\r\n'.repeat(100)}\r\n`);
    assert.deepEqual([error?.kind, error?.status], ['too-many-fields', 431]);
    assert.equal(parse(`${G}${H}${'X: 1\r\n'.repeat(99)}\r\n`).error, undefined);
  });
});

describe('request heads', () => {
  test('origin form; order and casing of fields stay', () => {
    const request = head(`GET /a?b=c HTTP/1.1\r\nhOsT: a:8080\r\nX-OnE: 1\r\nx-two:\t 2 \t\r\nX-one: 3\r\n\r\n`);
    assert.equal(request.authority, 'a:8080');
    assert.equal(request.path, '/a?b=c');
    assert.equal(request.version, 11);
    assert.deepEqual([request.headers.nameAt(0), request.headers.valueAt(0)], ['X-OnE', '1']);
    assert.deepEqual([request.headers.nameAt(1), request.headers.valueAt(1)], ['x-two', '2']);
    assert.deepEqual(request.headers.getAll('x-one'), ['1', '3']);
    assert.equal(request.headers.has('host'), false);
  });

  test('absolute form becomes origin form, and its authority wins over Host (RFC 9112 section 3.2.2)', () => {
    const request = head(`GET http://b:1/x?y HTTP/1.1\r\n${H}\r\n`);
    assert.deepEqual([request.authority, request.path, request.scheme], ['b:1', '/x?y', 'http']);
    assert.equal(head(`GET https://b HTTP/1.1\r\n${H}\r\n`).scheme, 'https');
    assert.equal(head(`GET http://b?q HTTP/1.1\r\n${H}\r\n`).path, '/?q');
    assert.equal(head(`OPTIONS http://b HTTP/1.1\r\n${H}\r\n`).path, '*');
    assert.equal(head(`OPTIONS * HTTP/1.1\r\n${H}\r\n`).path, '*');
  });

  test('CONNECT and Upgrade are tunnels', () => {
    const connect = head(`CONNECT b:443 HTTP/1.1\r\n${H}\r\n`);
    assert.deepEqual([connect.authority, connect.path, connect.protocol], ['b:443', '', '']);
    const upgrade = head(`${G}${H}Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    assert.equal(upgrade.protocol, 'websocket');
    assert.equal(upgrade.headers.has('upgrade'), false);
    // Not a tunnel: not named in Connection, HTTP/1.0, with content, h2c.
    assert.equal(head(`${G}${H}Upgrade: websocket\r\n\r\n`).protocol, undefined);
    assert.equal(head(`GET / HTTP/1.0\r\n${H}Connection: upgrade\r\nUpgrade: x\r\n\r\n`).protocol, undefined);
    assert.equal(head(`${P}Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n`).protocol, undefined);
    const h2c = head(`${G}${H}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n`);
    assert.equal(h2c.protocol, undefined);
    assert.equal(h2c.headers.has('http2-settings'), false);
  });

  test('hop-by-hop fields are dropped (RFC 9110 section 7.6.1)', () => {
    const fields =
      'Connection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: a\r\nProxy-Connection: b\r\nTE: trailers, gzip\r\nX: 2\r\n';
    const { parsed } = parse(`${G}${H}${fields}\r\n`);
    const headers = parsed.head?.headers;
    assert.equal(parsed.keepAlive, false);
    assert.deepEqual([headers?.length, headers?.get('x'), headers?.get('te')], [2, '2', 'trailers']);
  });

  test('framing and persistence', () => {
    assert.equal(parse(`${P}Content-Length: 007\r\n\r\n`).parsed.framing, 7);
    const chunked = parse(`${P}Transfer-Encoding: Chunked\r\n\r\n`).parsed;
    assert.deepEqual([chunked.framing, chunked.head?.contentLength], [-1, -1]);
    assert.equal(parse(`${G}${H}\r\n`).parsed.keepAlive, true);
    assert.equal(parse(`GET / HTTP/1.0\r\n\r\n`).parsed.keepAlive, false);
    assert.equal(parse(`GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n`).parsed.keepAlive, true);
    assert.equal(head('GET / HTTP/1.0\r\n\r\n').authority, '192.0.2.2:80');
    assert.equal(head(`${P}Expect: 100-continue\r\nContent-Length: 1\r\n\r\n`).expectContinue, true);
    assert.equal(head(`${G}${H}Expect: 100-continue\r\n\r\n`).expectContinue, false);
    assert.equal(head(`GET / HTTP/1.1\r\nHost: [fd00::1]:80\r\n\r\n`).authority, '[fd00::1]:80');
  });
});
