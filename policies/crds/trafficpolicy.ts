/** `TrafficPolicy`: how clients call a target. */
import { z } from 'zod';
import { withRules } from './schema.ts';
import { targetRefs } from './targetref.ts';
import { circuitBreaker } from './traffic/circuit-breaker.ts';
import { connections } from './traffic/connections.ts';
import { healthChecks } from './traffic/health-checks.ts';
import { hedging } from './traffic/hedging.ts';
import { loadBalancer } from './traffic/load-balancer.ts';
import { mirrorDiff } from './traffic/mirror-diff.ts';
import { outlierDetection } from './traffic/outlier-detection.ts';
import { retries } from './traffic/retries.ts';
import { noLongerThan, timeouts } from './traffic/timeouts.ts';

/** What a policy sets, merged field by field: a narrower policy takes the place of a wider one in each of them. */
const settings = {
  retries: retries.optional().describe('Whether and when a failed request is sent again.'),
  hedging: hedging.optional().describe('A second attempt beside one that is slow; the first good answer counts.'),
  timeouts: timeouts.optional().describe('How long things may take.'),
  circuitBreaker: circuitBreaker.optional().describe('When to stop calling a destination that fails or is full.'),
  loadBalancer: loadBalancer.optional().describe('How an endpoint is picked.'),
  outlierDetection: outlierDetection.optional().describe('When to leave out an endpoint that does worse than others.'),
  healthChecks: healthChecks.optional().describe('How endpoints are asked whether they are well.'),
  connections: connections.optional().describe('What is spoken, and how connections are kept.'),
  mirrorDiff: mirrorDiff
    .optional()
    .describe('Compare what mirrors of a route answer with the real answers, and count what differs.'),
};

export type TrafficPolicyField = keyof typeof settings;

export const trafficPolicyFields = Object.keys(settings) as readonly TrafficPolicyField[];

export const trafficPolicySpec = withRules(z.strictObject({ targetRefs, ...settings }), [
  {
    cel: trafficPolicyFields.map((field) => `has(self.${field})`).join(' || '),
    message: `does nothing; set one of ${trafficPolicyFields.join(', ')}`,
    check: (spec) => trafficPolicyFields.some((field) => spec[field] !== undefined),
  },
  {
    cel: '!has(self.retries) || !has(self.retries.perTryTimeout) || !has(self.timeouts) || !has(self.timeouts.backendRequest)',
    message: 'retries.perTryTimeout and timeouts.backendRequest say the same; set only one of them',
    path: ['retries', 'perTryTimeout'],
    check: (spec) => spec.retries?.perTryTimeout === undefined || spec.timeouts?.backendRequest === undefined,
  },
  {
    cel: '!has(self.retries) || !has(self.retries.budget) || !has(self.circuitBreaker) || !has(self.circuitBreaker.limits) || !has(self.circuitBreaker.limits.maxRetries)',
    message: 'retries.budget and circuitBreaker.limits.maxRetries both bound retries in flight; set only one of them',
    path: ['circuitBreaker', 'limits', 'maxRetries'],
    check: (spec) => spec.retries?.budget === undefined || spec.circuitBreaker?.limits?.maxRetries === undefined,
  },
  {
    cel: "!has(self.retries) || !has(self.retries.perTryTimeout) || !has(self.timeouts) || !has(self.timeouts.request) || duration(self.timeouts.request) == duration('0s') || duration(self.retries.perTryTimeout) <= duration(self.timeouts.request)",
    message: 'perTryTimeout must not be longer than timeouts.request',
    path: ['retries', 'perTryTimeout'],
    check: (spec) => noLongerThan(spec.retries?.perTryTimeout, spec.timeouts?.request),
  },
]).describe('The desired behaviour. At one level the oldest policy wins a field, and the other is marked Conflicted.');
