/** An application that keeps every octet that reaches it, connection by connection. */
import type { Duplex } from 'node:stream';
import { readRequests, type Style, styles } from './lenient.ts';

const reader: Style | undefined = styles.find(({ prefers, foldsNames }) => prefers === 'chunks' && !foldsNames);
if (reader === undefined) throw new Error('no reader');

class Connection {
  text = '';
  answered = 0;
}

export class RecordingOrigin {
  private connections: Connection[] = [];
  private readonly respond: (stream: Duplex, target: string) => void;

  constructor(respond: (stream: Duplex, target: string) => void) {
    this.respond = respond;
  }

  /** Forgets what came until now. */
  begin(): void {
    this.connections = this.connections.filter((connection) => connection.text !== '' || connection.answered === 0);
    for (const connection of this.connections) {
      connection.text = '';
      connection.answered = 0;
    }
  }

  /** What came since then, of each connection. */
  get streams(): readonly string[] {
    return this.connections.map(({ text }) => text).filter((text) => text !== '');
  }

  accept(stream: Duplex): void {
    const connection = new Connection();
    this.connections.push(connection);
    stream.on('data', (bytes: Buffer) => {
      if (!this.connections.includes(connection)) this.connections.push(connection);
      connection.text += bytes.toString('latin1');
      const { messages } = readRequests(connection.text, reader as Style);
      for (const message of messages.slice(connection.answered)) {
        connection.answered++;
        this.respond(stream, message.target);
      }
    });
    stream.on('end', () => stream.end());
    stream.on('error', () => stream.destroy());
  }
}
