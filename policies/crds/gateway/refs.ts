/** References of the Gateway API (v1): to parents and to backends. */
import { z } from 'zod';
import { apiGroup, dnsLabel, dnsSubdomain, kindName, port } from '../formats.ts';
import { listOf, withRules } from '../schema.ts';

const objectName = () => z.string().min(1).max(253);

export const parentRefShape = {
  group: apiGroup()
    .default('gateway.networking.k8s.io')
    .describe('API group of the parent: empty for a Service, which makes it a mesh route.'),
  kind: kindName().default('Gateway').describe('Kind of the parent: `Service` for the mesh, `Gateway` for ingress.'),
  namespace: dnsLabel().optional().describe('Namespace of the parent, by default that of the route.'),
  name: objectName().describe('Name of the parent.'),
  sectionName: dnsSubdomain().optional().describe('Name of a listener of a Gateway, or of a port of a Service.'),
  port: port().optional().describe('Port of the parent; without it, all ports.'),
};

const parentRef = z.strictObject(parentRefShape);
type ParentRef = z.output<typeof parentRef>;

const parentKey = (ref: ParentRef): string => JSON.stringify([ref.group, ref.kind, ref.namespace ?? '', ref.name]);
const sectionKey = (ref: ParentRef): string => JSON.stringify([ref.sectionName ?? '', ref.port ?? 0]);

/** Two references to one parent say which part of it each means. */
function sectionsNamed(refs: readonly ParentRef[]): boolean {
  return refs.every((a) =>
    refs.every(
      (b) =>
        parentKey(a) !== parentKey(b) ||
        ((a.sectionName === undefined) === (b.sectionName === undefined) &&
          (a.port === undefined) === (b.port === undefined)),
    ),
  );
}

const sameParent = [
  'a.group == b.group && a.kind == b.kind && a.name == b.name',
  "(has(a.__namespace__) ? a.__namespace__ : '') == (has(b.__namespace__) ? b.__namespace__ : '')",
].join(' && ');

export const parentRefs = withRules(listOf(parentRef, { max: 32 }), [
  {
    cel: `self.all(a, self.all(b, (${sameParent}) ? (has(a.sectionName) == has(b.sectionName) && has(a.port) == has(b.port)) : true))`,
    message: 'refers to one parent more than once; give each reference to it a sectionName or port',
    check: sectionsNamed,
  },
  {
    cel: `self.all(a, self.exists_one(b, ${sameParent} && (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '') && (has(a.port) ? a.port : 0) == (has(b.port) ? b.port : 0)))`,
    message: 'refers to one part of a parent twice; remove the repetition',
    check: (refs) => {
      const keys = refs.map((ref) => parentKey(ref) + sectionKey(ref));
      return new Set(keys).size === keys.length;
    },
  },
]).describe('What the route is attached to.');

const backendObjectShape = {
  group: apiGroup().default('').describe('API group of the backend; empty for a Service.'),
  kind: kindName().default('Service').describe('Kind of the backend.'),
  name: objectName().describe('Name of the backend.'),
  namespace: dnsLabel()
    .optional()
    .describe('Namespace of the backend, by default that of the route; another one needs a ReferenceGrant there.'),
  port: port().optional().describe('Port of the backend; a Service needs it.'),
};

interface BackendObject {
  readonly group: string;
  readonly kind: string;
  readonly port?: number | undefined;
}

const servicePort = {
  cel: "self.group == '' && self.kind == 'Service' ? has(self.port) : true",
  message: 'a Service needs a port; set it to one of the ports of the Service',
  path: ['port'],
  check: (ref: BackendObject) => ref.group !== '' || ref.kind !== 'Service' || ref.port !== undefined,
};

export const backendObjectRef = withRules(z.strictObject(backendObjectShape), [servicePort]);

/** A backend with a weight and whatever else a route kind adds to it. */
export function backendRefWith<Extra extends z.ZodRawShape>(extra: Extra) {
  const weight = z
    .int()
    .min(0)
    .max(1_000_000)
    .default(1)
    .describe('Share of the requests, relative to the sum of all weights of the rule; 0 takes none.');
  return z.strictObject({ ...backendObjectShape, weight, ...extra });
}

export { servicePort };
