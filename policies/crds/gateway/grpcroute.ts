/** `GRPCRoute` of the Gateway API v1: standard channel, and of the experimental one session persistence. */
import { z } from 'zod';
import { dnsSubdomain, headerName, hostname } from '../formats.ts';
import { listOf, mapOf, withRules } from '../schema.ts';
import { extensionRef, filterOnce, headerModifier, requestMirror, unionRules } from './filters.ts';
import { backendRefWith, parentRefs, servicePort } from './refs.ts';
import { matchesBounded, namesDiffer, rulesMax } from './rules.ts';
import { sessionPersistence } from './session.ts';

/** Names of Protocol Buffers; CEL folds case with a flag, JavaScript by classes. */
const serviceName = /^\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*$/;
const methodName = /^[A-Za-z_][A-Za-z_0-9]*$/;

const methodMatch = withRules(
  z.strictObject({
    type: z.enum(['Exact', 'RegularExpression']).default('Exact').describe('How `service` and `method` are compared.'),
    service: z.string().max(1024).optional().describe('Full name of the service; without it, any service.'),
    method: z.string().max(1024).optional().describe('Name of the method; without it, any method.'),
  }),
  [
    {
      cel: 'has(self.service) || has(self.method)',
      message: 'set service, method or both',
      path: ['service'],
      check: (value) => value.service !== undefined || value.method !== undefined,
    },
    {
      cel: `self.type == 'Exact' && has(self.service) ? self.service.matches(r"""${serviceName.source}""") : true`,
      message: 'must be the full name of a service such as `shop.v1.Cart` (type Exact)',
      path: ['service'],
      check: (value) => value.type !== 'Exact' || value.service === undefined || serviceName.test(value.service),
    },
    {
      cel: `self.type == 'Exact' && has(self.method) ? self.method.matches(r"""${methodName.source}""") : true`,
      message: 'must be the name of a method such as `GetCart` (type Exact)',
      path: ['method'],
      check: (value) => value.type !== 'Exact' || value.method === undefined || methodName.test(value.method),
    },
  ],
);

const headerMatch = z.strictObject({
  type: z.enum(['Exact', 'RegularExpression']).default('Exact').describe('How `value` is compared.'),
  name: headerName().describe('Name of a header (metadata of the call), in any case.'),
  value: z.string().min(1).max(4096).describe('Value of the header.'),
});

const callMatch = z.strictObject({
  method: methodMatch.optional().describe('Service and method of the call; without it, all.'),
  headers: mapOf(headerMatch, 'name', { max: 16 }).optional().describe('Headers, all of which must match.'),
});

const filterTypes = ['ResponseHeaderModifier', 'RequestHeaderModifier', 'RequestMirror', 'ExtensionRef'] as const;

const filter = withRules(
  z.strictObject({
    type: z.enum(filterTypes).describe('What the filter does; the field of the same name says how.'),
    requestHeaderModifier: headerModifier.optional().describe('Changes request headers.'),
    responseHeaderModifier: headerModifier.optional().describe('Changes response headers.'),
    requestMirror: requestMirror.optional().describe('Sends copies of requests to another backend.'),
    extensionRef: extensionRef.optional().describe('An extension of the implementation.'),
  }),
  unionRules(filterTypes),
);

const filters = withRules(listOf(filter, { max: 16 }), [
  filterOnce('RequestHeaderModifier'),
  filterOnce('ResponseHeaderModifier'),
]);

const backendRef = withRules(
  backendRefWith({ filters: filters.optional().describe('Filters for calls that go to this backend.') }),
  [servicePort],
);

const rule = z.strictObject({
  name: dnsSubdomain().optional().describe('Name of the rule, for policies to refer to it.'),
  // The specification has no default here; an empty list means the same, and CEL can count it.
  matches: listOf(callMatch, { max: 64 })
    .default([])
    .describe('Conditions, any of which makes the rule apply. The most specific match of all routes wins.'),
  filters: filters.optional().describe('What is done to calls and answers.'),
  backendRefs: listOf(backendRef, { max: 16 }).optional().describe('Where calls go, by weight.'),
  sessionPersistence: sessionPersistence.optional().describe('Calls of a session go to one endpoint.'),
});

export const grpcRouteSpec = z
  .strictObject({
    parentRefs: parentRefs.optional(),
    hostnames: listOf(hostname(), { max: 16 })
      .optional()
      .describe('Hosts that the route is for, at a Gateway. A mesh route has none: the Service decides.'),
    rules: withRules(listOf(rule, { max: rulesMax }), [matchesBounded, namesDiffer])
      .optional()
      .describe('The rules.'),
  })
  .describe('The desired routing.');
