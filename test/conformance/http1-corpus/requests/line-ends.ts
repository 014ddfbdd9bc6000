/** Line ends that one reader takes for one, and another does not; octets that may not be there at all. */
import { forwards, get, post, type RequestCase, refused, SMUGGLED } from '../case.ts';

const endings: readonly (readonly [name: string, octets: string])[] = [
  ['bare LF', '\n'],
  ['bare CR', '\r'],
  ['CR CR LF', '\r\r\n'],
  ['LF CR', '\n\r'],
  ['NUL', '\0'],
  ['NUL CR LF', '\0\r\n'],
  ['vertical tab', '\x0b'],
  ['form feed', '\x0c'],
  ['NEL', '\x85'],
  ['no line end', ''],
];

/** A head in which one line end is another one. */
const places: readonly (readonly [name: string, build: (end: string) => string])[] = [
  ['after the request line', (end) => `GET / HTTP/1.1${end}Host: a\r\nX: b\r\n\r\n`],
  ['at the end of the head', (end) => `GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n${end}`],
];
/** Here octets from 0x80 on, and none at all, are part of a value. */
const inFields: readonly (readonly [name: string, build: (end: string) => string])[] = [
  ['after Host', (end) => `GET / HTTP/1.1\r\nHost: a${end}X: b\r\n\r\n`],
  ['after a field', (end) => `GET / HTTP/1.1\r\nHost: a\r\nX: b${end}Content-Length: 50\r\n\r\n`],
  ['before the end of the head', (end) => `GET / HTTP/1.1\r\nHost: a\r\nX: b${end}\r\n`],
];

const inName = [
  '\n',
  '\r',
  '\0',
  '\x0b',
  '\x0c',
  '\x1f',
  '\x7f',
  '\x80',
  '\xff',
  ' ',
  '\t',
  '"',
  '(',
  '/',
  ';',
  '<',
  '=',
  '@',
  '[',
  '{',
  ',',
];
const inValue = ['\n', '\r', '\0', '\x01', '\x08', '\x0b', '\x0c', '\x0e', '\x1b', '\x1f', '\x7f'];
const code = (octet: string): string => `0x${octet.charCodeAt(0).toString(16).padStart(2, '0')}`;

export const lineEnds: readonly RequestCase[] = [
  ...places.flatMap(([place, build]) =>
    endings
      // Without its end a head is only not complete.
      .filter(([name]) => !(place === 'at the end of the head' && ['no line end', 'bare CR'].includes(name)))
      .map(([name, octets]) => refused('9112 2.2', `${name} ${place}`, build(octets) + SMUGGLED)),
  ),
  ...inFields.flatMap(([place, build]) =>
    endings
      .filter(([name]) => name !== 'NEL' && name !== 'no line end')
      .map(([name, octets]) => refused('9112 2.2', `${name} ${place}`, build(octets) + SMUGGLED)),
  ),
  ...inName.map((octet) =>
    refused('9110 5.1', `${code(octet)} in a name`, `GET / HTTP/1.1\r\nHost: a\r\nX${octet}Y: b\r\n\r\n${SMUGGLED}`),
  ),
  ...inValue.map((octet) =>
    refused('9110 5.5', `${code(octet)} in a value`, `GET / HTTP/1.1\r\nHost: a\r\nX: y${octet}z\r\n\r\n${SMUGGLED}`),
  ),
  refused('9112 5.2', 'a folded value', `GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n${SMUGGLED}`),
  refused('9112 5.2', 'a value folded with a tab', `GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n${SMUGGLED}`),
  refused('9112 5.2', 'a folded empty value', `GET / HTTP/1.1\r\nHost: a\r\nX:\r\n \r\n\r\n${SMUGGLED}`),
  refused('9112 5.2', 'a folded Host', `GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n${SMUGGLED}`),
  refused('9112 5.2', 'a line of blanks before the end', `GET / HTTP/1.1\r\nHost: a\r\n  \r\n\r\n${SMUGGLED}`),
  refused('9112 2.2', 'a blank before the first field', `GET / HTTP/1.1\r\n Host: a\r\n\r\n${SMUGGLED}`),
  refused('9112 2.2', 'a line of blanks before the first field', `GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n${SMUGGLED}`),
  refused('9112 2.2', 'a hidden Host behind a blank', `GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n${SMUGGLED}`),
  forwards('9112 2.2', 'an empty line first', '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', [get()]),
  forwards('9112 2.2', 'four empty lines first', '\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', [get()]),
  forwards(
    '9112 2.2',
    'an empty line after content',
    ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\n', 'GET /2 HTTP/1.1\r\nHost: a\r\n\r\n'],
    [post('x'), get('/2')],
  ),
  refused('9112 2.2', 'five empty lines first', `\r\n\r\n\r\n\r\n\r\n${SMUGGLED}`),
  refused('9112 2.2', 'a bare LF first', `\n${SMUGGLED}`),
  refused('9112 2.2', 'a bare CR first', `\r${SMUGGLED}`),
  refused('9112 2.2', 'a blank first', ` ${SMUGGLED}`),
  refused('9112 2.2', 'a NUL first', `\0${SMUGGLED}`),
  refused('9112 2.2', 'a byte order mark first', `\xef\xbb\xbf${SMUGGLED}`),
  refused('9112 2.2', 'bare LFs throughout', 'GET / HTTP/1.1\nHost: a\n\n'),
  refused('9112 2.2', 'bare CRs throughout, then an end', 'GET / HTTP/1.1\rHost: a\r\r\r\n\r\n'),
  forwards('9110 5.5', 'octets from 0x80 in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: caf\xe9\x85\xa0\xff\r\n\r\n', [
    get('/', { x: 'caf\xe9\x85\xa0\xff' }),
  ]),
  forwards('9110 5.5', 'tabs within a value, blanks around it', 'GET / HTTP/1.1\r\nHost: a\r\nX: \t b\tc \t\r\n\r\n', [
    get('/', { x: 'b\tc' }),
  ]),
  forwards('9110 5.5', 'an empty value', 'GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \r\n\r\n', [
    get('/', { x: '', y: '' }),
  ]),
];
