import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { dlopen } from 'node:ffi';
import { connect, createServer, isIPv4, type Socket } from 'node:net';

/**
 * A process inside a test's network namespace.
 *   listen <uid> <port>...                answers each connection with what it is: its own port and the original destination
 *   dial <uid> <protocol>/<host>/<port>...  prints the answers as JSON, in order
 * It starts as root, so that it can read the repository, and then drops to the uid.
 */

const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;
/** Nobody is expected to time out, and a SYN that was lost is sent again after 1 s, 3 s and 7 s. */
const DIAL_TIMEOUT_MS = 10_000;

const { functions: libc } = dlopen(null, {
  getsockopt: { arguments: ['int32', 'int32', 'int32', 'buffer', 'buffer'], return: 'int32' },
});

function descriptor(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (typeof fd !== 'number') throw new Error('the socket has no descriptor');
  return fd;
}

function originalDestination(socket: Socket): string {
  const address = Buffer.alloc(28);
  const length = Buffer.alloc(4);
  length.writeInt32LE(address.length);
  const mapped = socket.localAddress?.startsWith('::ffff:') === true || isIPv4(socket.localAddress ?? '');
  const status = libc.getsockopt(descriptor(socket), mapped ? SOL_IP : SOL_IPV6, SO_ORIGINAL_DST, address, length);
  if (status !== 0) return 'none';
  const port = address.readUInt16BE(2);
  if (mapped) return `${[...address.subarray(4, 8)].join('.')} ${port}`;
  const groups = Array.from({ length: 8 }, (_, group) => address.readUInt16BE(8 + 2 * group).toString(16));
  return `${new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)} ${port}`;
}

function drop(uid: number): void {
  process.setgroups?.([]);
  process.setgid?.(uid);
  process.setuid?.(uid);
}

async function listen(uid: number, ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      const original = originalDestination(socket);
      // Connection tracking answers for a connection that nobody redirected too: with the address it was dialled at.
      socket.end(`port ${port}, original ${original.endsWith(` ${port}`) ? 'none' : original}`);
    });
    server.listen(port, '::');
    await once(server, 'listening');
    const udp = createSocket('udp6');
    udp.on('message', (_, peer) => udp.send(`port ${port}`, peer.port, peer.address));
    udp.bind(port, '::');
    await once(udp, 'listening');
  }
  drop(uid);
  process.stdout.write('ready\n');
}

function dialTcp(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let answer = '';
    socket.setTimeout(DIAL_TIMEOUT_MS, () => {
      resolve('timeout');
      socket.destroy();
    });
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('end', () => resolve(answer));
    socket.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
  });
}

function dialUdp(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv4(host) ? 'udp4' : 'udp6');
    const timer = setTimeout(() => {
      resolve('timeout');
      socket.close();
    }, DIAL_TIMEOUT_MS);
    socket.on('message', (message) => {
      clearTimeout(timer);
      socket.close();
      resolve(message.toString());
    });
    socket.send('hello', port, host);
  });
}

const [mode, uid, ...targets] = process.argv.slice(2);
if (mode === 'listen') await listen(Number(uid), targets.map(Number));
else {
  drop(Number(uid));
  const answers: string[] = [];
  for (const target of targets) {
    const [protocol = '', host = '', port] = target.split('/');
    answers.push(await (protocol === 'udp' ? dialUdp(host, Number(port)) : dialTcp(host, Number(port))));
  }
  process.stdout.write(JSON.stringify(answers));
}
