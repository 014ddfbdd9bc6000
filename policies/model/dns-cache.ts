/** Names that are looked up as somebody asks for them. Who shares a cache names it. */
export interface DnsCache {
  readonly name: string;
  /** Names at a time, in one data thread. */
  readonly hostsMax: number;
  readonly refreshMs: number;
  /** A name that nobody asked for is forgotten. */
  readonly idleMs: number;
}
