import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import type { AccessLog } from '@weft/policies/model/access-log';
import type { AccessLogOutput } from './log/line-buffer.ts';

function open(log: Pick<AccessLog, 'kind' | 'path'> | undefined): Writable {
  switch (log?.kind) {
    case 'file':
      return createWriteStream(log.path, { flags: 'a' });
    case 'stderr':
      return process.stderr;
    default:
      return process.stdout;
  }
}

/** Output of the access log (undefined: stdout), without blocking the path: what does not fit waits, bounded. */
export function streamOutput(log: Pick<AccessLog, 'kind' | 'path'> | undefined): AccessLogOutput {
  const stream = open(log);
  // A log that cannot be written must not take traffic down; its lines are lost.
  stream.on('error', () => {});
  return {
    write: (text) => stream.write(text),
    onDrain: (listener) => {
      stream.on('drain', listener);
    },
  };
}
