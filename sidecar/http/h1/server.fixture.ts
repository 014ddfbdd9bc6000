import type { Duplex } from 'node:stream';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits, type HttpLimits } from '@weft/policies/model/listener';
import type { Dispatch } from '../exchange.ts';
import { serveHttp1 } from './server.ts';
import type { Http1ServerConnection } from './server-options.ts';
import { answer, duplexPair, TestRecorder, testConnection } from './testing.ts';

export interface Served {
  readonly client: Duplex;
  readonly connection: Http1ServerConnection;
  readonly recorder: TestRecorder;
  readonly clock: ManualClock;
  readonly received: () => string;
  readonly closed: Promise<void>;
  /** Resolves when the text has come, or the connection is closed. */
  until(text: string): Promise<string>;
}

/** The server codec behind one end of a connection in memory, on a clock that stands still. */
export function serve(dispatch: Dispatch, limits: Partial<HttpLimits> = {}): Served {
  const [client, socket] = duplexPair();
  const recorder = new TestRecorder();
  const clock = new ManualClock();
  let text = '';
  let onChange = (): void => undefined;
  client.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1').replaceAll(/Date: [^\r]*\r\n/g, '');
    onChange();
  });
  client.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    client.on('close', () => resolve());
    client.on('end', () => resolve());
  });
  const connection = serveHttp1(socket, testConnection, {
    limits: { ...defaultHttpLimits, ...limits },
    dispatch,
    clock,
    recorder,
    direction: 'inbound',
  });
  const until = (wanted: string): Promise<string> =>
    new Promise((resolve) => {
      onChange = () => {
        if (text.includes(wanted)) resolve(text);
      };
      onChange();
      void closed.then(() => resolve(text));
    });
  return { client, connection, recorder, clock, received: () => text, closed, until };
}

/** Answers with what it received, once the request is complete. */
export const echo: Dispatch = (exchange) => {
  let body = '';
  let trailers = '';
  const reply = (): void => answer(exchange, 200, `${exchange.head.method} ${exchange.head.path} ${body}${trailers}`);
  exchange.receiver = {
    onData(chunk, end) {
      body += chunk.toString('latin1');
      exchange.consumed(chunk.length);
      if (end) reply();
    },
    onTrailers(fields) {
      fields.forEach((name, value) => {
        trailers += `|${name}=${value}`;
      });
      reply();
    },
    onReset: () => undefined,
    onWritable: () => undefined,
    onDone: () => undefined,
  };
  if (exchange.endOfRequest) reply();
};
