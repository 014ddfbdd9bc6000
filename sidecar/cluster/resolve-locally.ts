import { lookup } from 'node:dns';
import type { ResolveHost } from './strict-dns.ts';

/** getaddrinfo, as every program of the pod resolves names; both families. An address comes back as it is. */
export const resolveLocally: ResolveHost = (host, done) => {
  lookup(host, { all: true, verbatim: true }, (error, addresses) => {
    done(error === null ? { ips: addresses.map(({ address }) => address) } : { error: error.message });
  });
};
