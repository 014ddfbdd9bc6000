/** Samples of retries, hedging and timeouts. */
import { right, type Sample, wrong } from './corpus.testing.ts';

const targetRefs = [{ kind: 'Service', name: 'cart' }];
const policy = (spec: object) => ({ targetRefs, ...spec });

const wrongIn = (title: string, spec: object, path: string, message: string): Sample =>
  wrong('TrafficPolicy', title, policy(spec), path, message);

export const retrySamples: readonly Sample[] = [
  right(
    'TrafficPolicy',
    'all that retries and hedging can be told',
    policy({
      retries: {
        statusCodes: [429, 503],
        responseHeaders: [{ name: 'X-Again' }, { name: 'x-state', value: 'busy' }],
        retryAfter: {
          max: '30s',
          headers: [{ name: 'Retry-After' }, { name: 'X-RateLimit-Reset', format: 'UnixTime' }],
        },
        idempotencyKey: true,
        maxBodyBytes: 1_048_576,
        nested: 'Retry',
        budget: { percent: 10, minConcurrency: 1, interval: '1m', minRetryRate: 0 },
      },
      hedging: { percentile: 99.9, minDelay: '5ms', maxAttempts: 3 },
      timeouts: { stream: '0s', streamIdle: '24h' },
    }),
  ),
  right('TrafficPolicy', 'a second attempt after a while', policy({ hedging: { delay: '50ms' } })),
  wrong(
    'Mesh',
    'a budget of a moment',
    { retryBudget: { interval: '1ms' } },
    'spec.retryBudget.interval',
    'between 1s and 1h',
  ),
  wrongIn(
    'a budget of a day',
    { retries: { budget: { interval: '24h' } } },
    'spec.retries.budget.interval',
    'between 1s and 1h',
  ),
  wrongIn('a status that is good', { retries: { statusCodes: [200] } }, 'spec.retries.statusCodes[0]', 'at least 400'),
  wrongIn('a status twice', { retries: { statusCodes: [503, 503] } }, 'spec.retries.statusCodes[1]', 'repeats 503'),
  wrongIn(
    'a field that is none',
    { retries: { responseHeaders: [{ name: 'a b' }] } },
    'spec.retries.responseHeaders[0].name',
    'an HTTP header name',
  ),
  wrongIn('a wait of a day', { retries: { retryAfter: { max: '24h' } } }, 'spec.retries.retryAfter.max', '1ms and 10m'),
  wrongIn('too much to hold', { retries: { maxBodyBytes: 1_048_577 } }, 'spec.retries.maxBodyBytes', 'at most 1048576'),
  wrongIn('hedging at no time', { hedging: {} }, 'spec.hedging', 'one of delay and percentile'),
  wrongIn(
    'hedging at two times',
    { hedging: { delay: '50ms', percentile: 95 } },
    'spec.hedging',
    'one of delay and percentile',
  ),
  wrongIn('hedging at once', { hedging: { delay: '0s' } }, 'spec.hedging.delay', 'between 1ms and 10m'),
  wrongIn(
    'hedging after at least an hour',
    { hedging: { percentile: 95, minDelay: '1h' } },
    'spec.hedging.minDelay',
    'between 1ms and 10m',
  ),
  wrongIn(
    'hedging without a second attempt',
    { hedging: { delay: '1s', maxAttempts: 1 } },
    'spec.hedging.maxAttempts',
    'at least 2',
  ),
  wrongIn('hedging half of all', { hedging: { percentile: 10 } }, 'spec.hedging.percentile', 'at least 50'),
  wrongIn(
    'streams that are idle for a month',
    { timeouts: { streamIdle: '720h' } },
    'spec.timeouts.streamIdle',
    'between 1ms and 24h',
  ),
];
