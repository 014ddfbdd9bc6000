/**
 * Which virtual host an authority belongs to: exact name, then the longest wildcard `*.example`, then `*`.
 * Compared without case and without port; a domain that is written with a port only takes that port.
 */
export class HostTable<T> {
  private readonly exact = new Map<string, T>();
  private readonly suffixes: { readonly suffix: string; readonly value: T }[] = [];
  private catchAll: T | undefined = undefined;

  /** The first to claim a domain keeps it. */
  add(domain: string, value: T): void {
    const name = domain.toLowerCase();
    if (name === '*') {
      this.catchAll ??= value;
    } else if (name.startsWith('*')) {
      const suffix = name.slice(1);
      if (this.suffixes.some((entry) => entry.suffix === suffix)) return;
      this.suffixes.push({ suffix, value });
      this.suffixes.sort((a, b) => b.suffix.length - a.suffix.length);
    } else if (!this.exact.has(name)) {
      this.exact.set(name, value);
    }
  }

  find(authority: string): T | undefined {
    if (this.exact.size === 0 && this.suffixes.length === 0) return this.catchAll;
    const name = authority.toLowerCase();
    const host = hostOf(name);
    const exact = this.exact.get(name) ?? this.exact.get(host);
    if (exact !== undefined) return exact;
    for (const { suffix, value } of this.suffixes) {
      // The wildcard stands for at least one character: `*.example` does not take `.example`.
      if (host.length > suffix.length && host.endsWith(suffix)) return value;
    }
    return this.catchAll;
  }
}

/** The host of an authority without its port; an IPv6 address keeps its brackets (RFC 3986 section 3.2.2). */
export function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(':');
  if (colon === -1 || authority.indexOf(']', colon) !== -1) return authority;
  return authority.slice(0, colon);
}
