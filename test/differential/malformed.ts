/** What breaks a rule of HTTP/1 in a head that is otherwise right. */
const defects: Readonly<Record<string, (head: string) => string>> = {
  'two-lengths': (head) => `${insert(head, 'Content-Length: 3\r\nContent-Length: 4')}abcd`,
  'same-length-twice': (head) => insert(head, 'Content-Length: 0\r\nContent-Length: 0'),
  'length-list': (head) => insert(head, 'Content-Length: 0, 0'),
  'length-sign': (head) => insert(head, 'Content-Length: +0'),
  'length-hex': (head) => insert(head, 'Content-Length: 0x0'),
  'length-and-chunked': (head) => `${insert(head, 'Content-Length: 5\r\nTransfer-Encoding: chunked')}0\r\n\r\n`,
  'coding-unknown': (head) => insert(head, 'Transfer-Encoding: swapped'),
  'coding-not-last': (head) => insert(head, 'Transfer-Encoding: chunked, gzip'),
  'coding-twice': (head) => `${insert(head, 'Transfer-Encoding: chunked, chunked')}0\r\n\r\n`,
  'host-missing': (head) => head.replace(/\r\nHost: [^\r]*/, ''),
  'host-twice': (head) => insert(head, 'Host: other.example'),
  'host-odd': (head) => head.replace(/\r\nHost: [^\r]*/, '\r\nHost: a b/c'),
  'host-empty': (head) => head.replace(/\r\nHost: [^\r]*/, '\r\nHost: '),
  folded: (head) => insert(head, 'X-Fold: a\r\n b'),
  'space-before-colon': (head) => insert(head, 'X-Space : a'),
  'no-colon': (head) => insert(head, 'X-Nothing'),
  'empty-name': (head) => insert(head, ': a'),
  'odd-name': (head) => insert(head, 'X-(a): b'),
  'nul-value': (head) => insert(head, 'X-Nul: a\0b'),
  'bare-cr': (head) => insert(head, 'X-Cr: a\rb'),
  'bare-lf': (head) => head.replace('\r\nHost', '\nHost'),
  'version-2': (head) => head.replace(/HTTP\/1\.\d/, 'HTTP/2.0'),
  'version-12': (head) => head.replace(/HTTP\/1\.\d/, 'HTTP/1.2'),
  'version-lower': (head) => head.replace(/HTTP\/1\.\d/, 'http/1.1'),
  'two-spaces': (head) => head.replace(' ', '  '),
  'leading-crlf': (head) => `\r\n${head}`,
  'method-odd': (head) => `G(T${head.slice(head.indexOf(' '))}`,
  'method-lower': (head) => head.replace(/^[A-Z-]+/, (method) => method.toLowerCase()),
  'target-space': (head) => head.replace(/ \//, ' /a b'),
  'target-bare': (head) => head.replace(/ \//, ' '),
  'target-fragment': (head) => head.replace(/ (\S+) HTTP/, ' $1#part HTTP'),
  'target-absolute': (head) => head.replace(/ \//, ' http://shop.example/'),
  'target-absolute-other': (head) => head.replace(/ \//, ' http://inner.example:8080/'),
  'target-absolute-ftp': (head) => head.replace(/ \//, ' ftp://shop.example/'),
  'target-userinfo': (head) => head.replace(/ \//, ' http://u@shop.example/'),
  'target-asterisk': (head) => head.replace(/^\S+ \S+/, 'OPTIONS *'),
  'target-high-octet': (head) => head.replace(/ \//, ' /\xe9'),
};

const insert = (head: string, line: string): string => head.replace('\r\nHost', `\r\n${line}\r\nHost`);

export const defectNames: readonly string[] = Object.keys(defects);

export const spoil = (defect: string, head: string): string => defects[defect]?.(head) ?? head;
