/** Chunks that are read as other sizes, or end elsewhere. */
import { forwards, post, type RequestCase, refused, SMUGGLED, shown } from '../case.ts';

const P = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
const END = '0\r\n\r\n';

const wrong: readonly (readonly [name: string, bytes: string])[] = [
  ['no size', '\r\nhello\r\n'],
  ['a blank for a size', ' \r\nhello\r\n'],
  ['a blank before the size', ' 5\r\nhello\r\n'],
  ['a tab before the size', '\t5\r\nhello\r\n'],
  ['a blank after the size', '5 \r\nhello\r\n'],
  ['a tab after the size', '5\t\r\nhello\r\n'],
  ['blanks in the size', '0 5\r\nhello\r\n'],
  ['0x', '0x5\r\nhello\r\n'],
  ['0X', '0X5\r\nhello\r\n'],
  ['plus', '+5\r\nhello\r\n'],
  ['minus', '-5\r\nhello\r\n'],
  ['minus zero', '-0\r\n\r\n'],
  ['underscore', '0_5\r\nhello\r\n'],
  ['a letter that is no digit', '5g\r\nhello\r\n'],
  ['a decimal point', '5.0\r\nhello\r\n'],
  ['quotes', '"5"\r\nhello\r\n'],
  ['a comma', '5,5\r\nhello\r\n'],
  ['a fullwidth digit', '\xef\xbc\x95\r\nhello\r\n'],
  ['NUL before the size', '\x005\r\nhello\r\n'],
  ['NUL after the size', '5\0\r\nhello\r\n'],
  ['vertical tab after the size', '5\x0b\r\nhello\r\n'],
  ['form feed after the size', '5\x0c\r\nhello\r\n'],
  ['no-break space after the size', '5\xa0\r\nhello\r\n'],
  ['2^64 + 5', '10000000000000005\r\nhello\r\n'],
  ['2^63', '8000000000000000\r\nhello\r\n'],
  ['-1 in 64 bits', 'ffffffffffffffff\r\nhello\r\n'],
  ['many zeros', `${'0'.repeat(40)}5\r\nhello\r\n`],
  ['17 digits', '00000000000000005\r\nhello\r\n'],
  ['bare LF after the size', '5\nhello\r\n'],
  ['bare CR after the size', '5\rhello\r\n'],
  ['CR CR LF after the size', '5\r\r\nhello\r\n'],
  ['an octet for the LF after the size', '5\rXhello\r\n'],
  ['an octet for the CR after the data', '5\r\nhelloX\n'],
  ['an octet for the LF after the data', '5\r\nhello\rX'],
  ['an octet for the LF after an extension', '5;a\rXhello\r\n'],
  ['LF CR after the size', '5\n\rhello\r\n'],
  ['nothing after the data', '5\r\nhello0\r\n\r\n'],
  ['bare LF after the data', '5\r\nhello\n0\r\n\r\n'],
  ['bare CR after the data', '5\r\nhello\r0\r\n\r\n'],
  ['more data than the size', '5\r\nhello!\r\n'],
  ['two line ends after the data', '5\r\nhello\r\n\r\n0\r\n\r\n'],
  ['bare LF after the last size', '0\n\r\n'],
  ['bare LF for the end of trailers', '0\r\n\n'],
  ['bare LF twice at the end', '0\n\n'],
  ['bare CR at the end', '0\r\n\rX'],
  ['bare LF in an extension', '5;a\nb\r\nhello\r\n'],
  ['bare LF that ends an extension', '5;a\nhello\r\n'],
  ['bare CR in an extension', '5;a\rb\r\nhello\r\n'],
  ['CR CR LF after an extension', '5;a\r\r\nhello\r\n'],
  ['NUL in an extension', '5;a\0\r\nhello\r\n'],
  ['a quoted line end in an extension', '5;a="\r\nhello"\r\n'],
  ['a quoted bare LF in an extension', '5;a="\n"\r\nhello\r\n'],
  ['an extension without a semicolon', '5 a=b\r\nhello\r\n'],
  ['a long extension', `5;a=${'b'.repeat(5_000)}\r\nhello\r\n`],
  ['many extensions', `1;${'a'.repeat(900)}\r\nx\r\n`.repeat(6)],
  ['a trailer without a colon', '0\r\nfoo\r\n\r\n'],
  ['a folded trailer', '0\r\nX: a\r\n b\r\n\r\n'],
  ['a blank before a trailer', '0\r\n X: a\r\n\r\n'],
  ['a blank before the colon of a trailer', '0\r\nX : a\r\n\r\n'],
  ['bare LF in a trailer', '0\r\nX: a\nY: b\r\n\r\n'],
  ['bare CR in a trailer', '0\r\nX: a\rY: b\r\n\r\n'],
  ['NUL in a trailer', '0\r\nX: a\0\r\n\r\n'],
];

const right: readonly (readonly [name: string, bytes: string, body: string])[] = [
  ['lower-case hex', `a\r\n0123456789\r\n${END}`, '0123456789'],
  ['upper-case hex', `A\r\n0123456789\r\n${END}`, '0123456789'],
  ['leading zeros', `0005\r\nhello\r\n${END}`, 'hello'],
  ['zeros for the end', '5\r\nhello\r\n000\r\n\r\n', 'hello'],
  ['several chunks', `5\r\nhello\r\n1\r\n!\r\n${END}`, 'hello!'],
  ['no content', END, ''],
  ['an extension', `5;a\r\nhello\r\n${END}`, 'hello'],
  ['an extension with a value', `5;a=b\r\nhello\r\n${END}`, 'hello'],
  ['an extension with a quoted value', `5;a="b;c"\r\nhello\r\n${END}`, 'hello'],
  ['an extension after blanks', `5 \t;a = b\r\nhello\r\n${END}`, 'hello'],
  ['an extension of the last chunk', '5\r\nhello\r\n0;a=b\r\n\r\n', 'hello'],
  ['content that looks like the end', `5\r\n0\r\n\r\n\r\n${END}`, '0\r\n\r\n'],
  ['content that looks like a request', `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n${END}`, SMUGGLED],
  ['content of line ends', `4\r\n\r\n\r\n\r\n${END}`, '\r\n\r\n'],
  ['content of all octets', `4\r\n\0\xff\n\r\r\n${END}`, '\0\xff\n\r'],
  ['a trailer', '5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n', 'hello'],
];

const forbiddenTrailers = [
  'Content-Length: 9',
  'Transfer-Encoding: chunked',
  'Host: evil',
  'Connection: close',
  'Authorization: x',
];

export const chunks: readonly RequestCase[] = [
  // The smuggled request stands where a reader would find it that takes what is wrong for right.
  ...wrong.map(([name, bytes]) => refused('9112 7.1', `chunk: ${name}`, `${P}${bytes}${END}${SMUGGLED}`)),
  forwards('9112 7.1', 'chunk: 2^32 + 5, of which 5 come', `${P}100000005\r\nhello\r\n${END}${SMUGGLED}`, [], {
    halfClose: true,
    after: 'closed',
  }),
  ...right.map(([name, bytes, body]) => forwards('9112 7.1', `chunk: ${name}`, P + bytes, [post(body)])),
  ...right
    .slice(0, 6)
    .map(([name, bytes, body]) =>
      forwards('9112 7.1', `chunk, octet by octet: ${name}`, [...(P + bytes)], [post(body)]),
    ),
  ...forbiddenTrailers.map((line) =>
    forwards(
      '9110 6.5.1',
      `the trailer ${shown(line)} goes no further`,
      `${P}5\r\nhello\r\n0\r\n${line}\r\nX-T: 1\r\n\r\n`,
      [post('hello', '/', { authorization: undefined })],
    ),
  ),
  refused('9112 7.1.2', 'trailers without end', `${P}0\r\n${`X: ${'y'.repeat(1_000)}\r\n`.repeat(20)}`, 431),
  forwards('9112 8', 'no last chunk, then the end', `${P}5\r\nhello\r\n`, [], { halfClose: true, after: 'closed' }),
  forwards('9112 8', 'half a size, then the end', `${P}5`, [], { halfClose: true, after: 'closed' }),
  forwards('9112 8', 'no end of trailers, then the end', `${P}0\r\nX: y\r\n`, [], { halfClose: true, after: 'closed' }),
];
