/** `FaultPolicy`: faults on purpose, on the side of the client. */
import { z } from 'zod';
import { dnsLabel, durationBetween, httpMethods, requestHeaderName } from './formats.ts';
import { integer, listOf, setOf, text, withRules } from './schema.ts';
import { targetRefs } from './targetref.ts';

const percent = z.number().min(0).max(100).default(100).describe('Share of what matches; 0.0001 is the finest.');

const kibPerSecond = (what: string) => integer(1, 4_194_304).optional().describe(`KiB a second ${what}.`);

// All of a list become one pattern, whose length is bounded.
const path = text(/^(\*|\/[^*?#\s]*\*?|\*[^*?#\s]+)$/, 'a path such as `/cart`, `/cart/*` or `*.png`', {
  min: 1,
  max: 100,
});

const header = z.strictObject({
  name: requestHeaderName().describe('Name of a request header, in any case.'),
  values: setOf(z.string().min(1).max(50), { min: 1, max: 8 })
    .optional()
    .describe('Values that match; `*` may stand at the start or end. Without them, the header has to be present.'),
});

const match = withRules(
  z.strictObject({
    paths: setOf(path, { min: 1, max: 4 })
      .optional()
      .describe('Paths without the query: exact, `/x/*` for all below, `*x` for all that end so.'),
    methods: setOf(z.enum(httpMethods), { min: 1, max: httpMethods.length }).optional().describe('HTTP methods.'),
    headers: listOf(header, { min: 1, max: 8 }).optional().describe('Headers, all of which must match.'),
    sourceNamespaces: setOf(dnsLabel(), { min: 1, max: 16 })
      .optional()
      .describe('Namespaces of the clients. Without it, all that the policy is for.'),
  }),
  [
    {
      cel: 'has(self.paths) || has(self.methods) || has(self.headers) || has(self.sourceNamespaces)',
      message: 'an empty match would match everything; set a field, or remove `match`',
      check: (value) => Object.values(value).some((one) => one !== undefined),
    },
  ],
);

const delay = z.strictObject({
  fixed: durationBetween('1ms', '1h').describe('How long requests, or connections of opaque bytes, are held.'),
  percent,
});

const abort = withRules(
  z.strictObject({
    httpStatus: integer(200, 599).optional().describe('Status of the answer.'),
    grpcStatus: integer(1, 16).optional().describe('Status of gRPC that calls are answered with, for example 14.'),
    percent,
  }),
  [
    {
      cel: 'has(self.httpStatus) != has(self.grpcStatus)',
      message: 'set httpStatus or grpcStatus, and not both',
      check: (value) => (value.httpStatus === undefined) !== (value.grpcStatus === undefined),
    },
  ],
);

const bandwidth = withRules(
  z.strictObject({
    responseKiBPerSecond: kibPerSecond('of a body from the server'),
    requestKiBPerSecond: kibPerSecond('of a body to the server'),
    percent,
  }),
  [
    {
      cel: 'has(self.responseKiBPerSecond) || has(self.requestKiBPerSecond)',
      message: 'limits nothing; set responseKiBPerSecond or requestKiBPerSecond',
      check: (value) => value.responseKiBPerSecond !== undefined || value.requestKiBPerSecond !== undefined,
    },
  ],
);

const faultFields = ['delay', 'abort', 'reset', 'bandwidth'] as const;

export const faultPolicySpec = withRules(
  z.strictObject({
    targetRefs,
    match: match.optional().describe('What faults are for. Without it, everything that goes to the target.'),
    delay: delay.optional().describe('Requests wait before they go on. With `abort` or `reset` too, first they wait.'),
    abort: abort.optional().describe('Requests are answered in the place of the server.'),
    reset: z
      .strictObject({ percent })
      .optional()
      .describe('The stream of the request, or the connection of opaque bytes, is reset.'),
    bandwidth: bandwidth
      .optional()
      .describe('Bodies, or opaque bytes, go no faster than this, each exchange for itself.'),
    maxActiveFaults: integer(0, 1_000_000)
      .optional()
      .describe('So many requests may be under a fault at one time in one sidecar thread; others pass untouched.'),
  }),
  [
    {
      cel: faultFields.map((field) => `has(self.${field})`).join(' || '),
      message: `does nothing; set one of ${faultFields.join(', ')}`,
      check: (spec) => faultFields.some((field) => spec[field] !== undefined),
    },
  ],
).describe(
  'The desired faults. Policies are not merged: the narrowest one decides, and of two at one level the oldest; the other is marked Conflicted.',
);
