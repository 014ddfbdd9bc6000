/** `spec.retries` of a TrafficPolicy: whether and when a failed request is sent again. */
import { z } from 'zod';
import { retryBudget } from '../budget.ts';
import { acceptedDurationMs } from '../duration.ts';
import { duration, durationBetween, headerName, httpMethods } from '../formats.ts';
import { integer, mapOf, setOf, withRules } from '../schema.ts';

const retryConditions = [
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

const responseHeader = z.strictObject({
  name: headerName().describe('Name of the field, in any case.'),
  value: z.string().min(1).max(1024).optional().describe('Its value. Without it the field has to be there.'),
});

const resetHeader = z.strictObject({
  name: headerName().describe('Name of the field, in any case.'),
  format: z
    .enum(['Seconds', 'UnixTime'])
    .default('Seconds')
    .describe('Seconds from now, or an HTTP-date; or seconds since 1970.'),
});

const retryAfter = z.strictObject({
  max: durationBetween('1ms', '10m')
    .default('5s')
    .describe('The longest wait. Where a server asks for more the answer goes to the client, and nothing is repeated.'),
  headers: mapOf(resetHeader, 'name', { min: 1, max: 8 })
    .default([{ name: 'Retry-After', format: 'Seconds' }])
    .describe('Fields of the answer that say when to come back; the first that can be read counts.'),
});

export const retries = withRules(
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
    statusCodes: setOf(integer(400, 599), { min: 1, max: 32 })
      .optional()
      .describe('Further statuses that are retried, each by its number.'),
    responseHeaders: mapOf(responseHeader, 'name', { min: 1, max: 8 })
      .optional()
      .describe('An answer that has one of these fields is retried, whatever its status.'),
    perTryTimeout: duration()
      .optional()
      .describe('How long one try may take. The same as `timeouts.backendRequest`; set only one of them.'),
    backoff: backoff.prefault({}).describe('Waits between tries.'),
    retryAfter: retryAfter.prefault({}).describe('The server says when to come back: no retry is earlier.'),
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
    idempotencyKey: z
      .boolean()
      .default(false)
      .describe(
        'Also retry whatever has a field `Idempotency-Key`, by which the server knows a request that it has carried out.',
      ),
    maxBodyBytes: integer(0, 1_048_576)
      .default(65_536)
      .describe('A request is repeated only while all of its body is held; longer ones are not.'),
    nested: z
      .enum(['Skip', 'Retry'])
      .default('Skip')
      .describe(
        'Requests made for one that a caller further up retries itself, or has repeated already. Skip: they are repeated only where they reached no application, so that one layer retries; Retry: as all others.',
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
