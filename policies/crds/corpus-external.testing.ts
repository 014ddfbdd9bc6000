/** Samples of ExternalService. */
import { firstCa, secondCa } from './certificates.testing.ts';
import { right, type Sample, wrong } from './corpus.testing.ts';

const https = { name: 'https', number: 443, appProtocol: 'tls' };
const http = { name: 'http', number: 80, appProtocol: 'http' };
const mysql = { name: 'mysql', number: 3306, appProtocol: 'tcp' };
const api = { hosts: ['api.example.com'], ports: [https] };
const notDer = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

const kind = 'ExternalService';

export const externalSamples: readonly Sample[] = [
  right(kind, 'one host, TLS of the application', api),
  right(kind, 'a wildcard', { hosts: ['*.example.com'], ports: [https, http] }),
  right(kind, 'everything', {
    hosts: ['api.example.com', '*.api.example.com'],
    addresses: ['192.0.2.0/24', '2001:db8::/32', '198.51.100.7'],
    ports: [{ ...http, targetPort: 443 }],
    resolution: 'Static',
    endpoints: [{ address: '192.0.2.1', port: 8443, zone: 'a', weight: 3 }, { address: '2001:db8::1' }],
    tls: {
      mode: 'Mutual',
      sni: 'api.example.com',
      subjectAltNames: ['api.example.com'],
      caCertificates: firstCa + secondCa,
    },
    visibility: 'Mesh',
  }),
  right(kind, 'TLS to the host that was called', { hosts: ['*.example.com', 'example.org'], ports: [http], tls: {} }),
  right(kind, 'TLS to several servers at given addresses', {
    hosts: ['a.example.com', 'b.example.com'],
    ports: [http],
    resolution: 'Static',
    endpoints: [{ address: '192.0.2.1' }],
    tls: {},
  }),
  right(kind, 'a database by its network', {
    addresses: ['10.9.0.0/16'],
    ports: [mysql],
    resolution: 'Passthrough',
  }),
  right(kind, 'a database by its network and name', {
    hosts: ['db.example.com'],
    addresses: ['10.9.0.0/16'],
    ports: [mysql],
    tls: {},
  }),
  right(kind, 'other names to look up', {
    addresses: ['10.9.0.0/16'],
    ports: [mysql],
    endpoints: [{ address: 'db1.example.com' }, { address: 'db2.example.com', port: 3307 }],
  }),
  wrong(
    kind,
    'neither hosts nor addresses',
    { ports: [https], endpoints: [{ address: 'a.example' }] },
    'spec',
    'set hosts or addresses',
  ),
  wrong(kind, 'no ports', { hosts: ['a.example'], ports: [] }, 'spec.ports', 'at least 1'),
  wrong(
    kind,
    'a port without protocol',
    { hosts: ['a.example'], ports: [{ name: 'a', number: 1 }] },
    'spec.ports[0].appProtocol',
    'is missing',
  ),
  wrong(kind, 'a bare wildcard', { ...api, hosts: ['*'] }, 'spec.hosts[0]', 'must be a lowercase hostname'),
  wrong(
    kind,
    'a wildcard in the middle',
    { ...api, hosts: ['a.*.example'] },
    'spec.hosts[0]',
    'must be a lowercase hostname',
  ),
  wrong(
    kind,
    'a host with a port',
    { ...api, hosts: ['a.example:80'] },
    'spec.hosts[0]',
    'must be a lowercase hostname',
  ),
  wrong(kind, 'a block of no length', { ...api, addresses: ['10.0.0.0/33'] }, 'spec.addresses[0]', 'CIDR block'),
  wrong(
    kind,
    'a number twice',
    { ...api, ports: [https, { ...http, number: 443 }] },
    'spec.ports',
    'has a number twice',
  ),
  wrong(kind, 'a name twice', { ...api, ports: [https, { ...https, number: 444 }] }, 'spec.ports[1].name', 'repeats'),
  wrong(kind, 'tcp by name alone', { hosts: ['db.example'], ports: [mysql] }, 'spec.addresses', 'names no host'),
  wrong(kind, 'static without endpoints', { ...api, resolution: 'Static' }, 'spec.endpoints', 'needs endpoints'),
  wrong(
    kind,
    'static names',
    { ...api, resolution: 'Static', endpoints: [{ address: 'a.example' }] },
    'spec.endpoints',
    'takes IP addresses',
  ),
  wrong(kind, 'addresses to look up', { ...api, endpoints: [{ address: '192.0.2.1' }] }, 'spec.endpoints', 'are names'),
  wrong(
    kind,
    'weights of names',
    { ...api, endpoints: [{ address: 'a.example', weight: 2 }] },
    'spec.endpoints',
    'without zone and weight',
  ),
  wrong(
    kind,
    'an address that is none',
    { ...api, resolution: 'Static', endpoints: [{ address: '192.0.2.256' }] },
    'spec.endpoints[0].address',
    'an IP address',
  ),
  wrong(
    kind,
    'passthrough to anywhere',
    { ...api, resolution: 'Passthrough' },
    'spec.resolution',
    'set addresses that bound it',
  ),
  wrong(
    kind,
    'nothing to look up',
    { addresses: ['10.0.0.0/8'], ports: [https] },
    'spec.resolution',
    'no name to look up',
  ),
  wrong(
    kind,
    'tcp to several names',
    { hosts: ['a.example', 'b.example'], addresses: ['10.0.0.0/8'], ports: [mysql] },
    'spec.resolution',
    'no name to look up',
  ),
  wrong(kind, 'TLS in TLS', { ...api, tls: {} }, 'spec.tls', 'has nothing to do'),
  wrong(
    kind,
    'TLS to nobody in particular',
    { addresses: ['10.0.0.0/8'], ports: [http], resolution: 'Passthrough', tls: {} },
    'spec.tls.sni',
    'is needed',
  ),
  wrong(
    kind,
    'no certificate',
    { ...api, ports: [http], tls: { caCertificates: 'secret' } },
    'spec.tls.caCertificates',
    'certificates in PEM',
  ),
  wrong(
    kind,
    'PEM of something else',
    { ...api, ports: [http], tls: { caCertificates: firstCa + notDer } },
    'spec.tls.caCertificates',
    'no X.509 certificate',
  ),
  wrong(kind, 'an unknown field', { ...api, host: 'a' }, 'spec.host', 'no field of this kind'),
];
