/** RFC 9113 section 8.2.2. Asked of every field that is sent: the length tells nearly all of them apart. */
export function isConnectionField(lower: string): boolean {
  switch (lower.length) {
    case 7:
      return lower === 'upgrade';
    case 10:
      return lower === 'connection' || lower === 'keep-alive';
    case 16:
      return lower === 'proxy-connection';
    case 17:
      return lower === 'transfer-encoding';
    default:
      return false;
  }
}
