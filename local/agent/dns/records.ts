import type { EndpointSlice, Service } from '../../client/objects.ts';
import { addressBytes } from './addresses.ts';
import { CLASS_IN, type Data, type Question, RCODE, type ResourceRecord, type Response, TYPE } from './message.ts';

/** The cluster's names, as the "DNS-Based Service Discovery" specification of Kubernetes lays them out. */

const TTL_SECONDS = 5;

interface PortName {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

interface Host {
  readonly label: string;
  readonly addresses: readonly string[];
  readonly ports: readonly PortName[];
}

export interface ServiceView {
  readonly name: string;
  readonly namespace: string;
  /** Addresses under the Service's own name: its cluster IPs, or those of the ready endpoints of a headless one. */
  readonly addresses: readonly string[];
  readonly ports: readonly PortName[];
  readonly headless: boolean;
  readonly hosts: readonly Host[];
  readonly externalName: string | undefined;
}

/** Without a hostname of its own an endpoint is named by its address, as CoreDNS does. */
function hostLabel(hostname: string | undefined, address: string): string {
  return hostname ?? address.replaceAll('.', '-').replaceAll(':', '-');
}

export function serviceView(service: Service, slices: readonly EndpointSlice[]): ServiceView {
  const { name, namespace = 'default' } = service.metadata;
  const headless = service.spec.clusterIP === 'None';
  const hosts = new Map<string, { addresses: string[]; ports: readonly PortName[] }>();
  for (const slice of slices) {
    const ports = (slice.ports ?? []).flatMap((port) =>
      port.port === undefined
        ? []
        : [{ name: port.name ?? '', protocol: (port.protocol ?? 'TCP').toLowerCase(), port: port.port }],
    );
    for (const endpoint of slice.endpoints ?? []) {
      // Unset means ready (EndpointConditions).
      if (endpoint.conditions?.ready === false && service.spec.publishNotReadyAddresses !== true) continue;
      for (const address of endpoint.addresses) {
        const label = hostLabel(endpoint.hostname, address).toLowerCase();
        const host = hosts.get(label) ?? { addresses: [], ports };
        hosts.set(label, host);
        host.addresses.push(address);
      }
    }
  }
  const list = [...hosts].map(([label, host]) => ({ label, ...host }));
  const clusterIps = (service.spec.clusterIPs ?? []).filter((ip) => ip !== 'None' && ip !== '');
  return {
    name,
    namespace,
    headless,
    hosts: list,
    addresses: headless ? list.flatMap((host) => host.addresses) : clusterIps,
    ports: (service.spec.ports ?? []).map((port) => ({
      name: port.name ?? '',
      protocol: (port.protocol ?? 'TCP').toLowerCase(),
      port: port.port,
    })),
    externalName:
      service.spec.type === 'ExternalName' ? service.spec.externalName?.replace(/\.$/, '').toLowerCase() : undefined,
  };
}

export interface Zone {
  service(namespace: string, name: string): ServiceView | undefined;
  hasNamespace(namespace: string): boolean;
  /** Full name for a service or endpoint address. */
  reverse(arpaName: string): string | undefined;
  /** Reverse zones of the mesh's own ranges: nobody else knows their addresses, so they are never asked upstream. */
  readonly reverseZones: readonly string[];
}

/** `outside` is for names that the cluster does not own. */
export type Answer = { readonly kind: 'answer'; readonly response: Response } | { readonly kind: 'outside' };

function soa(domain: string): ResourceRecord {
  return {
    name: domain,
    ttlSeconds: TTL_SECONDS,
    data: {
      type: TYPE.SOA,
      primary: `ns.dns.${domain}`,
      mailbox: `hostmaster.${domain}`,
      serial: 1,
      negativeTtl: TTL_SECONDS,
    },
  };
}

function reply(
  domain: string,
  rcode: number,
  answers: readonly ResourceRecord[],
  additional: readonly ResourceRecord[] = [],
): Answer {
  // Negative answers carry the SOA, so that resolvers may remember them briefly (RFC 2308).
  const authority = answers.length === 0 ? [soa(domain)] : [];
  return { kind: 'answer', response: { rcode, authoritative: true, answers, authority, additional } };
}

function addressRecords(name: string, addresses: readonly string[], type: number): ResourceRecord[] {
  return addresses.flatMap((address) => {
    const bytes = addressBytes(address);
    if (bytes === undefined) return [];
    const own = bytes.length === 4 ? TYPE.A : TYPE.AAAA;
    if (type !== own && type !== TYPE.ANY) return [];
    return [{ name, ttlSeconds: TTL_SECONDS, data: { type: own, address: bytes } }];
  });
}

const matches = (question: Question, type: number): boolean => question.type === type || question.type === TYPE.ANY;

export function resolve(zone: Zone, domain: string, question: Question): Answer {
  const { name } = question;
  if (question.class !== CLASS_IN && question.class !== 255) return { kind: 'outside' };
  if (name.endsWith('.in-addr.arpa') || name.endsWith('.ip6.arpa')) return resolveReverse(zone, question);
  if (name !== domain && !name.endsWith(`.${domain}`)) return { kind: 'outside' };
  const labels = name === domain ? [] : name.slice(0, -domain.length - 1).split('.');
  const nodata = reply(domain, RCODE.noError, []);
  const missing = reply(domain, RCODE.nxDomain, []);
  if (labels.length === 0) return matches(question, TYPE.SOA) ? reply(domain, RCODE.noError, [soa(domain)]) : nodata;
  const kind = labels.pop();
  // Empty non-terminals exist: they have names below them (RFC 8020).
  if (kind === 'svc' || kind === 'pod') {
    const namespace = labels.pop();
    if (namespace === undefined) return nodata;
    if (!zone.hasNamespace(namespace)) return missing;
    if (labels.length === 0) return nodata;
    return kind === 'svc'
      ? resolveService(zone, domain, question, namespace, labels)
      : resolvePod(domain, question, labels);
  }
  return missing;
}

function resolveReverse(zone: Zone, question: Question): Answer {
  const target = zone.reverse(question.name);
  if (target === undefined) {
    const own = zone.reverseZones.some((suffix) => question.name === suffix || question.name.endsWith(`.${suffix}`));
    return own ? reply('arpa', RCODE.nxDomain, []) : { kind: 'outside' };
  }
  if (!matches(question, TYPE.PTR)) return reply('arpa', RCODE.noError, []);
  return reply('arpa', RCODE.noError, [
    { name: question.name, ttlSeconds: TTL_SECONDS, data: { type: TYPE.PTR, target } },
  ]);
}

/** `1-2-3-4.<ns>.pod`: the address is in the name. */
function resolvePod(domain: string, question: Question, labels: readonly string[]): Answer {
  const [label] = labels;
  const candidates = [label?.replaceAll('-', '.'), label?.replaceAll('-', ':')];
  const address =
    labels.length === 1 ? candidates.find((text) => text !== undefined && addressBytes(text) !== undefined) : undefined;
  if (address === undefined) return reply(domain, RCODE.nxDomain, []);
  return reply(domain, RCODE.noError, addressRecords(question.name, [address], question.type));
}

function resolveService(
  zone: Zone,
  domain: string,
  question: Question,
  namespace: string,
  labels: readonly string[],
): Answer {
  const missing = reply(domain, RCODE.nxDomain, []);
  const service = zone.service(namespace, labels.at(-1) ?? '');
  if (service === undefined) return missing;
  const below = labels.slice(0, -1);
  const base = `${service.name}.${service.namespace}.svc.${domain}`;
  if (service.externalName !== undefined) {
    if (below.length > 0) return missing;
    const data: Data = { type: TYPE.CNAME, target: service.externalName };
    return reply(domain, RCODE.noError, [{ name: question.name, ttlSeconds: TTL_SECONDS, data }]);
  }
  if (below.length === 0) {
    if (service.headless && service.addresses.length === 0) return missing;
    const records = addressRecords(question.name, service.addresses, question.type);
    const srv =
      question.type === TYPE.SRV ? serviceRecords(service, base, question.name, undefined, undefined) : undefined;
    return reply(domain, RCODE.noError, srv?.answers ?? records, srv?.additional ?? []);
  }
  const [first = '', second] = below;
  if (below.length === 1 && !first.startsWith('_')) return resolveHost(domain, question, service, first);
  if (below.length === 2 && first.startsWith('_') && second?.startsWith('_') === true) {
    const { answers, additional } = serviceRecords(service, base, question.name, first.slice(1), second.slice(1));
    if (answers.length === 0) return missing;
    return matches(question, TYPE.SRV)
      ? reply(domain, RCODE.noError, answers, additional)
      : reply(domain, RCODE.noError, []);
  }
  // `_tcp.<service>` is an empty non-terminal.
  if (below.length === 1 && service.ports.some((port) => `_${port.protocol}` === first))
    return reply(domain, RCODE.noError, []);
  return missing;
}

function resolveHost(domain: string, question: Question, service: ServiceView, label: string): Answer {
  const host = service.headless ? service.hosts.find((item) => item.label === label) : undefined;
  if (host === undefined) return reply(domain, RCODE.nxDomain, []);
  return reply(domain, RCODE.noError, addressRecords(question.name, host.addresses, question.type));
}

function serviceRecords(
  service: ServiceView,
  base: string,
  name: string,
  portName: string | undefined,
  protocol: string | undefined,
): { readonly answers: ResourceRecord[]; readonly additional: ResourceRecord[] } {
  const wanted = (port: PortName): boolean =>
    (portName === undefined || (port.name !== '' && port.name.toLowerCase() === portName)) &&
    (protocol === undefined || port.protocol === protocol);
  const answers: ResourceRecord[] = [];
  const additional: ResourceRecord[] = [];
  const add = (port: number, target: string, addresses: readonly string[], weight: number): void => {
    answers.push({ name, ttlSeconds: TTL_SECONDS, data: { type: TYPE.SRV, priority: 0, weight, port, target } });
    if (!additional.some((record) => record.name === target))
      additional.push(...addressRecords(target, addresses, TYPE.ANY));
  };
  if (!service.headless) {
    for (const port of service.ports.filter(wanted)) add(port.port, base, service.addresses, 100);
    return { answers, additional };
  }
  for (const host of service.hosts) {
    for (const port of host.ports.filter(wanted)) add(port.port, `${host.label}.${base}`, host.addresses, 10);
  }
  return { answers, additional };
}
