import { Socket } from 'node:net';
import { type Duplex, Writable } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { isTlsSocket } from './tls-socket.ts';

/** A write that has not left at once. */
interface Request {
  /** A text when the write failed before it began. */
  readonly error?: unknown;
  /** Set when it was complete before anybody could ask for `oncomplete`. */
  writeStatus: number | null;
  oncomplete: (status: number) => void;
  /** Keeps alive what the runtime reads from. */
  buffer: Buffer | string;
}

interface Handle {
  /** 0: all has left; below: the error; else it completes later. */
  writeBuffer(request: null, bytes: Buffer): number | Request;
  writeLatin1String(request: null, text: string): number | Request;
}

/** What a stream keeps of the write that is under way. All that it knows of itself besides is the bits of one number. */
interface WriteState {
  [flags: symbol]: number;
  length: number;
  writelen: number;
  pendingcb: number;
  needDrain: boolean;
  sync: boolean;
  readonly highWaterMark: number;
  readonly onwrite: (error?: Error | null) => void;
}

interface Flags {
  readonly symbol: symbol;
  /** The bits of a stream that waits for the end of a write. */
  readonly underWay: number;
}

const isHandle = (handle: unknown): handle is Handle =>
  typeof handle === 'object' && handle !== null && 'writeBuffer' in handle && 'writeLatin1String' in handle;

function isWriteState(state: unknown, symbol: symbol): state is WriteState {
  if (typeof state !== 'object' || state === null) return false;
  const numbers = ['length', 'writelen', 'pendingcb', 'highWaterMark', symbol];
  return (
    numbers.every((name) => typeof Reflect.get(state, name) === 'number') &&
    typeof Reflect.get(state, 'onwrite') === 'function' &&
    typeof Reflect.get(state, 'needDrain') === 'boolean' &&
    typeof Reflect.get(state, 'sync') === 'boolean'
  );
}

/** Whether this runtime's own sockets write without a request object, which others must have. */
function writesWithoutRequest(): boolean {
  let given: unknown;
  const socket = new Socket();
  const writeBuffer = (request: unknown): number => {
    given = request;
    return 0;
  };
  Reflect.set(socket, '_handle', { writeBuffer });
  socket.write(Buffer.alloc(1));
  Reflect.set(socket, '_handle', null);
  socket.destroy();
  return given === null;
}

/** Finds what it is about in a stream whose first write never ends. Undefined: this runtime keeps it elsewhere. */
function findFlags(): Flags | undefined {
  const stuck = new Writable({ write: () => undefined });
  const state: unknown = Reflect.get(stuck, '_writableState');
  if (typeof state !== 'object' || state === null || !writesWithoutRequest()) return undefined;
  const symbol = Object.getOwnPropertySymbols(state).find(({ description }) => description === 'kState');
  if (symbol === undefined || !isWriteState(state, symbol)) return undefined;
  const before = state[symbol] ?? 0;
  stuck.write('x');
  const underWay = (state[symbol] ?? 0) & ~before;
  const known = state.length === 1 && state.writelen === 1 && state.pendingcb === 1 && underWay !== 0;
  return known ? { symbol, underWay } : undefined;
}

let found: Flags | undefined;
let looked = false;

function flagsOf(): Flags | undefined {
  if (!looked) {
    looked = true;
    found = findFlags();
  }
  return found;
}

/** Where the writes of a socket go, and the bits of its stream when that has nothing to do. */
class Way {
  readonly handle: Handle;
  readonly state: WriteState;
  readonly symbol: symbol;
  readonly underWay: number;
  /** What is written is encrypted into memory of its own before the call returns. */
  readonly copies: boolean;
  idle = 0;

  constructor(handle: Handle, state: WriteState, { symbol, underWay }: Flags, copies: boolean) {
    this.handle = handle;
    this.state = state;
    this.symbol = symbol;
    this.underWay = underWay;
    this.copies = copies;
  }
}

/**
 * Writes to a socket past its stream while that has nothing to do: a write that leaves at once, as nearly all do, costs
 * neither its bookkeeping nor a copy. One that does not is entered in the stream as its own, so that what follows waits
 * for it, and `writableLength`, `end` and `drain` are what they always are. Where that cannot be, the stream writes.
 */
export class SocketWriter {
  private readonly socket: Duplex;
  private way: Way | undefined = undefined;
  private readonly onComplete = (status: number): void => this.completed(status);

  constructor(socket: Duplex) {
    this.socket = socket;
  }

  /** The memory belongs to the write from now on. */
  give(bytes: Buffer): void {
    const way = this.find();
    if (way === undefined) this.socket.write(bytes);
    else this.send(way, bytes);
  }

  /** True: the memory is free again, as nearly always. False: it belongs to the write from now on. */
  lend(bytes: Buffer): boolean {
    const way = this.find();
    if (way !== undefined) return this.send(way, bytes);
    this.socket.write(Buffer.from(bytes));
    return true;
  }

  /** Octets as Latin-1. */
  text(text: string): void {
    const way = this.find();
    if (way === undefined) {
      this.socket.write(text, 'latin1');
      return;
    }
    const result = way.handle.writeLatin1String(null, text);
    if (result !== 0) this.later(way, result, text);
  }

  private send(way: Way, bytes: Buffer): boolean {
    const result = way.handle.writeBuffer(null, bytes);
    if (result === 0) return true;
    this.later(way, result, bytes);
    return way.copies;
  }

  private find(): Way | undefined {
    const way = this.way;
    if (way === undefined) return this.look();
    const bits = way.state[way.symbol] ?? 0;
    if (bits === way.idle) return way;
    return (bits & way.underWay) === 0 ? this.look() : undefined;
  }

  /** Undefined while the stream has to be asked. */
  private look(): Way | undefined {
    const socket = this.socket;
    if (!(socket instanceof Socket) || socket.connecting || !socket.writable || socket.errored !== null)
      return undefined;
    // Of a write under way and of all that waits for it.
    if (socket.writableLength > 0 || socket.writableCorked > 0 || socket.writableNeedDrain) return undefined;
    const way = this.way ?? this.open(socket);
    if (way !== undefined) way.idle = way.state[way.symbol] ?? 0;
    return way;
  }

  private open(socket: Socket): Way | undefined {
    const flags = flagsOf();
    if (flags === undefined) return undefined;
    const handle: unknown = Reflect.get(socket, '_handle');
    const state: unknown = Reflect.get(socket, '_writableState');
    if (!isHandle(handle) || !isWriteState(state, flags.symbol)) return undefined;
    this.way = new Way(handle, state, flags, isTlsSocket(socket));
    return this.way;
  }

  private later({ state, symbol, underWay }: Way, result: number | Request, content: Buffer | string): void {
    state.length += content.length;
    state.writelen = content.length;
    state.pendingcb++;
    state[symbol] = (state[symbol] ?? 0) | underWay;
    if (state.length >= state.highWaterMark) state.needDrain = true;
    // As within a write of the stream: what is known already is told after it.
    state.sync = true;
    this.outcome(result, content);
    state.sync = false;
  }

  private outcome(result: number | Request, content: Buffer | string): void {
    if (typeof result === 'number') {
      this.completed(result);
      return;
    }
    if (typeof result.error === 'string') {
      this.way?.state.onwrite(failure(result.error));
      return;
    }
    result.oncomplete = this.onComplete;
    result.buffer = content;
    const status = result.writeStatus;
    if (typeof status !== 'number') return;
    result.writeStatus = null;
    this.completed(status);
  }

  private completed(status: number): void {
    const failed = status < 0 && !this.socket.destroyed;
    this.way?.state.onwrite(failed ? failure(getSystemErrorName(status)) : null);
  }
}

/** As the runtime's own of a failed write. */
const failure = (code: string): Error => Object.assign(new Error(`write ${code}`), { code, syscall: 'write' });
