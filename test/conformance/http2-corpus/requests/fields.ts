/** Names and values that HTTP/2 can carry and HTTP/1 would read as something else. */
import { answers, forwards, get, malformed, post, type RequestCase, request, SMUGGLED, shown } from '../case.ts';
import { data, headers } from '../wire.ts';

const badNames = [
  '',
  ' ',
  'a b',
  ' a',
  'a ',
  'a\t',
  'a:b',
  'a:',
  'a\r\nb',
  'a\nb',
  'a\rb',
  'a\0b',
  'a\x01',
  'a\x7f',
  'a\xe9',
  'a(b)',
  'a,b',
  'a;b',
  'a/b',
  'a=b',
  'a[0]',
  'a{}',
  'a"b"',
  'a@b',
  'a\\b',
  'a?b',
  `x\r\n\r\n${SMUGGLED}`,
  'host\r\n',
  'transfer-encoding\t',
  'transfer-encoding ',
  'content-length ',
  'content-length\0',
];
const badValues = [
  'a\r\nx: y',
  'a\r\n x',
  'a\nx: y',
  'a\rx',
  'a\0',
  '\0',
  ' a',
  'a ',
  '\ta',
  'a\t',
  '\x0ba',
  'a\x0c',
  'a\x1f',
  'a\x7f',
  `a\r\n\r\n${SMUGGLED}`,
  `a\n\n${SMUGGLED}`,
  'a\r\nTransfer-Encoding: chunked',
  'a\r\nContent-Length: 0',
];
/** Long enough for another way of checking. */
const longBadValues = [`${'a'.repeat(40)}\r\nx: y`, `${'a'.repeat(40)}\0`, `${'a'.repeat(40)}\n`, `${'a'.repeat(40)} `];

const names: readonly RequestCase[] = [
  ...badNames.map((name) => malformed('9113 8.2.1', `name "${shown(name)}"`, get([name, 'v']))),
  ...badNames
    .filter((name) => name !== '')
    .slice(0, 8)
    .map((name) => malformed('9113 8.2.1', `name "${shown(name)}" after content`, trailers([name, 'v']))),
  ...['X-Upper', 'xA', 'Host', 'Content-Length', 'TE', 'Cookie', 'Transfer-Encoding', 'Connection'].map((name) =>
    malformed('9113 8.2.1', `upper case in ${name} from outside`, get([name, name === 'Content-Length' ? '0' : 'a']), {
      from: 'outside',
    }),
  ),
  forwards('9113 8.2.1', 'a name with every character of a token', get(["!#$%&'*+-.^`|~09az", 'v']), {
    fields: { "!#$%&'*+-.^`|~09az": 'v' },
  }),
];

function trailers(...fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat([headers(1, request({ ':method': 'POST' }), false), data(1, 'a', false), headers(1, fields)]);
}

const values: readonly RequestCase[] = [
  ...[...badValues, ...longBadValues].flatMap((value) => [
    malformed('9113 8.2.1', `value "${shown(value)}"`, get(['x-a', value])),
    malformed('downgrade', `user-agent "${shown(value)}"`, get(['user-agent', value])),
  ]),
  ...badValues.flatMap((value) => [
    malformed('9113 8.2.3', `cookie "${shown(value)}"`, get(['cookie', value])),
    malformed('9113 8.2.1', `value "${shown(value)}" after content`, trailers(['x-a', value])),
  ]),
  ...['', 'a\tb', 'a  b', '\x80\xff', '"a\\"b"', 'a: b', "';--", '\xe9'].map((value) =>
    forwards('9110 5.5', `value "${shown(value)}"`, get(['x-a', value]), { fields: { 'x-a': value } }),
  ),
];

const connection: readonly RequestCase[] = [
  ...[
    ['connection', 'close'],
    ['connection', 'keep-alive'],
    ['connection', 'x-a'],
    ['connection', ''],
    ['connection', 'upgrade'],
    ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'keep-alive'],
    ['transfer-encoding', 'chunked'],
    ['transfer-encoding', 'identity'],
    ['transfer-encoding', ''],
    ['transfer-encoding', 'gzip, chunked'],
    ['upgrade', 'h2c'],
    ['upgrade', 'websocket'],
    ['te', 'gzip'],
    ['te', 'trailers, gzip'],
    ['te', 'trailers;q=1'],
    ['te', 'chunked'],
    ['te', ''],
  ].map(([name = '', value = '']) => malformed('9113 8.2.2', `${name}: ${value}`, get([name, value]))),
  malformed(
    'H2.TE',
    'transfer-encoding with chunks in the content',
    post(`0\r\n\r\n${SMUGGLED}`, ['transfer-encoding', 'chunked']),
  ),
  malformed(
    'H2.TE',
    'transfer-encoding beside content-length',
    post('0\r\n\r\n', ['transfer-encoding', 'chunked'], ['content-length', '5']),
  ),
  ...['Transfer-Encoding', 'TRANSFER-ENCODING', 'Connection', 'Keep-Alive', 'Proxy-Connection', 'Upgrade'].map((name) =>
    malformed('mesh', `${name} of another sidecar`, get([name, 'chunked']), { from: 'mesh' }),
  ),
  malformed('mesh', 'TE with a coding of another sidecar', get(['TE', 'gzip']), { from: 'mesh' }),
  forwards('9113 8.2.2', 'te: trailers', get(['te', 'trailers']), { fields: { te: 'trailers' } }),
  forwards(
    'mesh',
    'a name in the casing of another sidecar',
    get(['X-MiXed', 'v']),
    { fields: { 'x-mixed': 'v' } },
    { from: 'mesh' },
  ),
  ...['transfer_encoding', 'content_length'].map((name) =>
    malformed('3875 4.1.18', `${name}, which CGI takes for a field that frames`, get([name, '5'])),
  ),
  malformed('3875 4.1.18', 'Content_Length of another sidecar', get(['Content_Length', '5']), { from: 'mesh' }),
];

const crumbs: readonly RequestCase[] = [
  forwards('9113 8.2.3', 'three crumbs', get(['cookie', 'a=1'], ['x-a', 'b'], ['cookie', 'b=2'], ['cookie', 'c=3']), {
    fields: { cookie: 'a=1; b=2; c=3', 'x-a': 'b' },
  }),
  forwards('9113 8.2.3', 'an empty crumb first', get(['cookie', ''], ['cookie', 'a=1']), {
    fields: { cookie: 'a=1' },
  }),
  forwards('9113 8.2.3', 'two empty crumbs', get(['cookie', ''], ['cookie', '']), { fields: { cookie: '' } }),
  forwards(
    '9113 8.2.3',
    'a crumb of another casing, of another sidecar',
    get(['Cookie', 'a=1'], ['cookie', 'b=2']),
    { fields: { cookie: 'a=1; b=2' } },
    { from: 'mesh' },
  ),
  forwards(
    '9113 8.2.3',
    'a hundred crumbs are one field',
    get(...Array.from({ length: 150 }, (_, i) => ['cookie', `c${i}=v`] as const)),
    { fields: { cookie: Array.from({ length: 150 }, (_, i) => `c${i}=v`).join('; ') } },
  ),
];

const expectations: readonly RequestCase[] = [
  ...['100-continued', 'x', 'y 100-continue', '100-continue;x', '"100-continue"', '100-continue, x', '100'].map(
    (value) => answers('0.CL', `expect: ${value}`, post('hello', ['expect', value], ['content-length', '5']), 417),
  ),
  answers('0.CL', 'two expects, one unknown', post('a', ['expect', '100-continue'], ['expect', 'x']), 417),
  answers('0.CL', 'an unknown expect without content', get(['expect', 'x']), 417),
  ...['100-continue', '100-Continue', '100-continue, 100-continue'].map((value) =>
    forwards('9110 10.1.1', `expect: ${value}`, post('hello', ['expect', value], ['content-length', '5']), {
      method: 'POST',
      body: 'hello',
      fields: { expect: '100-continue' },
    }),
  ),
  forwards('9110 10.1.1', 'expect without content', get(['expect', '100-continue']), { fields: { expect: undefined } }),
];

export const fieldCases: readonly RequestCase[] = [...names, ...values, ...connection, ...crumbs, ...expectations];
