import { createServer, type Server, type Socket } from 'node:net';
import { type Fault, type Field, fieldOf, type Received } from './case.ts';
import { type BodyEnd, H1Reader } from './h1-reader.ts';
import { ownFields, type Play, type Script, sideOf } from './origin.ts';

const lines = (fields: readonly Field[]): string => fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');

const hasNoBody = (method: string, status: number): boolean => method === 'HEAD' || status === 204 || status === 304;

function head(play: Play, application: string): string {
  const { answer, status, id } = play;
  const length = answer.chunks.join('').length;
  const framing: Field[] =
    answer.framing === 'length' && status !== 204
      ? [['Content-Length', String(length)]]
      : answer.framing === 'chunked' && status !== 204
        ? [['Transfer-Encoding', 'chunked']]
        : [];
  const closing: Field[] = answer.closing || answer.framing === 'close' ? [['Connection', 'close']] : [];
  const all = [...ownFields(id, application), ...answer.fields, ...framing, ...closing];
  return `HTTP/1.1 ${status} Status ${status}\r\n${lines(all)}\r\n`;
}

function bodyParts({ answer }: Play): readonly string[] {
  if (answer.framing !== 'chunked') return answer.chunks;
  const chunks = answer.chunks
    .filter((chunk) => chunk !== '')
    .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
  return [...chunks, `0\r\n${lines(answer.trailers)}\r\n`];
}

/** One connection that a proxy has made. */
class OriginConnection {
  private readonly socket: Socket;
  private readonly application: string;
  private readonly script: Script;
  private readonly reader: H1Reader;
  private current: Received | undefined = undefined;
  private play: Play | undefined = undefined;

  constructor(socket: Socket, application: string, script: Script) {
    this.socket = socket;
    this.application = application;
    this.script = script;
    this.reader = new H1Reader({
      head: (startLine, fields) => this.onHead(startLine, fields),
      body: (text) => {
        if (this.current !== undefined) this.current.body += text;
      },
      end: (trailers) => this.onEnd(trailers),
      broken: () => socket.destroy(),
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.reader.push(chunk));
    socket.on('error', () => socket.destroy());
  }

  private onHead(startLine: string, fields: readonly Field[]): BodyEnd {
    const [method = '', target = ''] = startLine.split(' ');
    this.current = {
      application: this.application,
      method,
      target,
      authority: fieldOf(fields, 'host') ?? '',
      fields: fields.filter(([name]) => name.toLowerCase() !== 'host'),
      body: '',
      trailers: [],
      complete: false,
    };
    this.play = this.script.take(sideOf(this.socket.localAddress), this.current);
    if (this.play.answer.early) this.answerLater(this.play, method);
    // RFC 9110 section 10.1.1: who waits for the body says so.
    else if (fieldOf(fields, 'expect') !== undefined) this.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    if (fieldOf(fields, 'transfer-encoding') !== undefined) return 'chunked';
    return Number(fieldOf(fields, 'content-length') ?? '0');
  }

  private onEnd(trailers: readonly Field[]): void {
    const { current, play } = this;
    if (current === undefined || play === undefined) return;
    current.trailers = trailers;
    current.complete = true;
    if (!play.answer.early) this.answerLater(play, current.method);
  }

  private answerLater(play: Play, method: string): void {
    if (play.answer.delayMs === 0) this.answer(play, method);
    else setTimeout(() => this.answer(play, method), play.answer.delayMs);
  }

  private answer(play: Play, method: string): void {
    const { fault, answer, status } = play;
    if (this.socket.destroyed) return;
    if (fault?.where === 'before-head') {
      this.fail(fault.how);
      return;
    }
    let text = answer.interim.map((code) => `HTTP/1.1 ${code} Interim\r\nX-Interim: ${code}\r\n\r\n`).join('');
    const whole = head(play, this.application);
    if (fault?.where === 'mid-head') {
      this.failAfter(text + whole.slice(0, whole.length / 2), fault.how);
      return;
    }
    text += whole;
    const parts = hasNoBody(method, status) ? [] : bodyParts(play);
    if (fault !== undefined) {
      const body = parts.join('');
      // The last octet is never sent, so that what is missing shows.
      this.failAfter(text + body.slice(0, fault.where === 'after-head' ? 0 : body.length / 2), fault.how);
      return;
    }
    this.socket.write(text + parts.join(''), 'latin1');
    if (answer.closing || answer.framing === 'close') this.socket.end();
  }

  /** A reset takes what was sent before with it unless that was read: the proxy gets a moment. */
  private failAfter(text: string, how: Fault['how']): void {
    this.socket.write(text, 'latin1');
    if (how === 'reset') setTimeout(() => this.fail(how), 15);
    else this.fail(how);
  }

  private fail(how: Fault['how']): void {
    if (this.socket.destroyed) return;
    if (how === 'reset') this.socket.resetAndDestroy();
    else {
      this.socket.end();
      this.socket.destroySoon();
    }
  }
}

export function originH1(application: string, script: Script, sockets: Set<Socket>): Server {
  return createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    new OriginConnection(socket, application, script);
  });
}
