/** What is asked for: pseudo-fields, methods, paths, authorities, schemes, CONNECT and extended CONNECT. */
import { answers, forwards, get, malformed, type RequestCase, request, SMUGGLED, shown } from '../case.ts';
import { data, type FieldPair, headers } from '../wire.ts';

type Pseudo = Parameters<typeof request>[0];
const asks = (changes: Pseudo, ...more: readonly FieldPair[]): Buffer => headers(1, request(changes, ...more));
const raw = (...fields: readonly FieldPair[]): Buffer => headers(1, fields);
const NAMES = [':method', ':scheme', ':authority', ':path'] as const;

const pseudoFields: readonly RequestCase[] = [
  ...[':method', ':scheme', ':path'].map((name) => malformed('9113 8.3.1', `no ${name}`, asks({ [name]: undefined }))),
  malformed('9113 8.3.1', 'neither :authority nor host', asks({ ':authority': undefined })),
  malformed('9113 8.3', 'no field at all', raw()),
  ...NAMES.map((name) =>
    malformed(
      '9113 8.3',
      `${name} twice, the same`,
      raw(...request(), ...request().filter(([other]) => other === name)),
    ),
  ),
  ...NAMES.map((name) => malformed('9113 8.3', `${name} twice, another`, raw(...request(), [name, 'http']))),
  ...NAMES.map((name) =>
    malformed(
      '9113 8.3',
      `${name} after a field`,
      raw(...request({ [name]: undefined }, ['x-a', 'b']), ...request().filter(([other]) => other === name)),
    ),
  ),
  ...[
    ':status',
    ':foo',
    ':',
    '::path',
    ':Path',
    ':PATH',
    ':host',
    ':method ',
    ':path\0',
    ':\r\nx',
    ':transfer-encoding',
  ].map((name) => malformed('9113 8.3', `pseudo-field "${shown(name)}"`, raw([name, '/'], ...request()))),
  ...NAMES.map((name) =>
    malformed(
      '9113 8.1',
      `${name} after the content`,
      Buffer.concat([headers(1, request({ ':method': 'POST' }), false), data(1, 'a', false), raw([name, '/'])]),
    ),
  ),
  malformed('mesh', ':weft-version from outside', asks({}, [':weft-version', '1.1']), { from: 'outside' }),
  malformed('mesh', ':weft-version from outside, in its place', raw([':weft-version', '1.1'], ...request()), {
    from: 'outside',
  }),
  ...['2', '1.2', '', '1.1\r\nx: y', '0.9', '11', ' 1.1'].map((value) =>
    malformed('mesh', `:weft-version "${shown(value)}"`, raw([':weft-version', value], ...request()), { from: 'mesh' }),
  ),
  malformed('mesh', ':weft-version twice', raw([':weft-version', '1.1'], [':weft-version', '1.0'], ...request()), {
    from: 'mesh',
  }),
  ...['1.0', '1.1'].map((value) =>
    forwards('mesh', `:weft-version ${value}`, raw([':weft-version', value], ...request()), {}, { from: 'mesh' }),
  ),
];

const methods: readonly RequestCase[] = [
  ...[
    '',
    'GET ',
    ' GET',
    'GET /x HTTP/1.1\r\nHost: evil\r\n\r\n',
    `GET /x HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`,
    'GET\r\n',
    'GET\n',
    'GET\0',
    'G ET',
    'GET\tx',
    'GET:',
    'G(T)',
    'G\xc9T',
    'GET,POST',
  ].map((method) => malformed('9113 8.3.1', `:method "${shown(method)}"`, asks({ ':method': method }))),
  answers('9110 15.6.2', 'a method that is too long', asks({ ':method': 'A'.repeat(33) }), 501),
  ...['M-SEARCH', 'get', 'PATCH', 'PRI'].map((method) =>
    forwards('9110 9.1', `method ${method}`, asks({ ':method': method }), { method }),
  ),
  malformed(
    '9110 9.3.8',
    'TRACE with content',
    Buffer.concat([headers(1, request({ ':method': 'TRACE' }), false), data(1, SMUGGLED)]),
  ),
  malformed('9110 9.3.8', 'TRACE with a length', asks({ ':method': 'TRACE' }, ['content-length', '5'])),
  forwards('9110 9.3.8', 'TRACE', asks({ ':method': 'TRACE' }), { method: 'TRACE' }),
];

const paths: readonly RequestCase[] = [
  ...[
    '',
    'case',
    'http://evil/case',
    '*',
    ' /case',
    '/case ',
    '/ca se',
    '/case\t',
    '/case#fragment',
    '/case?a#b',
    '/caf\xe9',
    '/\x7f',
    '/\0',
    '/case\r\n',
    '/case\n',
    '/case HTTP/1.1\r\nHost: evil\r\n\r\nGET /smuggled',
    `/case HTTP/1.1\r\nHost: a\r\n\r\n${SMUGGLED}`,
    '/case HTTP/1.1',
    '/case\x0b',
    '?a=b',
    '\\case',
    '/%',
    '/%0',
    '/%zz',
    '/%00',
    '/%%32%65',
  ].map((path) =>
    path.startsWith('/%')
      ? badEncoding(path)
      : malformed('9113 8.3.1', `:path "${shown(path)}"`, asks({ ':path': path })),
  ),
  ...(
    [
      ['//case', '//case'],
      ['//evil.test/case', '//evil.test/case'],
      ['/case?a=/../b', '/case?a=/../b'],
      ['/a/../case', '/case'],
      ['/a/%2e%2e/case', '/case'],
      ['/a/.%2E;x/case', '/case'],
      ['/../../case', '/case'],
      ['/a\\..\\case', '/case'],
      ['/case%2Fb', '/case%2Fb'],
      ['/c%61se', '/case'],
      ['/case?%zz', '/case?%zz'],
      ['/<case>', '/%3Ccase%3E'],
      ['/case?"', '/case?"'],
      [`/${'p'.repeat(8_000)}`, `/${'p'.repeat(8_000)}`],
    ] as const
  ).map(([path, target]) => forwards('3986 6.2.2', `:path "${shown(path)}"`, asks({ ':path': path }), { target })),
  // No route of this rig matches an asterisk.
  answers('9113 8.3.1', 'OPTIONS *', asks({ ':method': 'OPTIONS', ':path': '*' }), 404),
  malformed('9113 8.3.1', 'OPTIONS **', asks({ ':method': 'OPTIONS', ':path': '**' })),
];

/** Refused by what normalises paths, which answers. */
function badEncoding(path: string): RequestCase {
  return {
    ...malformed('3986 2.1', `:path "${path}"`, asks({ ':path': path })),
    outcome: { kind: 'answered', status: 400 },
  };
}

const authorities: readonly RequestCase[] = [
  ...[
    '',
    ' a.test',
    'a.test ',
    'a test',
    'user@a.test',
    'user:pw@a.test',
    'a.test/',
    'a.test/x?y#z',
    'http://a.test',
    'a.test,b.test',
    'a.test\r\nx: y',
    'a.test\r\n\r\nGET /smuggled HTTP/1.1',
    'a.test\n',
    'a.test\0',
    'a.test:80:80',
    'a.test:x',
    'a.test:99999',
    ':80',
    'a.test:-1',
    '[::1',
    '::1',
    '[::1]x',
    '[zz]',
    'a%2etest',
    'a\\b',
    '\xe9.test',
    'a"b',
    "a'b",
    'a<b>',
    `${'a'.repeat(301)}`,
  ].map((authority) => malformed('9113 8.3.1', `:authority "${shown(authority)}"`, asks({ ':authority': authority }))),
  ...['a.test:80', '[::1]', '[::1]:8080', '10.0.0.1:1', 'A.Test', 'a_b.test', 'a.test:'].map((authority) =>
    forwards('3986 3.2', `:authority ${authority}`, asks({ ':authority': authority }), { authority }),
  ),
  ...['b.test', 'a.test:80', 'a.test, b.test', 'user@a.test', '', 'a.test/', 'a.test.'].map((host) =>
    malformed('9113 8.3.1', `host "${host}" beside :authority`, get(['host', host])),
  ),
  malformed('9113 8.3.1', 'two hosts', asks({ ':authority': undefined }, ['host', 'a.test'], ['host', 'b.test'])),
  malformed('9113 8.3.1', 'two hosts, the same', get(['host', 'a.test'], ['host', 'a.test'])),
  malformed('9113 8.3.1', 'host with userinfo alone', asks({ ':authority': undefined }, ['host', 'x@a.test'])),
  malformed('9113 8.3.1', 'host with a path alone', asks({ ':authority': undefined }, ['host', 'a.test/x'])),
  malformed('mesh', 'Host of another sidecar that differs', get(['Host', 'b.test']), { from: 'mesh' }),
  forwards('9113 8.3.1', 'host and :authority the same', get(['host', 'a.test'])),
  forwards('9113 8.3.1', 'host and :authority in other casing', get(['host', 'A.TEST'])),
  forwards('9113 8.3.1', 'host alone', asks({ ':authority': undefined }, ['host', 'b.test']), { authority: 'b.test' }),
];

const schemes: readonly RequestCase[] = [
  ...[
    '',
    'ftp',
    'HTTP',
    'http ',
    'http:',
    'https://evil/',
    'http\r\nx: y',
    'file',
    'ws',
    'http\0',
    'http://a.test/x?',
  ].map((scheme) => malformed('9113 8.3.1', `:scheme "${shown(scheme)}"`, asks({ ':scheme': scheme }))),
  forwards('9113 8.3.1', 'https over plaintext is believed only so far', asks({ ':scheme': 'https' })),
];

const tunnel = (changes: Pseudo): Pseudo => ({
  ':method': 'CONNECT',
  ':scheme': undefined,
  ':path': undefined,
  ...changes,
});

const connects: readonly RequestCase[] = [
  malformed('9113 8.5', 'CONNECT with :path', asks({ ...tunnel({}), ':path': '/', ':authority': 'a.test:80' })),
  malformed('9113 8.5', 'CONNECT with :scheme', asks({ ...tunnel({}), ':scheme': 'http', ':authority': 'a.test:80' })),
  malformed('9113 8.5', 'CONNECT without a port', asks(tunnel({}))),
  malformed('9113 8.5', 'CONNECT without :authority', asks(tunnel({ ':authority': undefined }))),
  malformed('9113 8.5', 'CONNECT with host only', asks(tunnel({ ':authority': undefined }), ['host', 'a.test:80'])),
  malformed('9113 8.5', 'CONNECT with a length', asks(tunnel({ ':authority': 'a.test:80' }), ['content-length', '5'])),
  malformed('9113 8.5', 'CONNECT with userinfo', asks(tunnel({ ':authority': 'x@a.test:80' }))),
  malformed('9113 8.5', 'CONNECT with a line end', asks(tunnel({ ':authority': 'a.test:80 HTTP/1.1\r\nx:80' }))),
  malformed('9113 8.5', 'CONNECT to a port that is none', asks(tunnel({ ':authority': 'a.test:99999' }))),
  malformed('8441 4', ':protocol without CONNECT', raw([':protocol', 'websocket'], ...request()), { from: 'outside' }),
  ...[
    '',
    'websocket\r\nx: y',
    'websocket\0',
    'web socket',
    ' websocket',
    'a'.repeat(65),
    'websocket, h2c',
    'websocket,',
    'a/b/c',
    '"x"',
    'h2c',
    'H2C',
    'x, h2c',
  ].map((protocol) => malformed('8441 4', `:protocol "${shown(protocol)}"`, extended(protocol))),
  malformed(
    '8441 4',
    ':protocol without :scheme',
    headers(
      1,
      [
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        [':authority', 'a.test'],
        [':path', '/case'],
      ],
      false,
    ),
  ),
  malformed(
    '8441 4',
    ':protocol without :path',
    headers(
      1,
      [
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        [':authority', 'a.test'],
        [':scheme', 'http'],
      ],
      false,
    ),
  ),
  malformed(
    '8441 4',
    ':protocol twice',
    headers(1, [[':protocol', 'websocket'], [':protocol', 'websocket'], ...request({ ':method': 'CONNECT' })], false),
  ),
  ...['h2c', 'websocket, h2c', 'HTTP/2.0, h2c'].map((protocol) =>
    malformed(
      'h2c smuggling',
      `an upgrade of another sidecar to ${protocol}`,
      headers(1, [[':protocol', protocol], ...request()], false),
      { from: 'mesh' },
    ),
  ),
];

function extended(protocol: string): Buffer {
  return headers(1, [[':protocol', protocol], ...request({ ':method': 'CONNECT' })], false);
}

export const targetCases: readonly RequestCase[] = [
  ...pseudoFields,
  ...methods,
  ...paths,
  ...authorities,
  ...schemes,
  ...connects,
];
