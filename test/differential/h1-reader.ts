/** A plain reader of HTTP/1 messages, for the client and the applications of the rig; nothing of Weft's is in it. */
import type { Field } from './case.ts';

/** Length of the body, or how its end is told. */
export type BodyEnd = number | 'chunked' | 'close';

export interface MessageSink {
  /** The head of a message; tells how its body ends. */
  head(startLine: string, fields: readonly Field[]): BodyEnd;
  body(text: string): void;
  end(trailers: readonly Field[]): void;
  broken(why: string): void;
}

type State = 'head' | 'length' | 'close' | 'size' | 'chunk' | 'chunk-end' | 'trailers' | 'broken';

export function parseFieldLines(lines: readonly string[]): readonly Field[] {
  return lines.map((line): Field => {
    const colon = line.indexOf(':');
    return colon === -1 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}

export class H1Reader {
  private readonly sink: MessageSink;
  private text = '';
  private state: State = 'head';
  private left = 0;

  constructor(sink: MessageSink) {
    this.sink = sink;
  }

  /** Nothing of a message has come since the last one ended. */
  get idle(): boolean {
    return this.state === 'head' && this.text === '';
  }

  push(chunk: Buffer): void {
    this.text += chunk.toString('latin1');
    while (this.step()) {
      // Until more octets are needed.
    }
  }

  /** No more octets will come. */
  finish(): void {
    if (this.state === 'close') {
      this.state = 'head';
      this.sink.end([]);
    } else if (!this.idle && this.state !== 'broken') this.fail('ends in the middle');
  }

  private fail(why: string): boolean {
    this.state = 'broken';
    this.sink.broken(why);
    return false;
  }

  private step(): boolean {
    switch (this.state) {
      case 'head':
        return this.readHead();
      case 'length':
        return this.readLength('head');
      case 'chunk':
        return this.readLength('chunk-end');
      case 'close': {
        const { text } = this;
        this.text = '';
        if (text !== '') this.sink.body(text);
        return false;
      }
      case 'size':
        return this.readSize();
      case 'chunk-end':
        if (this.text.length < 2) return false;
        if (!this.text.startsWith('\r\n')) return this.fail('a chunk does not end in CRLF');
        this.text = this.text.slice(2);
        this.state = 'size';
        return true;
      case 'trailers':
        return this.readTrailers();
      case 'broken':
        return false;
    }
  }

  private readHead(): boolean {
    const end = this.text.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const [startLine = '', ...lines] = this.text.slice(0, end).split('\r\n');
    this.text = this.text.slice(end + 4);
    const bodyEnd = this.sink.head(startLine, parseFieldLines(lines));
    if (bodyEnd === 0) this.sink.end([]);
    else if (bodyEnd === 'chunked') this.state = 'size';
    else if (bodyEnd === 'close') this.state = 'close';
    else {
      this.state = 'length';
      this.left = bodyEnd;
    }
    return true;
  }

  private readLength(next: State): boolean {
    if (this.left > 0) {
      const part = this.text.slice(0, this.left);
      if (part === '') return false;
      this.text = this.text.slice(part.length);
      this.left -= part.length;
      this.sink.body(part);
      if (this.left > 0) return false;
    }
    this.state = next;
    if (next === 'head') this.sink.end([]);
    return true;
  }

  private readSize(): boolean {
    const end = this.text.indexOf('\r\n');
    if (end === -1) return false;
    const digits = /^[0-9A-Fa-f]+/.exec(this.text.slice(0, end))?.[0];
    if (digits === undefined) return this.fail(`chunk size "${this.text.slice(0, end)}"`);
    this.text = this.text.slice(end + 2);
    this.left = Number.parseInt(digits, 16);
    this.state = this.left === 0 ? 'trailers' : 'chunk';
    return true;
  }

  private readTrailers(): boolean {
    if (this.text.startsWith('\r\n')) {
      this.text = this.text.slice(2);
      this.state = 'head';
      this.sink.end([]);
      return true;
    }
    const end = this.text.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const fields = parseFieldLines(this.text.slice(0, end).split('\r\n'));
    this.text = this.text.slice(end + 4);
    this.state = 'head';
    this.sink.end(fields);
    return true;
  }
}
