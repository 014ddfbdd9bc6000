/** Clusters whose host is the one that a request or a ClientHello names (Envoy's dynamic_forward_proxy): one below each. */
import type { Cluster } from '@weft/policies/model/cluster';

const NAME_CHARS_MAX = 253;
/** RFC 1123 section 2.1, and the underscore that is out there all the same. Never an address. */
const HOST_NAME = /^(?=.*[a-z_])[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?)*$/;

/** The host of an authority as a name to look up, in lower case; undefined: an address, or nothing that DNS knows. */
export function hostNameOf(authority: string): string | undefined {
  const colon = authority.lastIndexOf(':');
  const host = (colon === -1 ? authority : authority.slice(0, colon)).toLowerCase();
  if (host.length > NAME_CHARS_MAX || !HOST_NAME.test(host)) return undefined;
  // A last label that is a number makes an IPv4 address of it (WHATWG URL, "ends in a number").
  return /(^|\.)([0-9]+|0x[0-9a-f]*)$/.test(host) ? undefined : host;
}

/** `*.example.com` is every name below `example.com`, and not that name itself. */
export const matchesPattern = (host: string, pattern: string): boolean =>
  pattern === '' ||
  (pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) && host.length >= pattern.length : host === pattern);

interface Derived {
  readonly parent: string;
  readonly host: string;
}

export class DynamicHosts {
  private readonly derived = new Map<string, Derived>();
  private readonly made = new WeakMap<Cluster, Map<string, Cluster>>();

  get size(): number {
    return this.derived.size;
  }

  /** The cluster of one host below a dynamic one; undefined: no name that it may be asked for. */
  derive(parent: Cluster, authority: string): Cluster | undefined {
    const { discovery } = parent;
    if (discovery.kind !== 'dynamic') return undefined;
    const host = hostNameOf(authority);
    if (host === undefined || !matchesPattern(host, discovery.pattern)) return undefined;
    let known = this.made.get(parent);
    if (known === undefined) {
      known = new Map();
      this.made.set(parent, known);
    }
    let cluster = known.get(host);
    if (cluster === undefined) {
      cluster = named(parent, discovery, host);
      known.set(host, cluster);
    }
    return cluster;
  }

  remember(cluster: Cluster, parent: string, authority: string): void {
    this.derived.set(cluster.name, { parent, host: hostNameOf(authority) ?? '' });
  }

  parentOf(name: string): Derived | undefined {
    return this.derived.get(name);
  }

  /** Also one that was derived and never remembered. */
  forget(parent: Cluster | undefined, name: string): void {
    const host = this.derived.get(name)?.host ?? (parent && name.slice(nameBelow(parent, '').length));
    this.derived.delete(name);
    if (parent !== undefined && host !== undefined) this.made.get(parent)?.delete(host);
  }

  /** Clusters that are kept for the hosts below this one. */
  madeFor(parent: Cluster): number {
    return this.made.get(parent)?.size ?? 0;
  }
}

const nameBelow = (parent: Cluster, host: string): string => `${parent.name}#${host}`;

function named(parent: Cluster, discovery: Extract<Cluster['discovery'], { kind: 'dynamic' }>, host: string): Cluster {
  const port = discovery.port === 0 ? (parent.tls === undefined ? 80 : 443) : discovery.port;
  const { sniFromHost: fromHost, tls } = parent;
  const validation = tls?.validation;
  return {
    ...parent,
    name: nameBelow(parent, host),
    discovery: { kind: 'strict-dns', hosts: [{ host, port }], refreshMs: discovery.cache.refreshMs },
    tls:
      tls === undefined || fromHost !== true
        ? tls
        : {
            ...tls,
            sni: host,
            validation: validation && {
              ...validation,
              subjectAltNames:
                validation.subjectAltNames.length > 0
                  ? validation.subjectAltNames
                  : [{ type: 'dns', match: { kind: 'exact', value: host } }],
            },
          },
  };
}
