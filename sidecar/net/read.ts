import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FirstOctets } from './first-octets.ts';
import { isTlsSocket } from './tls-socket.ts';
import { beginRead, endRead } from './turn.ts';

/** Who takes what a socket brings. */
export interface ByteSink {
  /** `borrowed`: the memory is used for the next read, whoever's that is; what is kept has to be copied. */
  onBytes(chunk: Buffer, borrowed: boolean): void;
}

/** As much as the runtime reads at once. */
export const READ_BYTES_MAX = 65_536;

/** What sockets are read into: one buffer for all, since each read is worked off before the next. */
class Landing {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(READ_BYTES_MAX);
  readonly first = new FirstOctets(this.bytes);
  busy: Socket | undefined = undefined;
}

// TLS hands out what it decrypts when it is written to, if at all, so that it does not share with what is being read.
let plainLanding: Landing | undefined;
let tlsLanding: Landing | undefined;

interface ReadSymbols {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly next: symbol;
}

/**
 * The runtime reads into a given buffer for sockets that are made with `onread` (net.Socket), which an accepted one
 * cannot be. Both kinds keep it in the same properties; without them chunks come as events.
 */
function findSymbols(): ReadSymbols | undefined {
  const made = new Socket({ onread: { buffer: Buffer.alloc(1), callback: () => true } });
  const symbols = Object.getOwnPropertySymbols(made);
  made.destroy();
  const buffer = symbols.find(({ description }) => description === 'kBuffer');
  const callback = symbols.find(({ description }) => description === 'kBufferCb');
  const next = symbols.find(({ description }) => description === 'kBufferGen');
  if (buffer === undefined || callback === undefined || next === undefined) return undefined;
  return { buffer, callback, next };
}

let symbols: ReadSymbols | undefined;
let symbolsKnown = false;

/**
 * The socket reads into `bytes` from now on; `onRead` says how many octets there are. `next`: what the read after that
 * goes to. False: it cannot.
 */
export function readIntoBuffer(
  socket: Duplex,
  bytes: Buffer,
  onRead: (count: number) => void,
  next?: () => Buffer,
): boolean {
  if (!symbolsKnown) {
    symbolsKnown = true;
    symbols = findSymbols();
  }
  if (symbols === undefined || !(socket instanceof Socket) || socket.connecting || socket.readableLength > 0) {
    return false;
  }
  const handle: unknown = Reflect.get(socket, '_handle');
  if (!isReadHandle(handle)) return false;
  Reflect.set(socket, symbols.buffer, bytes);
  Reflect.set(socket, symbols.callback, (count: number): boolean => {
    onRead(count);
    // Stopping is done by `pause`.
    return true;
  });
  if (next !== undefined) Reflect.set(socket, symbols.next, next);
  handle.useUserBuffer(bytes);
  listen(handle, onRead, next);
  return true;
}

/** What a socket reads by. */
interface ReadHandle {
  /** Called for each read, its end and its errors. What it returns is read into from then on. */
  onread: (this: unknown, ...rest: unknown[]) => unknown;
  /** Since it was made. */
  readonly bytesRead: number;
  useUserBuffer(bytes: Buffer): void;
}

const isReadHandle = (handle: unknown): handle is ReadHandle =>
  typeof handle === 'object' &&
  handle !== null &&
  typeof Reflect.get(handle, 'useUserBuffer') === 'function' &&
  typeof Reflect.get(handle, 'onread') === 'function' &&
  typeof Reflect.get(handle, 'bytesRead') === 'number';

/** Of the runtime, by handle: who reads from one that has been read from so takes its place. */
const listeners = new WeakMap<ReadHandle, ReadHandle['onread']>();

/**
 * Takes reads from the handle itself: the runtime's own listener looks through the socket's state each time, for time-outs
 * and streams that nobody here uses. It still gets all that brings no bytes.
 */
function listen(handle: ReadHandle, onRead: (count: number) => void, next: (() => Buffer) | undefined): void {
  const own = listeners.get(handle) ?? handle.onread;
  listeners.set(handle, own);
  let seen = handle.bytesRead;
  handle.onread = (...rest) => {
    const count = handle.bytesRead - seen;
    if (count <= 0) return Reflect.apply(own, handle, rest);
    seen += count;
    onRead(count);
    return next?.();
  };
}

/** Gives `sink` all that the socket brings from now on. The end of the other side is still an event. */
export function readInto(socket: Duplex, sink: ByteSink): void {
  if (land(socket, sink)) return;
  const onData = (chunk: Buffer): void => {
    // What had been read before is worked off.
    if (socket.readableLength === 0 && land(socket, sink)) socket.removeListener('data', onData);
    sink.onBytes(chunk, false);
  };
  socket.on('data', onData);
}

function land(socket: Duplex, sink: ByteSink): boolean {
  if (!(socket instanceof Socket)) return false;
  const landing = landingOf(socket);
  return readIntoBuffer(socket, landing.bytes, (count) => {
    if (endsBoth(landing, socket)) return;
    landing.busy = socket;
    beginRead();
    sink.onBytes(landing.first.of(count), true);
    landing.busy = undefined;
    endRead();
  });
}

/** Where a socket may read to as long as what comes is copied at once, by `copyLanded`. */
export function sharedLanding(socket: Duplex): Buffer {
  return landingOf(socket).bytes;
}

/** What a socket has just read to where all read to; undefined when somebody works on what was there, which ends both. */
export function copyLanded(socket: Duplex, count: number): Buffer | undefined {
  const landing = landingOf(socket);
  if (endsBoth(landing, socket)) return undefined;
  const copy = Buffer.allocUnsafe(count);
  landing.bytes.copy(copy, 0, 0, count);
  return copy;
}

/** The bytes that somebody works on are no longer the ones that came: nothing of either may be used. */
function endsBoth(landing: Landing, socket: Duplex): boolean {
  if (landing.busy === undefined) return false;
  landing.busy.destroy();
  socket.destroy();
  return true;
}

function landingOf(socket: Duplex): Landing {
  if (isTlsSocket(socket)) {
    tlsLanding ??= new Landing();
    return tlsLanding;
  }
  plainLanding ??= new Landing();
  return plainLanding;
}
