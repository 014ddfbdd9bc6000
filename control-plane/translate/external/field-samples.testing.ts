import { firstCa, secondCa } from '@weft/policies/crds/certificates.testing';
import type { KindSamples } from '../field-samples.testing.ts';

const http = { name: 'http', number: 80, appProtocol: 'http' };
const hosts = ['api.example.com'];
const addresses = ['192.0.2.0/24'];

export const externalSamples: KindSamples = {
  template: { hosts, addresses, ports: [http], resolution: 'Static', endpoints: [{ address: '192.0.2.1' }], tls: {} },
  fields: {
    'hosts[]': { values: ['a.example.com', 'b.example.com'] },
    'addresses[]': { values: ['10.0.0.0/8', 'fd00::1'] },
    'ports[].name': { values: ['http', 'other'] },
    'ports[].number': { values: [80, 81] },
    // gRPC is HTTP/2 on the wire.
    'ports[].appProtocol': { values: ['http', 'http2', 'tls', 'tcp'], without: ['tls'] },
    'ports[].targetPort': { values: [8080, 8443] },
    resolution: {
      specs: [
        { hosts, addresses, ports: [http], resolution: 'DNS' },
        { hosts, addresses, ports: [http], resolution: 'Static', endpoints: [{ address: '192.0.2.1' }] },
        { hosts, addresses, ports: [http], resolution: 'Passthrough' },
      ],
    },
    'endpoints[].address': { values: ['192.0.2.1', '2001:db8::1'] },
    'endpoints[].port': { values: [8080, 8443] },
    'endpoints[].zone': { values: ['a', 'b'] },
    'endpoints[].weight': { values: [2, 3] },
    'tls.sni': { values: ['a.example.com', 'b.example.com'] },
    'tls.subjectAltNames[]': { values: ['a.example.com', 'b.example.com'] },
    'tls.caCertificates': { values: [firstCa, secondCa] },
  },
};
