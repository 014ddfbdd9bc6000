import { createWriteStream } from 'node:fs';
import type { AccessLogOutput } from './access-log.ts';

/** stdout or a file as output of the access log, without blocking the path: what does not fit waits, bounded. */
export function streamOutput(path: string | undefined): AccessLogOutput {
  const stream = path === undefined ? process.stdout : createWriteStream(path, { flags: 'a' });
  // A log that cannot be written must not take traffic down; its lines are lost.
  stream.on('error', () => {});
  return {
    write: (text) => stream.write(text),
    onDrain: (listener) => {
      stream.on('drain', listener);
    },
  };
}
