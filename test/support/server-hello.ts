/** The group of a ServerHello's key_share (RFC 8446 sections 4.1.3 and 4.2.8); 0: it has none. */
export function groupOf(serverHello: Buffer): number {
  // Record and handshake headers, version, random; then what the client sent as session id comes back.
  let at = 5 + 4 + 2 + 32;
  at += 1 + (serverHello[at] ?? 0) + 2 + 1;
  const end = at + 2 + serverHello.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + serverHello.readUInt16BE(at + 2)) {
    if (serverHello.readUInt16BE(at) === 0x33) return serverHello.readUInt16BE(at + 4);
  }
  return 0;
}
