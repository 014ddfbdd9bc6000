import { err, ok, type Result } from '../../kit/result.ts';

/** Textual encodings of PKIX structures, RFC 7468. */
type PemLabel = 'CERTIFICATE' | 'CERTIFICATE REQUEST' | 'PRIVATE KEY' | 'EC PRIVATE KEY' | 'PUBLIC KEY';

const PEM_BYTES_MAX = 1_048_576;
const block = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\s]*?)-----END ([A-Z0-9 ]+)-----/g;

export function encodePem(label: PemLabel, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** Every block of that label, in order; text between blocks is allowed (RFC 7468 section 2), blocks of other labels are skipped. */
export function decodePem(label: PemLabel, text: string): Result<readonly Uint8Array[], string> {
  if (text.length > PEM_BYTES_MAX) return err(`PEM text is longer than ${PEM_BYTES_MAX} bytes`);
  const found: Uint8Array[] = [];
  for (const [, begin, body = '', end] of text.matchAll(block)) {
    if (begin !== end) return err(`PEM block begins as ${begin} and ends as ${end}`);
    if (begin !== label) continue;
    const base64 = body.replaceAll(/\s/g, '');
    const bytes = Buffer.from(base64, 'base64');
    if (bytes.length === 0 || bytes.toString('base64') !== base64) return err(`PEM block ${label} is not base64`);
    found.push(new Uint8Array(bytes));
  }
  return found.length === 0 ? err(`no PEM block ${label}`) : ok(found);
}
