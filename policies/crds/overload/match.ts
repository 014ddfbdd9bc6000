/** Which requests a part of an `OverloadPolicy` is about. */
import { z } from 'zod';
import { httpMethods, requestHeaderName } from '../formats.ts';
import { listOf, setOf, withRules } from '../schema.ts';
import { namespace, path, principal, serviceAccount } from '../workload.ts';

const valuesMax = 16;

const names = <S extends z.ZodType<string>>(item: S, description: string) =>
  setOf(item, { min: 1, max: valuesMax }).optional().describe(description);

const headerCondition = z.strictObject({
  name: requestHeaderName().describe('Name of a request header, in any case.'),
  values: names(
    z.string().min(1).max(256),
    'Values that match; `*` may stand at the start or end. Without them, the header has to be present.',
  ),
});

const matchFields = {
  paths: names(
    path(),
    'Paths without the query: exact, `/x/*` for all below, `*x` for all that end so, or a template such as `/users/{id}`.',
  ),
  methods: names(z.enum(httpMethods), 'HTTP methods.'),
  headers: listOf(headerCondition, { min: 1, max: 8 }).optional().describe('Headers, all of which must match.'),
  principals: names(principal(), 'SPIFFE IDs of the caller, from its mesh certificate.'),
  namespaces: names(namespace(), 'Namespaces of the caller, from its mesh certificate.'),
  serviceAccounts: names(
    serviceAccount(),
    'Service accounts of the caller; one without a namespace is of the namespace of the policy.',
  ),
};

const requestMatch = withRules(z.strictObject(matchFields), [
  {
    cel: Object.keys(matchFields)
      .map((field) => `has(self.${field})`)
      .join(' || '),
    message: 'an empty entry would match every request; set a field, or remove `match` to mean every request',
    check: (value) => Object.values(value).some((one) => one !== undefined),
  },
]);

export const requestMatches = () => listOf(requestMatch, { min: 1, max: 8 });
