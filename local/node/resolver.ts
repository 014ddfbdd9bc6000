import { createSocket } from 'node:dgram';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, isIP, type Socket } from 'node:net';

/**
 * The host's side of cluster DNS: the node namespace has no way to the host's resolvers, and must not need one. Questions for names outside
 * the cluster come over a Unix socket, framed as in DNS over TCP, and are asked here, in the host's network.
 */
interface HostResolver {
  close(): Promise<void>;
}

const TRY_MS_MAX = 1_500;
const MESSAGE_BYTES_MAX = 65_535;
const CONNECTIONS_MAX = 256;
const IDLE_MS_MAX = 6_000;

/** resolv.conf(5): at most three servers count. */
export function hostNameservers(resolvConf: string): string[] {
  return resolvConf
    .split('\n')
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1])
    .filter((address) => address !== undefined && isIP(address.split('%')[0] ?? '') !== 0)
    .slice(0, 3)
    .map(String);
}

function readNameservers(): string[] {
  try {
    return hostNameservers(readFileSync('/etc/resolv.conf', 'utf8'));
  } catch {
    return [];
  }
}

function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

function askUdp(server: string, message: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4');
    const finish = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(undefined), TRY_MS_MAX);
    socket.on('error', () => finish(undefined));
    // Only the server that was asked, and only the question's own number, counts as the answer (RFC 5452).
    socket.on('message', (answer) => {
      if (answer.length >= 12 && answer.readUInt16BE(0) === message.readUInt16BE(0)) finish(answer);
    });
    socket.connect(53, server, () => socket.send(message));
  });
}

function askTcp(server: string, message: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(53, server);
    let received: Buffer = Buffer.alloc(0);
    const finish = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(undefined), TRY_MS_MAX);
    socket.on('error', () => finish(undefined));
    socket.on('connect', () => socket.write(frame(message)));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
        finish(received.subarray(2, received.readUInt16BE(0) + 2));
      }
    });
  });
}

async function ask(message: Buffer): Promise<Buffer | undefined> {
  for (const server of readNameservers()) {
    const answer = await askUdp(server, message);
    if (answer === undefined) continue;
    const truncated = (answer.readUInt16BE(2) & 0x0200) !== 0;
    return truncated ? ((await askTcp(server, message)) ?? answer) : answer;
  }
  return undefined;
}

export function startHostResolver(path: string): Promise<HostResolver> {
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(IDLE_MS_MAX, () => socket.destroy());
    let received: Buffer = Buffer.alloc(0);
    let asked = false;
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length > MESSAGE_BYTES_MAX + 2) return socket.destroy();
      if (asked || received.length < 2 || received.length < received.readUInt16BE(0) + 2) return;
      asked = true;
      const message = received.subarray(2, received.readUInt16BE(0) + 2);
      if (message.length < 12) return socket.destroy();
      void ask(message).then((answer) => (answer === undefined ? socket.destroy() : socket.end(frame(answer))));
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve({
        close: () => {
          for (const socket of sockets) socket.destroy();
          return new Promise((done) => server.close(() => done()));
        },
      });
    });
  });
}
