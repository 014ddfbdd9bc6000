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

/** Finds what it is about in a stream whose first write ends when it is told to. Undefined: this runtime keeps it elsewhere. */
function findFlags(): Flags | undefined {
  let end = (): void => undefined;
  const stuck = new Writable({
    write: (_bytes, _encoding, done) => {
      end = done;
    },
  });
  const state: unknown = Reflect.get(stuck, '_writableState');
  if (typeof state !== 'object' || state === null || !writesWithoutRequest()) return undefined;
  const symbol = Object.getOwnPropertySymbols(state).find(({ description }) => description === 'kState');
  if (symbol === undefined || !isWriteState(state, symbol)) return undefined;
  const before = state[symbol] ?? 0;
  stuck.write('x');
  const during = state[symbol] ?? 0;
  const underWay = during & ~before;
  const entered = state.length === 1 && state.writelen === 1 && state.pendingcb === 1 && underWay !== 0;
  end();
  // The very bits and numbers that the end of a write takes back, since ours are taken back by hand.
  const takenBack = (during & ~(state[symbol] ?? 0)) === underWay && state.length === 0 && state.writelen === 0;
  return entered && takenBack ? { symbol, underWay } : undefined;
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
  /** The bits of the stream since a write of ours was entered there; nothing was asked of it as long as they stay. 0: it ends the write. */
  entered = 0;
  /** Under way, and nobody is told of its end; who wants to know looks. */
  unheard: Request | undefined = undefined;

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
 * for it, and `end` and `drain` are what they always are. Where that cannot be, the stream writes.
 *
 * TLS says of every write that it completes later, though it nearly always has left. To be told costs a call from the
 * runtime a write; so nobody is told, and the next who writes, ends or asks looks whether it is complete.
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

  /** What has been written and not left. */
  get backlogBytes(): number {
    const way = this.way;
    if (way === undefined) return this.socket.writableLength;
    if (way.unheard !== undefined) this.lookAt(way, way.unheard);
    return way.state.length;
  }

  /** The stream holds more than it should. */
  get full(): boolean {
    return !this.untouched && this.socket.writableNeedDrain;
  }

  /** The stream is ended or destroyed. */
  get shut(): boolean {
    return !this.untouched && (this.socket.destroyed || this.socket.writableEnded);
  }

  /** Nothing was asked of the stream, by its bits: a look at one number, for what is asked several times a message. */
  private get untouched(): boolean {
    const way = this.way;
    if (way === undefined) return false;
    const bits = way.state[way.symbol] ?? 0;
    return bits === way.idle || (bits === way.entered && bits !== 0);
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
    if (way.unheard !== undefined) this.hear(way, way.unheard);
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
    if (way === undefined) return undefined;
    const bits = way.state[way.symbol] ?? 0;
    // A write of no length, by somebody else.
    if ((bits & way.underWay) !== 0) return undefined;
    way.idle = bits;
    return way;
  }

  private open(socket: Socket): Way | undefined {
    const flags = flagsOf();
    if (flags === undefined) return undefined;
    const handle: unknown = Reflect.get(socket, '_handle');
    const state: unknown = Reflect.get(socket, '_writableState');
    if (!isHandle(handle) || !isWriteState(state, flags.symbol)) return undefined;
    const way = new Way(handle, state, flags, isTlsSocket(socket));
    if (way.copies) {
      tellBefore(socket, () => {
        if (way.unheard !== undefined) this.hear(way, way.unheard);
      });
    }
    this.way = way;
    return way;
  }

  /** From now on its end is told, unless it has ended. */
  private hear(way: Way, request: Request): void {
    if (this.lookAt(way, request)) return;
    way.unheard = undefined;
    request.oncomplete = this.onComplete;
  }

  private lookAt(way: Way, request: Request): boolean {
    const status = request.writeStatus;
    if (typeof status !== 'number') return false;
    way.unheard = undefined;
    request.writeStatus = null;
    const { state } = way;
    // Whoever writes just now is told after that, as within a write of the stream.
    if (status < 0) state.sync = true;
    this.completed(status);
    if (status < 0) state.sync = false;
    return true;
  }

  private later(way: Way, result: number | Request, content: Buffer | string): void {
    const { state, symbol, underWay } = way;
    state.length += content.length;
    state.writelen = content.length;
    state.pendingcb++;
    state[symbol] = (state[symbol] ?? 0) | underWay;
    if (state.length >= state.highWaterMark) state.needDrain = true;
    // As within a write of the stream: what is known already is told after it.
    state.sync = true;
    way.entered = 0;
    this.outcome(way, result, content);
    state.sync = false;
    // Who waits for `drain` is told by the stream.
    if (!state.needDrain) way.entered = state[symbol] ?? 0;
  }

  private outcome(way: Way, result: number | Request, content: Buffer | string): void {
    if (typeof result === 'number') {
      this.completed(result);
      return;
    }
    if (typeof result.error === 'string') {
      way.state.onwrite(failure(result.error));
      return;
    }
    if (this.lookAt(way, result)) return;
    // What waits for `drain` cannot look.
    if (way.copies && !way.state.needDrain && isRead(this.socket)) {
      way.unheard = result;
      return;
    }
    result.oncomplete = this.onComplete;
    if (!way.copies) result.buffer = content;
  }

  private completed(status: number): void {
    const way = this.way;
    if (way === undefined || (status >= 0 && takenOut(way))) return;
    const failed = status < 0 && !this.socket.destroyed;
    way.state.onwrite(failed ? failure(getSystemErrorName(status)) : null);
  }
}

/**
 * Takes a write that is complete out of the stream's state, where nobody has asked anything of the stream since it was
 * entered: no more was written, nobody ends it or waits for `drain`. TLS completes all of its writes later.
 */
function takenOut({ state, symbol, underWay, entered }: Way): boolean {
  if (state[symbol] !== entered || entered === 0 || state.length !== state.writelen) return false;
  state.length = 0;
  state.writelen = 0;
  state.pendingcb--;
  state[symbol] = entered & ~underWay;
  return true;
}

/** Whether a peer that is gone would be seen without a write that fails. */
const isRead = (socket: Duplex): boolean => !socket.readableEnded && socket.readableFlowing !== false;

/**
 * Calls `tell` before anything that a stream queues behind a write (more to write, or its end, be it the runtime's own), and
 * when it is not read any more.
 */
function tellBefore(socket: Socket, tell: () => void): void {
  socket.once('end', tell);
  for (const name of ['write', 'end', 'pause'] as const) {
    const method = socket[name];
    Reflect.set(socket, name, (...args: unknown[]): unknown => {
      tell();
      return Reflect.apply(method, socket, args);
    });
  }
}

/** As the runtime's own of a failed write. */
const failure = (code: string): Error => Object.assign(new Error(`write ${code}`), { code, syscall: 'write' });
