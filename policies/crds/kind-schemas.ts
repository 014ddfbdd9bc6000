/** Objects of each kind as a whole, as the API server hands them out. */
import { z } from 'zod';
import { authenticationPolicySpec } from './authenticationpolicy.ts';
import { authorizationPolicySpec } from './authorizationpolicy.ts';
import { externalServiceSpec, externalServiceStatus } from './externalservice.ts';
import { faultPolicySpec } from './faultpolicy.ts';
import { grpcRouteSpec } from './gateway/grpcroute.ts';
import { httpRouteSpec } from './gateway/httproute.ts';
import { tcpRouteSpec, tlsRouteSpec } from './gateway/l4routes.ts';
import { referenceGrantSpec } from './gateway/referencegrant.ts';
import { routeStatus } from './gateway/status.ts';
import { meshSpec, meshStatus } from './mesh.ts';
import {
  clusterMetadata,
  countedPolicyStatus,
  mergedPolicyStatus,
  namespacedMetadata,
  policyStatus,
} from './object.ts';
import { overloadPolicySpec } from './overloadpolicy.ts';
import { type DeepReadonly, type Rule, withRules } from './schema.ts';
import { trafficPolicySpec } from './trafficpolicy.ts';

/** List items come without type meta, so that both fields may be absent, but never wrong. */
const typeMeta = <const Versions extends readonly [string, ...string[]], const Kind extends string>(
  versions: Versions,
  kind: Kind,
) => ({ apiVersion: z.enum(versions).default(versions[0]), kind: z.literal(kind).default(kind) });

export const meshRules: readonly Rule<{ readonly metadata: { readonly name: string } }>[] = [
  {
    cel: "self.metadata.name == 'default'",
    message: 'the Mesh must be named default, there is only one',
    path: ['metadata', 'name'],
    check: (mesh) => mesh.metadata.name === 'default',
  },
];

interface Targeting {
  readonly metadata: { readonly namespace: string };
  readonly spec: { readonly targetRefs: readonly { readonly kind: string; readonly name: string }[] };
}

export const trafficPolicyRules: readonly Rule<Targeting>[] = [
  // CEL sees no metadata but the name, so that only admission can say this.
  {
    message: 'a target of kind Namespace must be the namespace of the policy',
    path: ['spec', 'targetRefs'],
    check: (policy) =>
      policy.spec.targetRefs.every((ref) => ref.kind !== 'Namespace' || ref.name === policy.metadata.namespace),
  },
];

export const meshObject = withRules(
  z.strictObject({
    ...typeMeta(['weft.dev/v1alpha1'], 'Mesh'),
    metadata: clusterMetadata,
    spec: meshSpec.prefault({}),
    status: meshStatus.optional(),
  }),
  meshRules,
);

export const trafficPolicyObject = withRules(
  z.strictObject({
    ...typeMeta(['weft.dev/v1alpha1'], 'TrafficPolicy'),
    metadata: namespacedMetadata,
    spec: trafficPolicySpec,
    status: mergedPolicyStatus.optional(),
  }),
  trafficPolicyRules,
);

export const faultPolicyObject = withRules(
  z.strictObject({
    ...typeMeta(['weft.dev/v1alpha1'], 'FaultPolicy'),
    metadata: namespacedMetadata,
    spec: faultPolicySpec,
    status: policyStatus.optional(),
  }),
  trafficPolicyRules,
);

export const authorizationPolicyObject = z.strictObject({
  ...typeMeta(['weft.dev/v1alpha1'], 'AuthorizationPolicy'),
  metadata: namespacedMetadata,
  spec: authorizationPolicySpec.prefault({}),
  status: countedPolicyStatus.optional(),
});

export const authenticationPolicyObject = z.strictObject({
  ...typeMeta(['weft.dev/v1alpha1'], 'AuthenticationPolicy'),
  metadata: namespacedMetadata,
  spec: authenticationPolicySpec,
  status: policyStatus.optional(),
});

export const overloadPolicyObject = z.strictObject({
  ...typeMeta(['weft.dev/v1alpha1'], 'OverloadPolicy'),
  metadata: namespacedMetadata,
  spec: overloadPolicySpec,
  status: policyStatus.optional(),
});

export const externalServiceObject = z.strictObject({
  ...typeMeta(['weft.dev/v1alpha1'], 'ExternalService'),
  metadata: namespacedMetadata,
  spec: externalServiceSpec,
  status: externalServiceStatus.optional(),
});

export const httpRouteObject = z.strictObject({
  ...typeMeta(['gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1beta1'], 'HTTPRoute'),
  metadata: namespacedMetadata,
  spec: httpRouteSpec,
  status: routeStatus.optional(),
});

export const grpcRouteObject = z.strictObject({
  ...typeMeta(['gateway.networking.k8s.io/v1'], 'GRPCRoute'),
  metadata: namespacedMetadata,
  spec: grpcRouteSpec,
  status: routeStatus.optional(),
});

export const tcpRouteObject = z.strictObject({
  ...typeMeta(['gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1alpha2'], 'TCPRoute'),
  metadata: namespacedMetadata,
  spec: tcpRouteSpec,
  status: routeStatus.optional(),
});

export const tlsRouteObject = z.strictObject({
  ...typeMeta(
    ['gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1alpha3', 'gateway.networking.k8s.io/v1alpha2'],
    'TLSRoute',
  ),
  metadata: namespacedMetadata,
  spec: tlsRouteSpec,
  status: routeStatus.optional(),
});

export const referenceGrantObject = z.strictObject({
  ...typeMeta(['gateway.networking.k8s.io/v1beta1', 'gateway.networking.k8s.io/v1'], 'ReferenceGrant'),
  metadata: namespacedMetadata,
  spec: referenceGrantSpec,
});

export type Mesh = DeepReadonly<z.output<typeof meshObject>>;
export type TrafficPolicy = DeepReadonly<z.output<typeof trafficPolicyObject>>;
export type FaultPolicy = DeepReadonly<z.output<typeof faultPolicyObject>>;
export type AuthorizationPolicy = DeepReadonly<z.output<typeof authorizationPolicyObject>>;
export type AuthenticationPolicy = DeepReadonly<z.output<typeof authenticationPolicyObject>>;
export type OverloadPolicy = DeepReadonly<z.output<typeof overloadPolicyObject>>;
export type ExternalService = DeepReadonly<z.output<typeof externalServiceObject>>;
export type HTTPRoute = DeepReadonly<z.output<typeof httpRouteObject>>;
export type GRPCRoute = DeepReadonly<z.output<typeof grpcRouteObject>>;
export type TCPRoute = DeepReadonly<z.output<typeof tcpRouteObject>>;
export type TLSRoute = DeepReadonly<z.output<typeof tlsRouteObject>>;
export type ReferenceGrant = DeepReadonly<z.output<typeof referenceGrantObject>>;

export interface KindTypes {
  readonly Mesh: Mesh;
  readonly TrafficPolicy: TrafficPolicy;
  readonly FaultPolicy: FaultPolicy;
  readonly AuthorizationPolicy: AuthorizationPolicy;
  readonly AuthenticationPolicy: AuthenticationPolicy;
  readonly OverloadPolicy: OverloadPolicy;
  readonly ExternalService: ExternalService;
  readonly HTTPRoute: HTTPRoute;
  readonly GRPCRoute: GRPCRoute;
  readonly TCPRoute: TCPRoute;
  readonly TLSRoute: TLSRoute;
  readonly ReferenceGrant: ReferenceGrant;
}

export type KindName = keyof KindTypes;
