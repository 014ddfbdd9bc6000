import type { KindSamples } from './field-samples.testing.ts';

const percents = { values: [0, 12.5, 100] };
const numbers = { values: [11, 22] };
const cart = { kind: 'Service', name: 'cart' };
const reset = {};

export const faultSamples: KindSamples = {
  template: {
    targetRefs: [cart],
    match: { headers: [{ name: 'x', values: ['1'] }] },
    delay: { fixed: '1s' },
    abort: { httpStatus: 503 },
    bandwidth: { responseKiBPerSecond: 10 },
  },
  fields: {
    'targetRefs[].kind': {
      specs: [
        { targetRefs: [cart], reset },
        { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'cart' }], reset },
        { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'GRPCRoute', name: 'calls' }], reset },
        { targetRefs: [{ group: 'weft.dev', kind: 'ExternalService', name: 'outside' }], reset },
        { targetRefs: [{ kind: 'Namespace', name: 'shop' }], reset },
        { targetRefs: [{ group: 'weft.dev', kind: 'Mesh', name: 'default' }], reset },
      ],
    },
    'targetRefs[].group': { refused: 'weft.dev' },
    'targetRefs[].name': { values: ['cart', 'plain'] },
    'targetRefs[].namespace': { values: ['shop', 'desk'] },
    'targetRefs[].sectionName': { values: ['http', '81'] },
    'match.paths[]': { values: ['/a', '/a/*', '*.png', '*'] },
    'match.headers[].name': { values: ['X-One', 'x-two'] },
    'match.headers[].values[]': { values: ['a', 'a*', '*a', '*'] },
    'match.sourceNamespaces[]': { values: ['shop', 'desk'] },
    'delay.fixed': { values: ['1s', '2s'] },
    'delay.percent': percents,
    'abort.httpStatus': { values: [500, 503] },
    'abort.grpcStatus': { values: [13, 14], without: ['abort.httpStatus'] },
    'abort.percent': percents,
    'reset.percent': percents,
    'bandwidth.responseKiBPerSecond': numbers,
    'bandwidth.requestKiBPerSecond': numbers,
    'bandwidth.percent': percents,
    maxActiveFaults: { values: [0, 5] },
  },
};
