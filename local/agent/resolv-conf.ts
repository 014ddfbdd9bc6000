import type { Pod } from '../client/objects.ts';

/** resolv.conf(5) allows more, musl and old glibc do not: the Kubernetes bounds. */
const SEARCHES_MAX = 32;

/** The pod's resolv.conf under dnsPolicy ClusterFirst: cluster DNS, the namespace's search list, ndots 5. */
export function resolvConf(pod: Pod, nameservers: readonly string[], clusterDomain: string): string {
  const namespace = pod.metadata.namespace ?? 'default';
  const own = pod.spec.dnsConfig;
  const alone = pod.spec.dnsPolicy === 'None';
  const servers = [...(own?.nameservers ?? []), ...(alone ? [] : nameservers)];
  const searches = [
    ...(alone ? [] : [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain]),
    ...(own?.searches ?? []),
  ].slice(0, SEARCHES_MAX);
  const options = new Map<string, string | undefined>(alone ? [] : [['ndots', '5']]);
  for (const option of own?.options ?? []) options.set(option.name, option.value);
  const lines = [
    ...(searches.length === 0 ? [] : [`search ${searches.join(' ')}`]),
    ...servers.slice(0, 3).map((server) => `nameserver ${server}`),
  ];
  if (options.size > 0) {
    lines.push(
      `options ${[...options].map(([name, value]) => (value === undefined ? name : `${name}:${value}`)).join(' ')}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

export function podHostname(pod: Pod): string {
  return (pod.spec.hostname ?? pod.metadata.name).slice(0, 63).replace(/[-.]+$/, '');
}

export function hostsFile(pod: Pod, podIps: readonly string[], clusterDomain: string): string {
  const hostname = podHostname(pod);
  const subdomain = pod.spec.subdomain;
  const full =
    subdomain === undefined ? '' : `${hostname}.${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}\t`;
  const lines = [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...podIps.map((ip) => `${ip}\t${full}${hostname}`),
    ...(pod.spec.hostAliases ?? []).map((alias) => `${alias.ip}\t${(alias.hostnames ?? []).join('\t')}`),
  ];
  return `${lines.join('\n')}\n`;
}
