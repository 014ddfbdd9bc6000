/** The name that a client says in plain sight: for logs and lists alone, nothing is decided by it. */
import { DETECT_BYTES_MAX, detect, leaning } from './detect.ts';

const NAME_CHARS_MAX = 253;
const HOST_FIELD = /\r?\nhost:[ \t]*([!-~]{1,300})/i;
const printable = /^[!-~]+$/;

/** Host of a request, or server name of a ClientHello; empty where there is none (yet). */
export function nameIn(bytes: Buffer): string {
  const found = detect(bytes);
  if (found === 'more' || found.kind === 'opaque' || found.kind === 'http2') return '';
  if (found.kind === 'tls') return found.serverName.slice(0, NAME_CHARS_MAX);
  const head = bytes.toString('latin1', 0, Math.min(bytes.length, DETECT_BYTES_MAX));
  const host = HOST_FIELD.exec(head)?.[1] ?? '';
  return printable.test(host) ? host.slice(0, NAME_CHARS_MAX).toLowerCase() : '';
}

/** Looks at bytes that pass by until a name is found or there can be none; then returns false, and holds nothing. */
export function watchName(onName: (name: string) => void): (chunk: Buffer) => boolean {
  let seen: Buffer | undefined;
  return (chunk) => {
    // Chunks may be lent: what is kept is copied.
    seen = seen === undefined ? Buffer.from(chunk.subarray(0, DETECT_BYTES_MAX)) : Buffer.concat([seen, chunk]);
    const name = nameIn(seen);
    if (name !== '') {
      onName(name);
      return false;
    }
    return seen.length < DETECT_BYTES_MAX && detect(seen) === 'more' && leaning(seen) !== 'unknown';
  };
}
