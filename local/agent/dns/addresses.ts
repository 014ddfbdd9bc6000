import { isIP } from 'node:net';

/** Addresses as the bytes of A and AAAA records, and the names under which PTR asks for them. */

export function addressBytes(address: string): Buffer | undefined {
  switch (isIP(address)) {
    case 4:
      return Buffer.from(address.split('.').map(Number));
    case 6:
      return v6Bytes(address);
    default:
      return undefined;
  }
}

function v6Bytes(address: string): Buffer | undefined {
  const plain = address.split('%')[0] ?? '';
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  const tail = dotted === null ? [] : (dotted[2] ?? '').split('.').map(Number);
  const hex = dotted === null ? plain : `${dotted[1]}${tailWord(tail, 0)}:${tailWord(tail, 2)}`;
  const [left = '', right] = hex.split('::');
  const head = left === '' ? [] : left.split(':');
  const rest = right === undefined || right === '' ? [] : right.split(':');
  const zeros = right === undefined ? 0 : 8 - head.length - rest.length;
  const words = [...head, ...Array<string>(Math.max(0, zeros)).fill('0'), ...rest];
  if (words.length !== 8) return undefined;
  const bytes = Buffer.alloc(16);
  for (const [index, word] of words.entries()) bytes.writeUInt16BE(Number.parseInt(word, 16), index * 2);
  return bytes;
}

const tailWord = (tail: readonly number[], at: number): string =>
  (((tail[at] ?? 0) << 8) | (tail[at + 1] ?? 0)).toString(16);

/** RFC 1035 section 3.5 and RFC 3596 section 2.5. */
export function reverseName(address: string): string | undefined {
  const bytes = addressBytes(address);
  if (bytes === undefined) return undefined;
  if (bytes.length === 4) return `${[...bytes].reverse().join('.')}.in-addr.arpa`;
  return `${[...bytes.toString('hex')].reverse().join('.')}.ip6.arpa`;
}
