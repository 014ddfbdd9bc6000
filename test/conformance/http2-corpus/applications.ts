/** Applications that keep what reaches them: in HTTP/1 octet for octet, in HTTP/2 stream for stream. */
import type { Duplex } from 'node:stream';
import { readRequests, styles } from '../http1-corpus/lenient.ts';
import { RecordingOrigin } from '../http1-corpus/origin.ts';
import type { Forwarded } from './case.ts';
import { RawHttp2 } from './peer.ts';
import { data, headers } from './wire.ts';

export interface Reading {
  readonly reader: string;
  readonly requests: readonly SeenRequest[];
}

export interface SeenRequest extends Omit<Forwarded, 'fields'> {
  readonly fields: ReadonlyMap<string, string>;
}

export interface RecordingApplication {
  begin(): void;
  accept(stream: Duplex): void;
  /** What came since `begin`, as each reader takes it. */
  readings(): readonly Reading[];
}

export class Http1Application implements RecordingApplication {
  private readonly origin = new RecordingOrigin((stream) =>
    stream.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
  );

  begin(): void {
    this.origin.begin();
  }

  accept(stream: Duplex): void {
    this.origin.accept(stream);
  }

  readings(): readonly Reading[] {
    return styles.map((style) => ({
      reader: style.name,
      requests: this.origin.streams
        .flatMap((text) => readRequests(text, style).messages)
        .map((seen) => ({ ...seen, authority: seen.fields.get('host') ?? '' })),
    }));
  }
}

const joined = (head: readonly (readonly [string, string])[]): ReadonlyMap<string, string> => {
  const fields = new Map<string, string>();
  for (const [name, value] of head) {
    const before = fields.get(name.toLowerCase());
    fields.set(name.toLowerCase(), before === undefined ? value : `${before},${value}`);
  }
  return fields;
};

/** Counts only streams that have ended: one that is reset is no request. */
export class Http2Application implements RecordingApplication {
  private readonly peers = new Set<RawHttp2>();

  begin(): void {
    for (const peer of this.peers) {
      if (peer.ended) this.peers.delete(peer);
      else peer.streams.clear();
    }
  }

  accept(stream: Duplex): void {
    this.peers.add(
      new RawHttp2(stream, {
        side: 'server',
        onEnd: (id, peer) => peer.send(headers(id, [[':status', '200']], false), data(id, 'ok')),
      }),
    );
  }

  readings(): readonly Reading[] {
    const requests: SeenRequest[] = [];
    for (const peer of this.peers) {
      for (const stream of peer.streams.values()) {
        const [head] = stream.heads;
        if (!stream.ended || head === undefined) continue;
        const fields = joined(head);
        requests.push({
          method: fields.get(':method') ?? '',
          target: fields.get(':path') ?? '',
          authority: fields.get(':authority') ?? '',
          body: stream.text,
          fields,
        });
      }
    }
    return [{ reader: 'HTTP/2', requests }];
  }
}
