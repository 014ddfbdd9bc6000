/** `AuthorizationPolicy`: who may call a workload, judged on the server side. */

import { z } from 'zod';
import { source } from './authorization/source.ts';
import { dnsLabel, httpMethods, port, requestHeaderName } from './formats.ts';
import { listOf, setOf, text, withRules } from './schema.ts';
import { path, selector } from './workload.ts';

const valuesMax = 32;

const host = () =>
  text(
    /^(\*|\*?[-a-zA-Z0-9._]+(:[0-9]{1,5})?|[-a-zA-Z0-9._]+\*|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?)$/,
    'a host, `*` may stand at its start or end',
    {
      min: 1,
      max: 260,
    },
  );

const names = <S extends z.ZodType<string | number>>(item: S, description: string) =>
  setOf(item, { min: 1, max: valuesMax }).optional().describe(description);

const somethingSet = (value: Readonly<Record<string, unknown>>): boolean =>
  Object.values(value).some((one) => one !== undefined);

const operation = withRules(
  z.strictObject({
    methods: names(
      z.enum(httpMethods),
      'HTTP methods. An ALLOW rule that names CONNECT lets tunnels through to the application; what they carry no rule sees.',
    ),
    notMethods: names(z.enum(httpMethods), 'HTTP methods that do not match.'),
    paths: names(
      path(),
      'Paths without the query: exact, `/x/*` for all below, `*x` for all that end so, or a template such as `/users/{id}/orders/{**}`, where a name in braces stands for one segment and `{**}` for any rest.',
    ),
    notPaths: names(path(), 'Paths that do not match.'),
    ports: names(port(), 'Ports of the workload.'),
    notPorts: names(port(), 'Ports that do not match.'),
    hosts: names(host(), 'Hosts that the request names.'),
    notHosts: names(host(), 'Hosts that do not match.'),
  }),
  [
    {
      cel: 'has(self.methods) || has(self.notMethods) || has(self.paths) || has(self.notPaths) || has(self.ports) || has(self.notPorts) || has(self.hosts) || has(self.notHosts)',
      message: 'an empty entry would match every request; set a field, or remove `to` to mean everything',
      check: somethingSet,
    },
  ],
);

const headerValue = () => z.string().min(1).max(4096);

const headerCondition = withRules(
  z.strictObject({
    header: requestHeaderName().describe('Name of a request header, in any case.'),
    values: names(headerValue(), 'Values that match; `*` may stand at the start or end, alone it means present.'),
    notValues: names(headerValue(), 'Values that do not match.'),
  }),
  [
    {
      cel: 'has(self.values) || has(self.notValues)',
      message: "needs values or notValues; values: ['*'] asks for the header to be present",
      check: (value) => value.values !== undefined || value.notValues !== undefined,
    },
  ],
);

const rule = z.strictObject({
  name: text(/^[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$/, 'a name of letters, digits, `-`, `_` and `.`', {
    min: 1,
    max: 63,
  })
    .optional()
    .describe('Shown in logs and metrics when the rule decides.'),
  from: listOf(source, { min: 1, max: 16 }).optional().describe('Callers, any of which matches. Without it, everyone.'),
  to: listOf(operation, { min: 1, max: 16 })
    .optional()
    .describe('Requests, any of which matches. Without it, every one.'),
  when: listOf(headerCondition, { min: 1, max: 16 }).optional().describe('Further conditions, all of which must hold.'),
});

const rules = withRules(listOf(rule, { max: 64 }), [
  {
    cel: 'self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))',
    message: 'uses one rule name twice; names must differ, logs tell rules apart by them',
    check: (list) => {
      const used = list.flatMap((one) => (one.name === undefined ? [] : [one.name]));
      return new Set(used).size === used.length;
    },
  },
]);

export const authorizationPolicySpec = withRules(
  z.strictObject({
    selector: selector
      .optional()
      .describe(
        'The workloads of the namespace that are protected. Without it all are; in the namespace of the control plane, all of the mesh.',
      ),
    action: z
      .enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'])
      .default('ALLOW')
      .describe(
        'DENY is judged first. Once a workload has an ALLOW policy, what none of them allows is denied. AUDIT logs what it would deny and denies nothing. CUSTOM asks an authorizer of the Mesh about the requests that match, before all others.',
      ),
    provider: dnsLabel()
      .optional()
      .describe('For CUSTOM: the name of the authorizer, as `authorizers` of the Mesh has it.'),
    rules: rules
      .default([])
      .describe(
        'The action is taken when any rule matches. ALLOW without rules denies everything that no other policy allows.',
      ),
  }),
  [
    {
      cel: "self.action == 'ALLOW' || size(self.rules) > 0",
      message: 'only ALLOW means something without rules; add a rule ({} matches every request)',
      path: ['rules'],
      check: (spec) => spec.action === 'ALLOW' || spec.rules.length > 0,
    },
    {
      cel: "(self.action == 'CUSTOM') == has(self.provider)",
      message: 'provider names the authorizer of CUSTOM, which needs one; no other action has any',
      path: ['provider'],
      check: (spec) => (spec.action === 'CUSTOM') === (spec.provider !== undefined),
    },
  ],
).describe('The desired access. All policies of a workload, its namespace and the mesh count together.');
