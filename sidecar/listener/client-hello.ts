/** What a TLS ClientHello asks for (RFC 8446 section 4.1.2). */
export interface ClientHello {
  /** Lower case; empty if there is none. */
  readonly serverName: string;
  readonly alpn: readonly string[];
}

type ClientHelloResult = ClientHello | 'more' | 'invalid';

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const RECORD_BYTES_MAX = 16_384;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;
const PROTOCOLS_MAX = 32;

/** A reader that fails by returning nothing more: `ok` is looked at once, at the end. */
class Cursor {
  ok = true;
  private readonly bytes: Buffer;
  private at: number;
  private readonly end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  skip(count: number): number {
    const at = this.at;
    if (count > this.left) {
      this.ok = false;
      this.at = this.end;
      return this.end;
    }
    this.at += count;
    return at;
  }

  number(bytes: 1 | 2): number {
    const at = this.skip(bytes);
    return this.ok ? this.bytes.readUIntBE(at, bytes) : 0;
  }

  /** A vector with a length prefix of that many bytes. */
  vector(prefixBytes: 1 | 2): Cursor {
    const length = this.number(prefixBytes);
    const at = this.skip(length);
    const inner = new Cursor(this.bytes, at, this.ok ? at + length : at);
    if (!this.ok) inner.ok = false;
    return inner;
  }

  text(): string {
    const at = this.at;
    this.at = this.end;
    return this.bytes.toString('latin1', at, this.end);
  }
}

/**
 * Joins the handshake bytes of the records that are there (RFC 8446 section 5.1). A hello with a post-quantum key share
 * is larger than one packet, and a client may spread it over several records.
 */
function handshakeBytes(bytes: Buffer): Buffer | 'more' | 'invalid' {
  const fragments: Buffer[] = [];
  let at = 0;
  let total = 0;
  let wanted = 4;
  while (total < wanted) {
    if (at < bytes.length && bytes[at] !== HANDSHAKE_RECORD) return 'invalid';
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return 'invalid';
    if (at + 5 > bytes.length) return 'more';
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > RECORD_BYTES_MAX) return 'invalid';
    const fragment = bytes.subarray(at + 5, Math.min(bytes.length, at + 5 + length));
    fragments.push(fragment);
    total += fragment.length;
    at += 5 + length;
    if (total >= 4 && wanted === 4) {
      const head = fragments.length === 1 ? fragment : Buffer.concat(fragments);
      if (head[0] !== CLIENT_HELLO) return 'invalid';
      wanted = 4 + head.readUIntBE(1, 3);
    }
    if (at > bytes.length && total < wanted) return 'more';
  }
  const all = fragments.length === 1 ? fragments[0] : Buffer.concat(fragments);
  return all === undefined ? 'more' : all.subarray(4, wanted);
}

export function parseClientHello(bytes: Buffer): ClientHelloResult {
  const body = handshakeBytes(bytes);
  if (body === 'more' || body === 'invalid') return body;
  const hello = new Cursor(body, 0, body.length);
  hello.skip(2 + 32);
  const sessionId = hello.vector(1);
  const cipherSuites = hello.vector(2);
  const compression = hello.vector(1);
  if (!hello.ok || !sessionId.ok || !cipherSuites.ok || !compression.ok || cipherSuites.left === 0) return 'invalid';
  let serverName = '';
  let alpn: readonly string[] = [];
  if (hello.left === 0) return { serverName, alpn };
  const extensions = hello.vector(2);
  while (extensions.ok && extensions.left > 0) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    if (!data.ok) return 'invalid';
    if (type === EXTENSION_SERVER_NAME) serverName = readServerName(data);
    else if (type === EXTENSION_ALPN) alpn = readProtocols(data);
  }
  return hello.ok && extensions.ok ? { serverName, alpn } : 'invalid';
}

/** RFC 6066 section 3. */
function readServerName(data: Cursor): string {
  const list = data.vector(2);
  while (list.ok && list.left > 0) {
    const type = list.number(1);
    const name = list.vector(2);
    if (type === 0 && name.ok) return name.text().toLowerCase();
  }
  return '';
}

/** RFC 7301 section 3.1. */
function readProtocols(data: Cursor): readonly string[] {
  const list = data.vector(2);
  const protocols: string[] = [];
  while (list.ok && list.left > 0 && protocols.length < PROTOCOLS_MAX) {
    const name = list.vector(1);
    if (name.ok) protocols.push(name.text());
  }
  return protocols;
}
