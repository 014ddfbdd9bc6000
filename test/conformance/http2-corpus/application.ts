import type { Duplex } from 'node:stream';

const MEGABYTE = 1_048_576;
const BIG = Buffer.alloc(MEGABYTE, 'x');

/**
 * Says `ok`, a megabyte below /big, and nothing below /hang. It looks back at so much of what it was sent: the rest of
 * a large body need not be kept.
 */
export const application =
  (charsMax = Number.MAX_SAFE_INTEGER) =>
  (stream: Duplex): void => {
    let text = '';
    stream.on('data', (bytes: Buffer) => {
      text = (text + bytes.toString('latin1')).slice(-charsMax);
      for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
        const target = text.split(' ')[1] ?? '';
        text = text.slice(end + 4);
        if (target.startsWith('/hang')) continue;
        if (target.startsWith('/big')) {
          stream.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BIG.length}\r\n\r\n`);
          stream.write(BIG);
        } else stream.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      }
    });
    stream.on('end', () => stream.end());
    stream.on('error', () => stream.destroy());
  };
