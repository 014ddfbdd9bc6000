import { BlockList, isIP } from 'node:net';
import { asNumber, asObjects, asString, asStrings, at, type Json, type JsonObject } from '../json.ts';
import { labelsOf } from '../object.ts';
import { badRequest, notFound, StatusError } from '../status.ts';
import type { ApiContext } from './context.ts';

/** Where `pods/<name>/proxy` and `services/<name>/proxy` lead: read off the objects, never off what the client sends. */
export interface ProxyTarget {
  readonly scheme: 'http' | 'https';
  readonly ip: string;
  readonly port: number;
}

interface ProxyName {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  readonly port: string;
}

const serviceUnavailable = (message: string): StatusError => new StatusError(503, 'ServiceUnavailable', message);

/** `name`, `name:port` or `scheme:name:port`; the port of a Service may be a name or empty. */
function parseProxyName(text: string): ProxyName | undefined {
  const parts = text.split(':');
  const [scheme, name, port] = parts.length === 3 ? parts : ['', ...parts];
  if (parts.length > 3 || name === undefined || name === '') return undefined;
  if (scheme !== '' && scheme !== 'http' && scheme !== 'https') return undefined;
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port: port ?? '' };
}

function readName(plural: string, text: string): ProxyName {
  const parsed = parseProxyName(text);
  if (parsed === undefined) throw badRequest(`invalid ${plural} request ${JSON.stringify(text)}`);
  return parsed;
}

/** No object that a user may write must lead the API server to its own host's services or to a cloud's metadata address. */
const refused = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['255.255.255.255', 32],
] as const)
  refused.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [
  ['::', 127],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  refused.addSubnet(network, prefix, 'ipv6');

function isProxyable(ip: string): boolean {
  const family = isIP(ip);
  // A mapped address (::ffff:127.0.0.1) is matched against the IPv4 ranges as well.
  return family !== 0 && !refused.check(ip, family === 4 ? 'ipv4' : 'ipv6');
}

function checked(scheme: ProxyTarget['scheme'], ip: string, port: number): ProxyTarget {
  if (!isProxyable(ip)) throw badRequest('address not allowed');
  return { scheme, ip, port };
}

function portNumber(text: string): number | undefined {
  const port = Number(text);
  return /^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535 ? port : undefined;
}

export function podTarget(context: ApiContext, namespace: string, text: string): ProxyTarget {
  const { scheme, name, port } = readName('pod', text);
  const pod = context.store.get('/pods', namespace, name)?.object;
  if (pod === undefined) throw notFound({ group: '', plural: 'pods' }, name);
  const ip = asString(at(pod, 'status', 'podIP'));
  if (ip === '') throw badRequest('address not allowed');
  if (port === '') return checked(scheme, ip, firstPort(pod) ?? (scheme === 'https' ? 443 : 80));
  const number = portNumber(port);
  if (number === undefined) throw badRequest(`invalid port ${JSON.stringify(port)} of pod ${name}: must be a number`);
  return checked(scheme, ip, number);
}

function firstPort(pod: JsonObject): number | undefined {
  for (const container of asObjects(at(pod, 'spec', 'containers'))) {
    const port = asNumber(asObjects(container['ports'])[0]?.['containerPort']);
    if (port !== undefined) return port;
  }
  return undefined;
}

export function serviceTarget(context: ApiContext, namespace: string, text: string): ProxyTarget {
  const { scheme, name, port } = readName('service', text);
  const service = context.store.get('/services', namespace, name)?.object;
  if (service === undefined) throw notFound({ group: '', plural: 'services' }, name);
  const portName = servicePortName(service, port);
  if (portName === undefined)
    throw serviceUnavailable(`no service port ${JSON.stringify(port)} found for service ${JSON.stringify(name)}`);
  const ready: { ip: string; port: number }[] = [];
  for (const { object } of context.store.list('discovery.k8s.io/endpointslices', namespace)) {
    if (labelsOf(object)['kubernetes.io/service-name'] !== name) continue;
    const number = asNumber(asObjects(object['ports']).find((item) => asString(item['name']) === portName)?.['port']);
    if (number !== undefined) for (const ip of readyAddresses(object)) ready.push({ ip, port: number });
  }
  const chosen = ready[Math.floor(Math.random() * ready.length)];
  if (chosen === undefined) throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(name)}`);
  return checked(scheme, chosen.ip, chosen.port);
}

/** Endpoints carry the name of a Service's port; a port without a name is the only one of its Service. */
function servicePortName(service: JsonObject, wanted: string): string | undefined {
  const ports = asObjects(at(service, 'spec', 'ports'));
  const nameOf = (port: JsonObject | undefined): string | undefined =>
    port === undefined ? undefined : asString(port['name']);
  if (wanted === '') return ports.length === 1 ? nameOf(ports[0]) : undefined;
  const matches = (value: Json | undefined): boolean => String(value ?? '') === wanted;
  return nameOf(ports.find((port) => matches(port['name'])) ?? ports.find((port) => matches(port['port'])));
}

function readyAddresses(slice: JsonObject): string[] {
  return asObjects(slice['endpoints'])
    .filter((endpoint) => at(endpoint, 'conditions', 'ready') !== false)
    .flatMap((endpoint) => asStrings(endpoint['addresses']).slice(0, 1));
}
