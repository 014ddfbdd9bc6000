/** Samples of `spec.loadBalancer` of a TrafficPolicy. */
import { right, type Sample, wrong } from './corpus.testing.ts';

const balancer = (loadBalancer: object) => ({ targetRefs: [{ kind: 'Service', name: 'cart' }], loadBalancer });
const refused = (title: string, loadBalancer: object, path: string, message: string): Sample =>
  wrong('TrafficPolicy', title, balancer(loadBalancer), `spec.loadBalancer${path}`, message);

export const balancerSamples: readonly Sample[] = [
  right(
    'TrafficPolicy',
    'peak EWMA with everything',
    balancer({
      peakEwma: { decay: '5s' },
      slowStart: { window: '30s', aggressionPercent: 150, minWeightPercent: 5 },
      subset: { size: 20 },
      zoneAware: { enabledPercent: 90, minEndpoints: 3 },
      panicThresholdPercent: 30,
    }),
  ),
  right('TrafficPolicy', 'the least busy of three', balancer({ type: 'LeastRequest', leastRequest: { choices: 3 } })),
  right(
    'TrafficPolicy',
    'a ring over all kinds of keys',
    balancer({
      type: 'RingHash',
      ringHash: { minimumSize: 16, maximumSize: 4096 },
      hashKeys: [
        { header: 'x-user', terminal: true },
        { cookie: { name: 'session', ttl: '1h', path: '/shop' } },
        { cookie: { name: 'basket' } },
        { queryParameter: 'user' },
        { source: 'IP' },
      ],
    }),
  ),
  right('TrafficPolicy', 'Maglev', balancer({ type: 'Maglev', hashKeys: [{ header: 'x-user' }] })),
  right(
    'TrafficPolicy',
    'reported load',
    balancer({
      type: 'LoadReported',
      loadReported: { blackout: '0s', expiration: '1m', updatePeriod: '500ms', errorPenaltyPercent: 0 },
    }),
  ),
  refused('a decay of nothing', { peakEwma: { decay: '1ms' } }, '.peakEwma.decay', 'between 100ms and 1h'),
  refused('a window without end', { slowStart: { window: '2h' } }, '.slowStart.window', 'between 1ms and 1h'),
  ...(['blackout', 'expiration', 'updatePeriod'] as const).map((field) =>
    refused(
      `an endless ${field}`,
      { type: 'LoadReported', loadReported: { [field]: '25h' } },
      `.loadReported.${field}`,
      'must be between',
    ),
  ),
  refused(
    'a cookie for ever',
    { type: 'Maglev', hashKeys: [{ cookie: { name: 'a', ttl: '9000h' } }] },
    '.hashKeys[0].cookie.ttl',
    'between 0s and 8760h',
  ),
  refused('a ring without keys', { type: 'RingHash' }, '.hashKeys', 'which need them'),
  refused('keys for what does not hash', { hashKeys: [{ header: 'x' }] }, '.hashKeys', 'which need them'),
  refused(
    'a key of two kinds',
    { type: 'Maglev', hashKeys: [{ header: 'x', source: 'IP' }] },
    '.hashKeys[0]',
    'exactly one',
  ),
  refused('a key of no kind', { type: 'Maglev', hashKeys: [{ terminal: true }] }, '.hashKeys[0]', 'exactly one'),
  refused(
    'keys of the connection',
    { type: 'Maglev', hashKeys: [{ header: 'TE' }] },
    '.hashKeys[0].header',
    'never match',
  ),
  refused('no keys', { type: 'Maglev', hashKeys: [] }, '.hashKeys', 'at least 1'),
  refused(
    'a path for a cookie that nobody makes',
    { type: 'Maglev', hashKeys: [{ cookie: { name: 'a', path: '/' } }] },
    '.hashKeys[0].cookie.path',
    'set ttl too',
  ),
  refused(
    'a path that ends the cookie',
    { type: 'Maglev', hashKeys: [{ cookie: { name: 'a', ttl: '1s', path: '/; Secure' } }] },
    '.hashKeys[0].cookie.path',
    'must be a path',
  ),
  refused(
    'a ring whose least is more than its most',
    { type: 'RingHash', ringHash: { minimumSize: 9, maximumSize: 8 }, hashKeys: [{ source: 'IP' }] },
    '.ringHash.minimumSize',
    'must not be more than maximumSize',
  ),
  refused('a decay without PeakEWMA', { type: 'Random', peakEwma: {} }, '.peakEwma', 'is for type PeakEWMA'),
  refused('choices without LeastRequest', { leastRequest: {} }, '.leastRequest', 'is for type LeastRequest'),
  refused('a ring without RingHash', { ringHash: {} }, '.ringHash', 'is for type RingHash'),
  refused('reports without LoadReported', { loadReported: {} }, '.loadReported', 'is for type LoadReported'),
  refused(
    'a slow start where there is none',
    { type: 'Random', slowStart: { window: '1s' } },
    '.slowStart',
    'is for types PeakEWMA',
  ),
  refused(
    'subsets of a ring',
    { type: 'RingHash', hashKeys: [{ source: 'IP' }], subset: { size: 2 } },
    '.type',
    'pick among all endpoints',
  ),
  refused('one choice', { type: 'LeastRequest', leastRequest: { choices: 1 } }, '.leastRequest.choices', 'at least 2'),
  refused('more panic than all', { panicThresholdPercent: 101 }, '.panicThresholdPercent', 'at most 100'),
];
