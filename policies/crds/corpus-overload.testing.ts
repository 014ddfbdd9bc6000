/** Samples of OverloadPolicy. */
import { right, type Sample, wrong } from './corpus.testing.ts';

const limit = (fields: object) => ({ rateLimits: [{ name: 'all', requests: 10, ...fields }] });
const classes = (...all: object[]) => ({ concurrency: { fixed: 5 }, priorities: { classes: all } });

export const overloadSamples: readonly Sample[] = [
  right('OverloadPolicy', 'one limit', limit({})),
  right('OverloadPolicy', 'everything', {
    selector: { matchLabels: { app: 'cart' } },
    rateLimits: [
      { name: 'all', requests: 1_000, per: '1m', burst: 50, status: 503, headers: true },
      {
        name: 'per-user',
        match: [
          {
            paths: ['/api/*'],
            methods: ['POST'],
            headers: [{ name: 'X-User' }, { name: 'x-plan', values: ['free*'] }],
          },
          {
            principals: ['spiffe://cluster.local/ns/shop/sa/web'],
            namespaces: ['shop'],
            serviceAccounts: ['desk/web'],
          },
        ],
        requests: 5,
        key: { by: 'Header', header: 'x-user', maxKeys: 100 },
      },
      { name: 'per-caller', requests: 5, key: { by: 'Identity' } },
      { name: 'per-path', requests: 5, key: { by: 'Path' } },
      { name: 'together', requests: 100, scope: 'Global' },
    ],
    concurrency: {
      adaptive: {
        minLimit: 2,
        maxLimit: 200,
        updateInterval: '50ms',
        percentile: 90,
        minRtt: { interval: '30s', samples: 100, jitterPercent: 10, bufferPercent: 50 },
      },
    },
    priorities: {
      classes: [
        { name: 'paid', match: [{ headers: [{ name: 'x-plan', values: ['paid'] }] }], weight: 100 },
        { name: 'batch', match: [{ namespaces: ['batch'] }], weight: 1 },
      ],
      defaultClass: 'batch',
    },
    queue: { maxLength: 100, maxWait: '500ms', target: '10ms', interval: '200ms' },
    requestLimits: {
      maxHeadKiB: 128,
      maxHeaders: 200,
      maxRequestLineBytes: 8_192,
      maxHeaderLineBytes: 131_072,
      maxBodyBytes: 10_000_000,
      headTimeout: '10s',
      requestTimeout: '30s',
      streamIdleTimeout: '1m',
      idleTimeout: '5m',
    },
  }),
  right('OverloadPolicy', 'request limits alone', { requestLimits: { maxBodyBytes: 1 } }),
  wrong('OverloadPolicy', 'no request limit', { requestLimits: {} }, 'spec.requestLimits', 'sets nothing'),
  wrong(
    'OverloadPolicy',
    'a head beyond what Envoy takes',
    { requestLimits: { maxHeadKiB: 8_193 } },
    'spec.requestLimits.maxHeadKiB',
    'at most 8192',
  ),
  wrong(
    'OverloadPolicy',
    'no header at all',
    { requestLimits: { maxHeaders: 0 } },
    'spec.requestLimits.maxHeaders',
    'at least 1',
  ),
  ...(['maxRequestLineBytes', 'maxHeaderLineBytes'] as const).flatMap((field) => [
    wrong(
      'OverloadPolicy',
      `${field} beyond the head`,
      { requestLimits: { maxHeadKiB: 1, [field]: 1_025 } },
      `spec.requestLimits.${field}`,
      'maxHeadKiB allows',
    ),
    wrong(
      'OverloadPolicy',
      `${field} beyond the usual head`,
      { requestLimits: { [field]: 61_441 } },
      `spec.requestLimits.${field}`,
      'maxHeadKiB allows',
    ),
  ]),
  ...(['headTimeout', 'requestTimeout', 'streamIdleTimeout', 'idleTimeout'] as const).map((field) =>
    wrong(
      'OverloadPolicy',
      `no ${field}`,
      { requestLimits: { [field]: '0s' } },
      `spec.requestLimits.${field}`,
      'must be between 1ms',
    ),
  ),
  right('OverloadPolicy', 'a fixed limit', { concurrency: { fixed: 5 } }),
  wrong('OverloadPolicy', 'nothing', {}, 'spec', 'does nothing'),
  wrong('OverloadPolicy', 'no requests', limit({ requests: 0 }), 'spec.rateLimits[0].requests', 'at least 1'),
  wrong('OverloadPolicy', 'a moment', limit({ per: '1ms' }), 'spec.rateLimits[0].per', 'between 100ms and 24h'),
  wrong('OverloadPolicy', 'a status of success', limit({ status: 200 }), 'spec.rateLimits[0].status', 'at least 400'),
  wrong('OverloadPolicy', 'an empty match', limit({ match: [{}] }), 'spec.rateLimits[0].match[0]', 'every request'),
  wrong(
    'OverloadPolicy',
    'buckets by a field of the connection',
    limit({ key: { by: 'Header', header: 'Connection' } }),
    'spec.rateLimits[0].key.header',
    'would never match',
  ),
  wrong(
    'OverloadPolicy',
    'requests told by a field of the connection',
    limit({ match: [{ headers: [{ name: 'keep-alive' }] }] }),
    'spec.rateLimits[0].match[0].headers[0].name',
    'would never match',
  ),
  wrong(
    'OverloadPolicy',
    'a class told by a field of the connection',
    classes({ name: 'a', match: [{ headers: [{ name: 'content-length' }] }] }),
    'spec.priorities.classes[0].match[0].headers[0].name',
    'would never match',
  ),
  wrong(
    'OverloadPolicy',
    'a header that is not named',
    limit({ key: { by: 'Header' } }),
    'spec.rateLimits[0].key.header',
    'needs header',
  ),
  wrong(
    'OverloadPolicy',
    'a header for a path',
    limit({ key: { by: 'Path', header: 'x' } }),
    'spec.rateLimits[0].key.header',
    'nothing else has one',
  ),
  wrong(
    'OverloadPolicy',
    'many buckets of all sidecars',
    limit({ scope: 'Global', key: { by: 'Path' } }),
    'spec.rateLimits[0].key',
    'remove key',
  ),
  wrong(
    'OverloadPolicy',
    'a name twice',
    { rateLimits: [limit({}).rateLimits[0], limit({}).rateLimits[0]] },
    'spec.rateLimits[1].name',
    'once in this list',
  ),
  wrong('OverloadPolicy', 'no kind of limit', { concurrency: {} }, 'spec.concurrency', 'one of fixed and adaptive'),
  wrong(
    'OverloadPolicy',
    'both kinds of limit',
    { concurrency: { fixed: 1, adaptive: {} } },
    'spec.concurrency',
    'one of fixed and adaptive',
  ),
  wrong(
    'OverloadPolicy',
    'limits the wrong way round',
    { concurrency: { adaptive: { minLimit: 10, maxLimit: 5 } } },
    'spec.concurrency.adaptive.minLimit',
    'above maxLimit',
  ),
  wrong(
    'OverloadPolicy',
    'a default that is no class',
    { concurrency: { fixed: 1 }, priorities: { classes: [{ name: 'a' }], defaultClass: 'b' } },
    'spec.priorities.defaultClass',
    'one of the classes',
  ),
  wrong(
    'OverloadPolicy',
    'a weight of nothing',
    classes({ name: 'a', weight: 0 }),
    'spec.priorities.classes[0].weight',
    'at least 1',
  ),
  wrong(
    'OverloadPolicy',
    'a target beyond the wait',
    { concurrency: { fixed: 1 }, queue: { maxWait: '10ms', target: '20ms' } },
    'spec.queue.target',
    'longer than maxWait',
  ),
  ...(
    [
      ['adaptive.updateInterval', { adaptive: { updateInterval: '1m' } }, 'between 10ms and 10s'],
      ['adaptive.minRtt.interval', { adaptive: { minRtt: { interval: '1ms' } } }, 'between 1s and 1h'],
    ] as const
  ).map(([path, concurrency, message]) =>
    wrong('OverloadPolicy', path, { concurrency }, `spec.concurrency.${path}`, message),
  ),
  ...(['maxWait', 'target', 'interval'] as const).map((field) =>
    wrong(
      'OverloadPolicy',
      `no ${field}`,
      { concurrency: { fixed: 1 }, queue: { [field]: '0s' } },
      `spec.queue.${field}`,
      'must be between 1ms',
    ),
  ),
  wrong(
    'OverloadPolicy',
    'an empty match of a class',
    classes({ name: 'a', match: [{}] }),
    'spec.priorities.classes[0].match[0]',
    'every request',
  ),
];
