const NAME_BYTES_MAX = 255;
const made = new WeakMap<readonly string[], Buffer>();

/**
 * A list of protocols as TLS sends it (RFC 7301 section 3.1), made once for each list. Names that it has no room for, or
 * that are empty, cannot be agreed on.
 */
export function alpnList(protocols: readonly string[]): Buffer {
  let list = made.get(protocols);
  if (list === undefined) {
    const names = protocols.map((protocol) => Buffer.from(protocol)).filter(fits);
    list = Buffer.concat(names.flatMap((name) => [Buffer.of(name.length), name]));
    made.set(protocols, list);
  }
  return list;
}

const fits = ({ length }: Buffer): boolean => length > 0 && length <= NAME_BYTES_MAX;
