/** What a client-side policy is attached to. */
import { z } from 'zod';
import { apiGroup, dnsLabel } from './formats.ts';
import { listOf, text, withRules } from './schema.ts';

/** Kinds that a client-side policy may name, and the group that each lives in. */
const targetGroups = {
  Service: '',
  HTTPRoute: 'gateway.networking.k8s.io',
  GRPCRoute: 'gateway.networking.k8s.io',
  ExternalService: 'weft.dev',
  Namespace: '',
  Mesh: 'weft.dev',
} as const;

type TargetKind = keyof typeof targetGroups;

const targetKinds = [
  'Service',
  'HTTPRoute',
  'GRPCRoute',
  'ExternalService',
  'Namespace',
  'Mesh',
] as const satisfies readonly TargetKind[];

/** Objects of a namespace that have parts: ports or rules. */
const hasSections = (kind: TargetKind): boolean => kind !== 'Namespace' && kind !== 'Mesh';

const targetRef = withRules(
  z.strictObject({
    group: apiGroup()
      .default('')
      .describe('API group of the target: empty for Service and Namespace, `gateway.networking.k8s.io` or `weft.dev`.'),
    kind: z
      .enum(targetKinds)
      .describe(
        'Kind of the target. The narrower target wins: rule, route, port, Service or ExternalService, namespace, Mesh.',
      ),
    name: text(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'the name of an object', {
      min: 1,
      max: 253,
    }).describe('Name of the target.'),
    namespace: dnsLabel()
      .optional()
      .describe(
        'Namespace of a Service, an ExternalService or a route, by default that of the policy. Naming another one changes how clients in the namespace of the policy call it.',
      ),
    sectionName: text(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'a port name, a port number or a rule name', {
      min: 1,
      max: 253,
    })
      .optional()
      .describe('Part of the target: name or number of a port, or name of a route rule.'),
  }),
  [
    {
      cel: "self.kind in ['Service', 'Namespace'] ? self.group == '' : true",
      message: 'group must be empty for kind Service and Namespace; remove it',
      path: ['group'],
      check: (ref) => targetGroups[ref.kind] !== '' || ref.group === '',
    },
    {
      cel: "self.kind in ['HTTPRoute', 'GRPCRoute'] ? self.group == 'gateway.networking.k8s.io' : true",
      message: 'group must be gateway.networking.k8s.io for kind HTTPRoute and GRPCRoute',
      path: ['group'],
      check: (ref) => targetGroups[ref.kind] !== targetGroups.HTTPRoute || ref.group === targetGroups.HTTPRoute,
    },
    {
      cel: "self.kind in ['Mesh', 'ExternalService'] ? self.group == 'weft.dev' : true",
      message: 'group must be weft.dev for kind Mesh and ExternalService',
      path: ['group'],
      check: (ref) => targetGroups[ref.kind] !== 'weft.dev' || ref.group === 'weft.dev',
    },
    {
      cel: "self.kind == 'Mesh' ? self.name == 'default' : true",
      message: 'the only Mesh is named default',
      path: ['name'],
      check: (ref) => ref.kind !== 'Mesh' || ref.name === 'default',
    },
    {
      cel: "has(self.sectionName) ? !(self.kind in ['Namespace', 'Mesh']) : true",
      message:
        'sectionName needs kind Service, ExternalService (a port), HTTPRoute or GRPCRoute (a rule name); remove it',
      path: ['sectionName'],
      check: (ref) => ref.sectionName === undefined || hasSections(ref.kind),
    },
    {
      cel: "has(self.__namespace__) ? !(self.kind in ['Namespace', 'Mesh']) : true",
      message: 'namespace needs kind Service, ExternalService, HTTPRoute or GRPCRoute; remove it',
      path: ['namespace'],
      check: (ref) => ref.namespace === undefined || hasSections(ref.kind),
    },
  ],
);

export const targetRefs = withRules(listOf(targetRef, { min: 1, max: 16 }), [
  {
    cel: [
      'self.all(a, self.exists_one(b, a.kind == b.kind && a.name == b.name',
      "&& (has(a.__namespace__) ? a.__namespace__ : '') == (has(b.__namespace__) ? b.__namespace__ : '')",
      "&& (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')))",
    ].join(' '),
    message: 'names one target twice; remove the repetition',
    check: (refs) => {
      const keys = refs.map((ref) => JSON.stringify([ref.kind, ref.name, ref.namespace ?? '', ref.sectionName ?? '']));
      return new Set(keys).size === keys.length;
    },
  },
]).describe('What the policy applies to.');
