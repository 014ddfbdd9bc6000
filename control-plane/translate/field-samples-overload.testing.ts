import type { KindSamples } from './field-samples.testing.ts';

const rateLimit = {
  name: 'a',
  requests: 5,
  match: [{ paths: ['/a'], headers: [{ name: 'x', values: ['1'] }] }],
  key: { by: 'Path' },
};
const adaptive = { minRtt: {} };
const numbers = { values: [11, 22] };
const durations = { values: ['1s', '2s'] };
const names = { values: ['alpha', 'beta'] };
const paths = { values: ['/a', '/a/*', '*.png'] };
const identities = { values: ['spiffe://cluster.local/ns/a/sa/a', '*'] };
const accounts = { values: ['alpha', 'desk/beta'] };
const headerNames = { values: ['X-One', 'x-two'] };

const match = (at: string) => ({
  [`${at}.paths[]`]: paths,
  [`${at}.headers[].name`]: headerNames,
  [`${at}.headers[].values[]`]: { values: ['a', 'a*', '*'] },
  [`${at}.principals[]`]: identities,
  [`${at}.namespaces[]`]: names,
  [`${at}.serviceAccounts[]`]: accounts,
});

export const overloadSamples: KindSamples = {
  template: {
    rateLimits: [rateLimit],
    concurrency: { adaptive },
    priorities: { classes: [{ name: 'a', match: [{ paths: ['/a'], headers: [{ name: 'x', values: ['1'] }] }] }] },
    queue: {},
    requestLimits: { maxHeadKiB: 100 },
  },
  fields: {
    'selector.matchLabels{}': { values: ['cart', 'web'] },
    'rateLimits[].name': names,
    ...match('rateLimits[].match[]'),
    'rateLimits[].requests': numbers,
    'rateLimits[].per': durations,
    'rateLimits[].burst': numbers,
    'rateLimits[].key.by': {
      specs: [
        { rateLimits: [{ name: 'a', requests: 5, key: { by: 'Header', header: 'x' } }] },
        { rateLimits: [{ name: 'a', requests: 5, key: { by: 'Path' } }] },
        { rateLimits: [{ name: 'a', requests: 5, key: { by: 'Identity' } }] },
      ],
    },
    'rateLimits[].key.header': {
      specs: ['x', 'y'].map((header) => ({ rateLimits: [{ name: 'a', requests: 5, key: { by: 'Header', header } }] })),
    },
    'rateLimits[].key.maxKeys': numbers,
    'rateLimits[].scope': {
      specs: ['Local', 'Global'].map((scope) => ({ rateLimits: [{ name: 'a', requests: 5, scope }] })),
    },
    'rateLimits[].status': { values: [429, 503] },
    'concurrency.fixed': { ...numbers, without: ['concurrency.adaptive'] },
    'concurrency.adaptive.minLimit': numbers,
    'concurrency.adaptive.maxLimit': numbers,
    'concurrency.adaptive.updateInterval': durations,
    'concurrency.adaptive.percentile': numbers,
    'concurrency.adaptive.minRtt.interval': durations,
    'concurrency.adaptive.minRtt.samples': numbers,
    'concurrency.adaptive.minRtt.jitterPercent': numbers,
    'concurrency.adaptive.minRtt.bufferPercent': numbers,
    'priorities.classes[].name': names,
    ...match('priorities.classes[].match[]'),
    'priorities.classes[].weight': numbers,
    'priorities.defaultClass': {
      specs: ['a', 'b'].map((defaultClass) => ({
        concurrency: { fixed: 1 },
        priorities: {
          classes: [
            { name: 'a', match: [{ paths: ['/a'] }] },
            { name: 'b', match: [{ paths: ['/b'] }] },
          ],
          defaultClass,
        },
      })),
    },
    'queue.maxLength': numbers,
    'queue.maxWait': durations,
    'queue.target': { values: ['1ms', '2ms'] },
    'queue.interval': durations,
    'requestLimits.maxHeadKiB': numbers,
    'requestLimits.maxHeaders': numbers,
    'requestLimits.maxRequestLineBytes': numbers,
    'requestLimits.maxHeaderLineBytes': numbers,
    'requestLimits.maxBodyBytes': numbers,
    'requestLimits.headTimeout': durations,
    'requestLimits.requestTimeout': durations,
    'requestLimits.streamIdleTimeout': durations,
    'requestLimits.idleTimeout': durations,
  },
};
