import { connect } from 'node:net';

/** Asks the resolver on the host's side for names that the cluster does not own; messages are framed as in DNS over TCP. */
export type Forward = (message: Buffer) => Promise<Buffer | undefined>;

const TIMEOUT_MS = 4_000;
const PENDING_MAX = 256;

export function socketForwarder(path: string | undefined): Forward {
  let pending = 0;
  return async (message) => {
    if (path === undefined || pending >= PENDING_MAX) return undefined;
    pending += 1;
    try {
      return await exchange(path, message);
    } finally {
      pending -= 1;
    }
  };
}

function exchange(path: string, message: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let received: Buffer = Buffer.alloc(0);
    const finish = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(undefined), TIMEOUT_MS);
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    socket.on('connect', () => socket.write(frame(message)));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2) return;
      const size = received.readUInt16BE(0);
      if (received.length >= size + 2) finish(received.subarray(2, size + 2));
    });
  });
}

/** RFC 1035 section 4.2.2: two bytes of length before the message. */
export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
