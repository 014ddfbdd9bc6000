/** `TrafficPolicy`: how clients call a target. */
import { z } from 'zod';
import { retryBudget } from './budget.ts';
import { acceptedDurationMs } from './duration.ts';
import { duration, durationBetween, httpMethods } from './formats.ts';
import { integer, setOf, withRules } from './schema.ts';
import { targetRefs } from './targetref.ts';

export const retryConditions = [
  '5xx',
  'gateway-error',
  'connect-failure',
  'reset',
  'retriable-4xx',
  'refused-stream',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const;

/** RFC 9110 section 9.2.2: repeating these has the effect of sending them once. */
const idempotentMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']);

const noLongerThan = (shorter: string | undefined, longer: string | undefined): boolean =>
  shorter === undefined ||
  longer === undefined ||
  // Zero turns a timeout off (GEP-1742).
  acceptedDurationMs(longer) === 0 ||
  acceptedDurationMs(shorter) <= acceptedDurationMs(longer);

const backoff = withRules(
  z.strictObject({
    baseInterval: durationBetween('1ms', '10m')
      .default('25ms')
      .describe('Upper bound of the first wait. Each further one doubles; the wait is random below its bound.'),
    maxInterval: durationBetween('1ms', '10m').default('250ms').describe('No wait is longer.'),
  }),
  [
    {
      cel: 'duration(self.baseInterval) <= duration(self.maxInterval)',
      message: 'baseInterval must not be longer than maxInterval; raise maxInterval (250ms unless set)',
      path: ['baseInterval'],
      check: (value) => acceptedDurationMs(value.baseInterval) <= acceptedDurationMs(value.maxInterval),
    },
  ],
);

const retries = withRules(
  z.strictObject({
    attempts: integer(0, 10)
      .default(2)
      .describe('How often a request may be sent again after the first time; 0 turns retries off.'),
    // Not `on`: to YAML 1.1, which kubectl reads, that key is the boolean true.
    retryOn: setOf(z.enum(retryConditions), { min: 1, max: retryConditions.length })
      .default(['5xx', 'connect-failure', 'reset', 'refused-stream'])
      .describe(
        'What is retried. 5xx: any such status, or no answer; gateway-error: 502, 503, 504; connect-failure: no connection; reset: connection lost before the answer; retriable-4xx: 409; refused-stream: the server says that it did nothing. The others are statuses of gRPC, answered without a message or for want of an answer; they are about gRPC calls alone, and naming one is asking for them although calls are POST.',
      ),
    perTryTimeout: duration()
      .optional()
      .describe('How long one try may take. The same as `timeouts.backendRequest`; set only one of them.'),
    backoff: backoff.prefault({}).describe('Waits between tries.'),
    methods: setOf(z.enum(httpMethods), { min: 1, max: httpMethods.length })
      .optional()
      .describe(
        'Methods that are retried. Without it all idempotent ones, and all whatsoever with `retryNonIdempotent`.',
      ),
    retryNonIdempotent: z
      .boolean()
      .default(false)
      .describe(
        'Also retry POST, PATCH and CONNECT, which a server may then carry out twice. Statuses of gRPC in `retryOn` need no more asking.',
      ),
    budget: retryBudget.optional().describe('How much load retries may add. Without it the budget of the Mesh.'),
  }),
  [
    {
      cel: "self.retryNonIdempotent || !has(self.methods) || !self.methods.exists(m, m in ['POST', 'PATCH', 'CONNECT'])",
      message: 'POST, PATCH and CONNECT are not idempotent; remove them, or set retryNonIdempotent to true',
      path: ['methods'],
      check: (value) =>
        value.retryNonIdempotent || (value.methods ?? []).every((method) => idempotentMethods.has(method)),
    },
  ],
);

const timeouts = withRules(
  z.strictObject({
    request: duration().optional().describe('From the request to the end of its answer, retries included; 0s is none.'),
    backendRequest: duration().optional().describe('For one try; 0s is none.'),
    idle: duration().optional().describe('How long a connection without requests is kept; 0s is for ever.'),
    connect: durationBetween('1ms', '10m').optional().describe('For a connection, the TLS handshake included.'),
  }),
  [
    {
      cel: "!has(self.request) || !has(self.backendRequest) || duration(self.request) == duration('0s') || duration(self.backendRequest) <= duration(self.request)",
      message: 'backendRequest must not be longer than request',
      path: ['backendRequest'],
      check: (value) => noLongerThan(value.backendRequest, value.request),
    },
    {
      cel: 'has(self.request) || has(self.backendRequest) || has(self.idle) || has(self.connect)',
      message: 'sets nothing; set request, backendRequest, idle or connect, or remove it',
      check: (value) => Object.values(value).some((one) => one !== undefined),
    },
  ],
);

const errorRate = z.strictObject({
  thresholdPercent: integer(1, 100).default(50).describe('The breaker opens when this share of requests fails.'),
  volume: integer(1, 1_000_000).default(20).describe('It stays closed while there are fewer requests in the window.'),
  window: durationBetween('100ms', '10m').default('10s').describe('The span of time that is looked at.'),
  openFor: durationBetween('100ms', '1h')
    .default('30s')
    .describe('How long it refuses before one request is let through as a probe, which closes it if it succeeds.'),
});

const limit = () => integer(1, 1_000_000).optional();

const limits = withRules(
  z.strictObject({
    maxConnections: limit().describe('Open connections from one client to the destination.'),
    maxPendingRequests: limit().describe('Requests that wait for a connection.'),
    maxRequests: limit().describe('Requests in flight.'),
    maxRetries: limit().describe('Retries in flight. It takes the place of a budget; set only one of them.'),
  }),
  [
    {
      cel: 'has(self.maxConnections) || has(self.maxPendingRequests) || has(self.maxRequests) || has(self.maxRetries)',
      message: 'sets nothing; set a limit, or remove it',
      check: (value) => Object.values(value).some((one) => one !== undefined),
    },
  ],
);

const circuitBreaker = withRules(
  z.strictObject({
    errorRate: errorRate.optional().describe('Opens when too many requests fail.'),
    limits: limits.optional().describe('Refuses what goes beyond a number at one time.'),
  }),
  [
    {
      cel: 'has(self.errorRate) || has(self.limits)',
      message: 'sets nothing; set errorRate ({} takes its defaults) or limits, or remove it',
      check: (value) => value.errorRate !== undefined || value.limits !== undefined,
    },
  ],
);

const loadBalancer = z.strictObject({
  type: z
    .enum(['LeastRequest', 'RoundRobin', 'Random'])
    .default('LeastRequest')
    .describe('LeastRequest takes the less busy of two endpoints drawn at random.'),
});

export const trafficPolicySpec = withRules(
  z.strictObject({
    targetRefs,
    retries: retries.optional().describe('Whether and when a failed request is sent again.'),
    timeouts: timeouts.optional().describe('How long things may take.'),
    circuitBreaker: circuitBreaker.optional().describe('When to stop calling a destination that fails or is full.'),
    loadBalancer: loadBalancer.optional().describe('How an endpoint is picked.'),
  }),
  [
    {
      cel: 'has(self.retries) || has(self.timeouts) || has(self.circuitBreaker) || has(self.loadBalancer)',
      message: 'does nothing; set retries, timeouts, circuitBreaker or loadBalancer',
      check: (spec) => (spec.retries ?? spec.timeouts ?? spec.circuitBreaker ?? spec.loadBalancer) !== undefined,
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
  ],
).describe('The desired behaviour. At one level the oldest policy wins a field, and the other is marked Conflicted.');
