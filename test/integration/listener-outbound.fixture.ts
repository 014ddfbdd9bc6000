/** Runs in a network namespace, as the UID that redirection leaves alone: an outbound listener and a server behind it. */
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { Address, AppProtocol } from '@weft/policies/model/address';
import { anyTraffic, ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import { chain, http, listener, plaintext, startRig, tcp } from './listener-rig.fixture.ts';

process.setgid?.(1337);
process.setuid?.(1337);

const service = (protocol: AppProtocol): Address => ({
  kind: 'service',
  namespace: 'shop',
  name: 'cart',
  ports: [{ port: 8080, protocol, routeConfiguration: 'r', cluster: 'cart' }],
});

createServer((request, response) => {
  response.end(`for ${request.headers['x-destination'] ?? 'opaque'}\n`);
}).listen(8080, '::');
createTcpServer((socket) => socket.end('220 ready\r\n')).listen(2525, '::');

const here = { address: undefined, security: plaintext };
const rig = await startRig({
  onDemandWaitMsMax: 300,
  addresses: {
    '10.99.0.1': service('http'),
    'fd99::1': service('detect'),
    '10.99.0.2': service('tcp'),
    '10.99.0.3': 'pending',
    '10.99.0.5': {
      ...service('detect'),
      ports: [{ port: 2525, protocol: 'detect', routeConfiguration: '', cluster: 'cart' }],
    } as Address,
  },
  clusters: { http: here, cart: here, passthrough: here },
  listeners: [
    listener('outbound', {
      direction: 'outbound',
      addresses: [{ ip: '::', port: 15001 }],
      useOriginalDst: true,
      detectTls: true,
      detectHttp: true,
      // A server that speaks first is heard before that, however busy the machine is.
      detectTimeoutMs: 5_000,
      filterChains: [
        chain(http('http', 'rds'), {
          match: { ...anyTraffic, transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.0', 'http/1.1'] },
        }),
      ],
      defaultFilterChain: chain(tcp(ORIGINAL_DESTINATION)),
    }),
  ],
});
process.on('message', (message) => {
  if (message === 'answer-pending') {
    rig.source.addresses.set('10.99.0.3', service('http'));
    rig.source.notify();
  }
  if (message === 'stats') process.send?.({ records: rig.recorder.records, events: rig.recorder.events });
});
process.send?.('ready');
