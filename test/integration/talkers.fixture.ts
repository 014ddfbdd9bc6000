/** Servers by who speaks first. */
import type { Socket } from 'node:net';

/** As MySQL's: the greeting, then whatever the client says is answered. */
export const MYSQL_GREETING = Buffer.from('\x4a\0\0\0\x0a8.0.36\0', 'latin1');
export const greet = (socket: Socket): void => {
  socket.write(MYSQL_GREETING);
  socket.on('data', (bytes: Buffer) => socket.end(`heard ${bytes.length}`));
  socket.on('end', () => socket.end());
};
export const answerHttp = (socket: Socket): void => {
  socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n'));
  socket.on('end', () => socket.end());
};
/** Says nothing by itself; to a first byte the name of what it got. */
export const listenOnly = (socket: Socket): void => {
  socket.once('data', (bytes: Buffer) => socket.end(`got ${bytes.toString('latin1').slice(0, 5)}`));
  socket.on('end', () => socket.end());
};
