/** What holds for the targets of all policies of the client's side. */
import { right, type Sample, wrong } from './corpus.testing.ts';

const target = { kind: 'Service', name: 'cart' };

export const targetSamples = (kind: 'TrafficPolicy' | 'FaultPolicy', fields: object): readonly Sample[] => [
  right(kind, 'each kind of target', {
    targetRefs: [
      target,
      { kind: 'Service', name: 'cart', sectionName: '8080' },
      { kind: 'Service', name: 'cart', namespace: 'other', sectionName: 'http' },
      { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'cart', sectionName: 'checkout' },
      { kind: 'Namespace', name: 'shop' },
      { group: 'weft.dev', kind: 'Mesh', name: 'default' },
    ],
    ...fields,
  }),
  wrong(kind, 'no target', { targetRefs: [], ...fields }, 'spec.targetRefs', 'at least 1 entries'),
  wrong(kind, 'no targetRefs', { ...fields }, 'spec.targetRefs', 'is missing'),
  wrong(
    kind,
    'seventeen targets',
    { targetRefs: Array.from({ length: 17 }, (_, i) => ({ kind: 'Service', name: `s${i}` })), ...fields },
    'spec.targetRefs',
    'at most 16 entries, it has 17',
  ),
  wrong(kind, 'a target twice', { targetRefs: [target, target], ...fields }, 'spec.targetRefs', 'one target twice'),
  wrong(
    kind,
    'a Service in a group',
    { targetRefs: [{ ...target, group: 'weft.dev' }], ...fields },
    'spec.targetRefs[0].group',
    'must be empty',
  ),
  wrong(
    kind,
    'a route without its group',
    { targetRefs: [{ kind: 'HTTPRoute', name: 'a' }], ...fields },
    'spec.targetRefs[0].group',
    'must be gateway.networking.k8s.io',
  ),
  wrong(
    kind,
    'a Mesh without its group',
    { targetRefs: [{ kind: 'Mesh', name: 'default' }], ...fields },
    'spec.targetRefs[0].group',
    'must be weft.dev',
  ),
  wrong(
    kind,
    'another Mesh',
    { targetRefs: [{ group: 'weft.dev', kind: 'Mesh', name: 'x' }], ...fields },
    'spec.targetRefs[0].name',
    'named default',
  ),
  wrong(
    kind,
    'a section of a namespace',
    { targetRefs: [{ kind: 'Namespace', name: 'shop', sectionName: 'a' }], ...fields },
    'spec.targetRefs[0].sectionName',
    'needs kind Service',
  ),
  wrong(
    kind,
    'the namespace of a namespace',
    { targetRefs: [{ kind: 'Namespace', name: 'shop', namespace: 'shop' }], ...fields },
    'spec.targetRefs[0].namespace',
    'needs kind Service',
  ),
  wrong(
    kind,
    'another namespace as the target',
    { targetRefs: [{ kind: 'Namespace', name: 'load' }], ...fields },
    'spec.targetRefs',
    'must be the namespace of the policy',
  ),
  wrong(
    kind,
    'an unknown kind of target',
    { targetRefs: [{ kind: 'Pod', name: 'x' }], ...fields },
    'spec.targetRefs[0].kind',
    'one of Service, HTTPRoute, GRPCRoute, ExternalService, Namespace, Mesh',
  ),
];
