/** `HTTPRoute` of the Gateway API v1: standard channel, and of the experimental one retry and session persistence. */
import { z } from 'zod';
import { acceptedDurationMs } from '../duration.ts';
import { dnsSubdomain, duration, hostname } from '../formats.ts';
import { integer, listOf, setOf, withRules } from '../schema.ts';
import { type Filters, filters } from './filters.ts';
import { routeMatches } from './matches.ts';
import { backendRefWith, parentRefs, servicePort } from './refs.ts';
import { matchesBounded, namesDiffer, rulesMax } from './rules.ts';
import { sessionPersistence } from './session.ts';

const backendRef = withRules(
  backendRefWith({ filters: filters.optional().describe('Filters for requests that go to this backend.') }),
  [servicePort],
);

const timeouts = withRules(
  z.strictObject({
    request: duration().optional().describe('From the request to the end of its answer, retries included; 0s is none.'),
    backendRequest: duration().optional().describe('For one try; 0s is none.'),
  }),
  [
    {
      cel: "!(has(self.request) && has(self.backendRequest) && duration(self.request) != duration('0s') && duration(self.backendRequest) > duration(self.request))",
      message: 'backendRequest must not be longer than request',
      path: ['backendRequest'],
      check: (value) =>
        value.request === undefined ||
        value.backendRequest === undefined ||
        acceptedDurationMs(value.request) === 0 ||
        acceptedDurationMs(value.backendRequest) <= acceptedDurationMs(value.request),
    },
  ],
);

const retry = z.strictObject({
  codes: setOf(integer(400, 599), { max: 200 }).optional().describe('Statuses that are retried.'),
  // The specification sets no upper bound; one is needed against a request that is retried for ever.
  attempts: integer(1, 1000).optional().describe('How often a request may be sent again after the first time.'),
  backoff: duration().optional().describe('The least time to wait before it is sent again.'),
});

const routeRuleSchema = z.strictObject({
  name: dnsSubdomain().optional().describe('Name of the rule, for policies to refer to it.'),
  matches: routeMatches,
  filters: filters.optional().describe('What is done to requests and answers, in this order.'),
  backendRefs: listOf(backendRef, { max: 16 }).optional().describe('Where requests go, by weight.'),
  timeouts: timeouts.optional().describe('How long requests may take.'),
  retry: retry.optional().describe('When a failed request is sent again.'),
  sessionPersistence: sessionPersistence.optional().describe('Requests of a session go to one endpoint.'),
});

type RouteRule = z.output<typeof routeRuleSchema>;
type PathFilter = 'requestRedirect' | 'urlRewrite';

const replacesPrefix = (list: Filters | undefined, field: PathFilter): boolean =>
  (list ?? []).filter(
    (one) => one[field]?.path?.type === 'ReplacePrefixMatch' && one[field].path.replacePrefixMatch !== undefined,
  ).length === 1;

const onePrefixMatch = (rule: RouteRule): boolean =>
  rule.matches.length === 1 && rule.matches[0]?.path.type === 'PathPrefix';

const onePrefixMatchCel =
  "(size(self.matches) == 1 && self.matches.all(m, has(m.path) && m.path.type == 'PathPrefix'))";

const replacesPrefixCel = (list: string, field: PathFilter): string =>
  `has(${list}.filters) && ${list}.filters.exists_one(f, has(f.${field}) && has(f.${field}.path) && f.${field}.path.type == 'ReplacePrefixMatch' && has(f.${field}.path.replacePrefixMatch))`;

/** Only a prefix that matched can be replaced, and there has to be no doubt which one. */
function prefixRules(field: PathFilter) {
  return [
    {
      cel: `${replacesPrefixCel('self', field)} ? ${onePrefixMatchCel} : true`,
      message: `${field} with ReplacePrefixMatch needs exactly one match, of type PathPrefix`,
      path: ['matches'],
      check: (rule: RouteRule) => !replacesPrefix(rule.filters, field) || onePrefixMatch(rule),
    },
    {
      cel: `has(self.backendRefs) && self.backendRefs.exists_one(b, ${replacesPrefixCel('b', field)}) ? ${onePrefixMatchCel} : true`,
      message: `a backend's ${field} with ReplacePrefixMatch needs exactly one match in the rule, of type PathPrefix`,
      path: ['matches'],
      check: (rule: RouteRule) =>
        (rule.backendRefs ?? []).filter((ref) => replacesPrefix(ref.filters, field)).length !== 1 ||
        onePrefixMatch(rule),
    },
  ];
}

const routeRule = withRules(routeRuleSchema, [
  {
    cel: 'has(self.backendRefs) && size(self.backendRefs) > 0 ? (!has(self.filters) || self.filters.all(f, !has(f.requestRedirect))) : true',
    message: 'RequestRedirect answers by itself; remove it or the backendRefs',
    path: ['filters'],
    check: (rule) =>
      (rule.backendRefs ?? []).length === 0 || (rule.filters ?? []).every((one) => one.requestRedirect === undefined),
  },
  ...prefixRules('requestRedirect'),
  ...prefixRules('urlRewrite'),
]);

const routeRules = withRules(listOf(routeRule, { min: 1, max: rulesMax }), [matchesBounded, namesDiffer]);

export const httpRouteSpec = z
  .strictObject({
    parentRefs: parentRefs.optional(),
    hostnames: listOf(hostname(), { max: 16 })
      .optional()
      .describe('Hosts that the route is for, at a Gateway. A mesh route has none: the Service decides.'),
    rules: routeRules.default([{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }]).describe('The rules.'),
  })
  .describe('The desired routing.');
