import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DnsCache } from '../model/dns-cache.ts';
import type { At } from './decoding.ts';
import { Cluster_DnsLookupFamily as Family } from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import type {
  DnsCacheConfig,
  DnsCacheConfigSchema,
} from './gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.ts';
import { decodeDuration, encodeDuration } from './values.ts';

/** Envoy's defaults. */
const REFRESH_DEFAULT_MS = 60_000;
const IDLE_DEFAULT_MS = 300_000;
const HOSTS_DEFAULT = 1_024;

export const encodeDnsCache = (cache: DnsCache): MessageInitShape<typeof DnsCacheConfigSchema> => ({
  name: cache.name,
  dnsLookupFamily: Family.ALL,
  dnsRefreshRate: encodeDuration(cache.refreshMs),
  hostTtl: encodeDuration(cache.idleMs),
  maxHosts: cache.hostsMax,
});

export function decodeDnsCache(config: DnsCacheConfig | undefined, at: At): DnsCache {
  const empty = { name: '', hostsMax: HOSTS_DEFAULT, refreshMs: REFRESH_DEFAULT_MS, idleMs: IDLE_DEFAULT_MS };
  if (config === undefined) return at.fail('is required', empty);
  if (config.name === '') at.field('name').fail('is required', undefined);
  const family = config.dnsLookupFamily;
  if (family !== Family.ALL && family !== Family.AUTO) {
    at.field('dns_lookup_family').fail('is not supported by Weft here; leave it, or set ALL', undefined);
  }
  const hostsMax = config.maxHosts ?? HOSTS_DEFAULT;
  if (hostsMax === 0) at.field('max_hosts').fail('has to be at least 1', undefined);
  return {
    name: config.name,
    hostsMax,
    refreshMs: atLeastOne(
      decodeDuration(config.dnsRefreshRate, REFRESH_DEFAULT_MS, at.field('dns_refresh_rate')),
      at.field('dns_refresh_rate'),
    ),
    idleMs: atLeastOne(decodeDuration(config.hostTtl, IDLE_DEFAULT_MS, at.field('host_ttl')), at.field('host_ttl')),
  };
}

const atLeastOne = (ms: number, at: At): number => (ms >= 1 ? ms : at.fail('has to be at least 1 ms', 1));
