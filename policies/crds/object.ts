/** What every Kubernetes object has: type, metadata and conditions. */
import { z } from 'zod';
import { apiGroup, dnsLabel, kindName, port } from './formats.ts';
import { listOf, mapOf, openKey, text } from './schema.ts';

/** JSON `null` and absence mean the same in metadata; clients send both. */
const metaText = () =>
  z
    .string()
    .nullish()
    .transform((value) => value ?? '');
const metaMap = () =>
  z
    .record(z.string(), z.string())
    .nullish()
    .transform((value) => value ?? {});

const metadataShape = {
  name: metaText(),
  uid: metaText(),
  resourceVersion: metaText(),
  generation: z.int().default(0),
  creationTimestamp: metaText(),
  deletionTimestamp: metaText(),
  labels: metaMap(),
  annotations: metaMap(),
};

/** The API server owns metadata: read what we need and let the rest pass. */
export const clusterMetadata = z.looseObject(metadataShape);
export const namespacedMetadata = z.looseObject({ ...metadataShape, namespace: z.string().min(1) });

/** metav1.Condition. */
export const condition = z.looseObject({
  type: text(
    /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$/,
    'a condition type such as `Accepted`',
    { max: 316 },
  ).describe('What is judged, in CamelCase or with a domain in front, such as `weft.dev/Programmed`.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('The verdict.'),
  observedGeneration: z
    .int()
    .min(0)
    .meta({ format: 'int64' })
    .optional()
    .describe('The `metadata.generation` that was judged.'),
  lastTransitionTime: z.string().meta({ format: 'date-time' }).describe('When `status` last changed.'),
  reason: text(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/, 'a reason in CamelCase', { min: 1, max: 1024 }).describe(
    'Why, for programs.',
  ),
  message: z.string().max(32_768).describe('Why, for people.'),
});

export const conditions = (bounds: { min?: number; max: number }) =>
  mapOf(condition, 'type', bounds).describe('The verdicts, one a type.');

export const controllerName = () =>
  text(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/,
    'a domain and a path such as `weft.dev/control-plane`',
    { min: 1, max: 253 },
  ).describe('Which controller wrote this entry.');

const effective = listOf(
  z.looseObject({
    targets: listOf(z.string().max(512), { max: 8 }).describe(
      'Ports of Services, `<namespace>/<name>:<port>`, that have the same settings.',
    ),
    moreTargets: z.int().min(1).optional().describe('How many more ports have them.'),
    sources: listOf(
      z.looseObject({
        field: z.string().max(63).describe('A field of the settings.'),
        policy: z.string().max(317).describe('The policy that it comes from, `<namespace>/<name>`.'),
      }),
      { max: 32 },
    ).describe('Where each field comes from.'),
    settings: z
      .looseObject({})
      .meta({ [openKey]: true })
      .describe('What all policies come to together, as in the spec.'),
  }),
  { max: 4 },
);

const ancestor = {
  ancestorRef: z
    .looseObject({
      group: apiGroup().default('').describe('API group of the object; empty for core.'),
      kind: kindName().default('Service').describe('Kind of the object.'),
      namespace: dnsLabel().optional().describe('Namespace of the object.'),
      name: z.string().min(1).max(253).describe('Name of the object.'),
      sectionName: z.string().min(1).max(253).optional().describe('Part of the object: a port or a rule.'),
      port: port().optional().describe('Port of the object.'),
    })
    .describe('The object that the policy applies to.'),
  controllerName: controllerName(),
  conditions: conditions({ min: 1, max: 8 }),
};

const statusWith = <Ancestor extends z.ZodType>(one: Ancestor) =>
  z
    .looseObject({
      observedGeneration: z.int().min(0).meta({ format: 'int64' }).optional().describe('The generation last handled.'),
      conditions: conditions({ max: 8 }).optional(),
      ancestors: listOf(one, { max: 16 })
        .optional()
        .describe('How far the policy has come for each object that it applies to.'),
    })
    .describe('Written by the control plane.');

/** Status of a policy, after the Gateway API's policy attachment (GEP-713): one entry for each object it applies to. */
export const policyStatus = statusWith(z.looseObject(ancestor));

const lastHitTime = z
  .string()
  .meta({ format: 'date-time' })
  .optional()
  .describe('When that was last, to the seconds that a report takes.');
const hits = z.int().min(0).meta({ format: 'int64' }).describe('Requests and connections that met it.');

/** Of a policy whose rules are counted. */
export const countedPolicyStatus = z
  .looseObject({
    ...policyStatus.shape,
    hits: hits.optional(),
    lastHitTime,
    rules: listOf(
      z.looseObject({
        name: z.string().min(1).max(63).describe('Name of the rule, or its place in the list.'),
        hits,
        since: z.string().meta({ format: 'date-time' }).describe('Since when it is counted.'),
        lastHitTime,
      }),
      { max: 64 },
    )
      .optional()
      .describe('Each rule by itself. One without hits for long is dead, or stands in the shadow of another.'),
  })
  .describe('Written by the control plane.');

/** Of a policy that is merged with others. */
export const mergedPolicyStatus = statusWith(
  z.looseObject({
    ...ancestor,
    effective: effective
      .optional()
      .describe('What holds there when all policies are merged; the most common outcome first.'),
  }),
);
