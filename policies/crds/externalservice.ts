/** `ExternalService`: a host outside of the mesh, and how it is called. */
import { z } from 'zod';
import { isIP } from '../kit/ip.ts';
import { areCertificates } from './certificates.ts';
import { dnsLabel, hostname, ipBlock, port, preciseHostname } from './formats.ts';
import { conditions } from './object.ts';
import { integer, listOf, mapOf, setOf, text, withRules } from './schema.ts';

const externalHostsMax = 64;
const portsMax = 16;
const endpointsMax = 64;
/** A few authorities, not a whole store of them. */
const caCharsMax = 65_536;

/** What carries requests, whose Host says where they go. */
const httpProtocols = ['http', 'http2', 'grpc'] as const;

const externalPort = z.strictObject({
  name: dnsLabel().describe('Name of the port, for `sectionName` of a TrafficPolicy.'),
  number: port().describe('The port that applications connect to.'),
  appProtocol: z
    .enum([...httpProtocols, 'tls', 'tcp'])
    .describe(
      'What applications speak there. `http`, `http2` and `grpc` are told apart by Host, `tls` by the server name (SNI); `tcp` names no host, so that it needs `addresses`.',
    ),
  targetPort: port()
    .optional()
    .describe('The port of the server, where it is another one. It needs a resolution other than Passthrough.'),
});

/** As CEL tells it; whether it is one is checked beside. */
const looksLikeIp = (value: string): boolean => /^[0-9.]+$/.test(value) || value.includes(':');

const endpointAddress = () =>
  withRules(
    text(/^[a-z0-9:]([-a-z0-9.:]*[a-z0-9:])?$/, 'an IP address or a lowercase hostname', { min: 1, max: 253 }),
    [
      {
        // The pattern of a hostname and all forms of an IP address are too much for one pattern.
        message: 'must be an IP address or a lowercase hostname',
        check: (value) => (looksLikeIp(value) ? isIP(value) !== 0 : preciseHostname().safeParse(value).success),
      },
    ],
  );

const endpoint = z.strictObject({
  address: endpointAddress().describe('An IP address with resolution Static, a hostname with resolution DNS.'),
  port: port().optional().describe('Without it the `targetPort` of the port.'),
  zone: text(/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, 'a zone such as `eu-west-1a`', { min: 1, max: 63 })
    .optional()
    .describe('The zone that it is in; with resolution Static.'),
  weight: integer(1, 1_000).optional().describe('Its share of the traffic, 1 unless set; with resolution Static.'),
});

const tls = z.strictObject({
  mode: z
    .enum(['Simple', 'Mutual'])
    .default('Simple')
    .describe('Simple: the server alone shows a certificate. Mutual: so does the workload, that of its mesh identity.'),
  sni: preciseHostname().optional().describe('Server name that is asked for. Without it the host that was called.'),
  subjectAltNames: setOf(preciseHostname(), { min: 1, max: 16 })
    .optional()
    .describe('Names of which the certificate of the server has to bear one. Without it the server name.'),
  caCertificates: withRules(
    text(/^\s*(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/, 'certificates in PEM', {
      min: 1,
      max: caCharsMax,
    }),
    // CEL reads no ASN.1.
    [{ message: 'has a block that is no X.509 certificate; correct or remove it', check: areCertificates }],
  )
    .optional()
    .describe('Authorities that are trusted for this server, in PEM. Without it those of the system.'),
});

const spec = z.strictObject({
  hosts: setOf(hostname(), { min: 1, max: externalHostsMax })
    .optional()
    .describe('Names by which it is called: `api.example.com`, or `*.example.com` for all names below.'),
  addresses: setOf(ipBlock(), { min: 1, max: externalHostsMax })
    .optional()
    .describe(
      'IP addresses and CIDR blocks. Only connections to one of them are taken; with `hosts`, both have to be right.',
    ),
  ports: mapOf(externalPort, 'name', { min: 1, max: portsMax }).describe('Ports on which it is called.'),
  resolution: z
    .enum(['DNS', 'Static', 'Passthrough'])
    .default('DNS')
    .describe(
      'Where connections go. DNS: to what the sidecar itself finds for the name, whatever address the application connected to. Static: to `endpoints`. Passthrough: to the address that the application connected to, which has to be one of `addresses`.',
    ),
  endpoints: listOf(endpoint, { min: 1, max: endpointsMax })
    .optional()
    .describe(
      'Servers, for resolution Static; or the names that are looked up in the place of `hosts`, for resolution DNS.',
    ),
  tls: tls
    .optional()
    .describe(
      'TLS that the sidecar begins where applications speak plaintext, on every port but those that say `tls`.',
    ),
  visibility: z
    .enum(['Namespace', 'Mesh'])
    .default('Namespace')
    .describe(
      'Who may call it: workloads of its namespace, or all. Mesh counts in the namespace of the control plane alone.',
    ),
});

type Spec = z.output<typeof spec>;

const exactHosts = (hosts: Spec['hosts']): boolean => (hosts ?? []).every((host) => !host.startsWith('*'));
const oneName = ({ hosts = [] }: Spec): boolean => hosts.length === 1 && exactHosts(hosts);

const names = "size(self.hosts) == 1 && !self.hosts[0].startsWith('*')";

export const externalServiceSpec = withRules(spec, [
  {
    cel: 'has(self.hosts) || has(self.addresses)',
    message: 'says nothing about what it is called by; set hosts or addresses',
    check: ({ hosts, addresses }) => hosts !== undefined || addresses !== undefined,
  },
  {
    cel: 'self.ports.all(a, self.ports.exists_one(b, a.number == b.number))',
    message: 'has a number twice; each port number may occur once',
    path: ['ports'],
    check: ({ ports }) => new Set(ports.map(({ number }) => number)).size === ports.length,
  },
  {
    cel: "!self.ports.exists(p, p.appProtocol == 'tcp') || has(self.addresses)",
    message: 'a tcp port names no host in its bytes; set the addresses that it is for',
    path: ['addresses'],
    check: ({ ports, addresses }) => addresses !== undefined || ports.every((one) => one.appProtocol !== 'tcp'),
  },
  {
    cel: "(self.resolution == 'Static') ? has(self.endpoints) : true",
    message: 'resolution Static needs endpoints',
    path: ['endpoints'],
    check: ({ resolution, endpoints }) => resolution !== 'Static' || endpoints !== undefined,
  },
  {
    cel: "!has(self.endpoints) || self.resolution != 'Static' || self.endpoints.all(e, e.address.matches('^[0-9.]+$') || e.address.contains(':'))",
    message: 'resolution Static takes IP addresses; for names use resolution DNS',
    path: ['endpoints'],
    check: ({ resolution, endpoints = [] }) =>
      resolution !== 'Static' || endpoints.every(({ address }) => looksLikeIp(address)),
  },
  {
    cel: "!has(self.endpoints) || self.resolution != 'DNS' || self.endpoints.all(e, !e.address.matches('^[0-9.]+$') && !e.address.contains(':') && !has(e.zone) && !has(e.weight))",
    message: 'endpoints of resolution DNS are names without zone and weight; for addresses use resolution Static',
    path: ['endpoints'],
    check: ({ resolution, endpoints = [] }) =>
      resolution !== 'DNS' ||
      endpoints.every(
        ({ address, zone, weight }) => !looksLikeIp(address) && zone === undefined && weight === undefined,
      ),
  },
  {
    cel: "self.resolution != 'Passthrough' || (has(self.addresses) && !has(self.endpoints) && self.ports.all(p, !has(p.targetPort)))",
    message:
      'resolution Passthrough goes where the application goes: set addresses that bound it, and neither endpoints nor targetPort',
    path: ['resolution'],
    check: ({ resolution, addresses, endpoints, ports }) =>
      resolution !== 'Passthrough' ||
      (addresses !== undefined && endpoints === undefined && ports.every((one) => one.targetPort === undefined)),
  },
  {
    cel: `self.resolution != 'DNS' || has(self.endpoints) || (has(self.hosts) && (${names} || !self.ports.exists(p, p.appProtocol == 'tcp')))`,
    message:
      'resolution DNS has no name to look up; set hosts (one without a wildcard where a port is tcp) or endpoints',
    path: ['resolution'],
    check: (value) =>
      value.resolution !== 'DNS' ||
      value.endpoints !== undefined ||
      (value.hosts !== undefined && (oneName(value) || value.ports.every((one) => one.appProtocol !== 'tcp'))),
  },
  {
    cel: "!has(self.tls) || self.ports.exists(p, p.appProtocol != 'tls')",
    message: 'tls has nothing to do where every port carries TLS of the application already; remove it',
    path: ['tls'],
    check: ({ tls, ports }) => tls === undefined || ports.some((one) => one.appProtocol !== 'tls'),
  },
  {
    cel: `!has(self.tls) || has(self.tls.sni) || (has(self.hosts) && (${names} || (!self.ports.exists(p, p.appProtocol == 'tcp') && ((self.resolution == 'DNS' && !has(self.endpoints)) || self.hosts.all(h, !h.startsWith('*'))))))`,
    message: 'tls.sni is needed where no single host says which server is meant',
    path: ['tls', 'sni'],
    check: (value) =>
      value.tls === undefined ||
      value.tls.sni !== undefined ||
      (value.hosts !== undefined &&
        (oneName(value) ||
          (value.ports.every((one) => one.appProtocol !== 'tcp') &&
            ((value.resolution === 'DNS' && value.endpoints === undefined) || exactHosts(value.hosts))))),
  },
]).describe('What it is called by, and where it is.');

export const externalServiceStatus = z
  .looseObject({
    observedGeneration: z.int().min(0).meta({ format: 'int64' }).optional().describe('The generation last handled.'),
    conditions: conditions({ max: 8 }).optional(),
  })
  .describe('Written by the control plane.');
