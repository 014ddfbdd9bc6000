/** The registry of kinds: everything about each of them in one place, and the door through which objects come in. */
import type { z } from 'zod';
import { err, ok, type Result } from '../kit/result.ts';
import { authenticationPolicySpec } from './authenticationpolicy.ts';
import { authorizationPolicySpec } from './authorizationpolicy.ts';
import { externalServiceSpec, externalServiceStatus } from './externalservice.ts';
import { faultPolicySpec } from './faultpolicy.ts';
import { grpcRouteSpec } from './gateway/grpcroute.ts';
import { httpRouteSpec } from './gateway/httproute.ts';
import { tcpRouteSpec, tlsRouteSpec } from './gateway/l4routes.ts';
import { referenceGrantSpec } from './gateway/referencegrant.ts';
import { routeStatus } from './gateway/status.ts';
import {
  authenticationPolicyObject,
  authorizationPolicyObject,
  externalServiceObject,
  faultPolicyObject,
  grpcRouteObject,
  httpRouteObject,
  type KindName,
  type KindTypes,
  meshObject,
  meshRules,
  overloadPolicyObject,
  referenceGrantObject,
  tcpRouteObject,
  tlsRouteObject,
  trafficPolicyObject,
  trafficPolicyRules,
} from './kind-schemas.ts';
import { meshSpec, meshStatus } from './mesh.ts';
import { countedPolicyStatus, mergedPolicyStatus, policyStatus } from './object.ts';
import { overloadPolicySpec } from './overloadpolicy.ts';
import { type FieldError, fieldErrors } from './parse.ts';
import { type CelRule, celRulesOf } from './schema.ts';
import { trafficPolicySpec } from './trafficpolicy.ts';

export type {
  AuthenticationPolicy,
  AuthorizationPolicy,
  ExternalService,
  FaultPolicy,
  GRPCRoute,
  HTTPRoute,
  KindName,
  KindTypes,
  Mesh,
  OverloadPolicy,
  ReferenceGrant,
  TCPRoute,
  TLSRoute,
  TrafficPolicy,
} from './kind-schemas.ts';

export type { FieldError } from './parse.ts';

export const weftGroup = 'weft.dev';
export const gatewayGroup = 'gateway.networking.k8s.io';

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description?: string;
  /** Columns above 0 show with `-o wide` alone. */
  readonly priority?: number;
}

export interface KindDefinition<T = unknown> {
  readonly group: string;
  readonly version: string;
  /** Versions of the same content that clusters may serve as well, or in its place; the first of them that is, is read. */
  readonly otherVersions: readonly string[];
  readonly kind: KindName;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  readonly description: string;
  /** An object as a whole, as the API server hands it out. */
  readonly schema: z.ZodType<T>;
  readonly spec: z.ZodType;
  readonly status: z.ZodType | undefined;
  /** Rules at the root of the object. */
  readonly celRules: readonly CelRule[];
  readonly printerColumns: readonly PrinterColumn[];
}

const age: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };
const accepted: PrinterColumn = {
  name: 'Accepted',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Accepted")].status',
  description: 'Whether the control plane takes the object.',
};
const programmed: PrinterColumn = {
  name: 'Programmed',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="weft.dev/Programmed")].status',
  description: 'Whether the sidecars have it.',
};

const verdicts = [accepted, programmed, age];
const target: readonly PrinterColumn[] = [
  { name: 'Target Kind', type: 'string', jsonPath: '.spec.targetRefs[0].kind' },
  { name: 'Target', type: 'string', jsonPath: '.spec.targetRefs[0].name' },
];
const selector: PrinterColumn = {
  name: 'Selector',
  type: 'string',
  jsonPath: '.spec.selector.matchLabels',
  priority: 1,
};
const hostnames: PrinterColumn = { name: 'Hostnames', type: 'string', jsonPath: '.spec.hostnames' };

/** What most kinds have in common; who differs says so. */
const weftKind = {
  group: weftGroup,
  version: 'v1alpha1',
  otherVersions: [],
  categories: ['weft'],
  scope: 'Namespaced',
  celRules: [],
} as const;
const gatewayKind = { ...weftKind, group: gatewayGroup, version: 'v1', categories: ['gateway-api'] } as const;

export const kinds: { readonly [Kind in KindName]: KindDefinition<KindTypes[Kind]> } = {
  Mesh: {
    ...weftKind,
    kind: 'Mesh',
    plural: 'meshes',
    singular: 'mesh',
    shortNames: [],
    scope: 'Cluster',
    description: 'Mesh holds the settings of the whole mesh. There is one, named default.',
    schema: meshObject,
    spec: meshSpec,
    status: meshStatus,
    celRules: celRulesOf(meshRules),
    printerColumns: [
      { name: 'mTLS', type: 'string', jsonPath: '.spec.mtls.mode' },
      { name: 'Trust Domain', type: 'string', jsonPath: '.status.trustDomain' },
      ...verdicts,
    ],
  },
  TrafficPolicy: {
    ...weftKind,
    kind: 'TrafficPolicy',
    plural: 'trafficpolicies',
    singular: 'trafficpolicy',
    shortNames: ['tp'],
    description: 'TrafficPolicy says how clients call a target: retries, timeouts, circuit breaking, load balancing.',
    schema: trafficPolicyObject,
    spec: trafficPolicySpec,
    status: mergedPolicyStatus,
    celRules: celRulesOf(trafficPolicyRules),
    printerColumns: [...target, ...verdicts],
  },
  FaultPolicy: {
    ...weftKind,
    kind: 'FaultPolicy',
    plural: 'faultpolicies',
    singular: 'faultpolicy',
    shortNames: ['fp'],
    description: 'FaultPolicy makes calls of a target fail on purpose: delays, aborts, resets, little bandwidth.',
    schema: faultPolicyObject,
    spec: faultPolicySpec,
    status: policyStatus,
    celRules: celRulesOf(trafficPolicyRules),
    printerColumns: [...target, ...verdicts],
  },
  AuthorizationPolicy: {
    ...weftKind,
    kind: 'AuthorizationPolicy',
    plural: 'authorizationpolicies',
    singular: 'authorizationpolicy',
    shortNames: ['ap'],
    description: 'AuthorizationPolicy says who may call the workloads of its namespace.',
    schema: authorizationPolicyObject,
    spec: authorizationPolicySpec,
    status: countedPolicyStatus,
    printerColumns: [
      { name: 'Action', type: 'string', jsonPath: '.spec.action' },
      { name: 'Hits', type: 'integer', jsonPath: '.status.hits' },
      { name: 'Last Hit', type: 'date', jsonPath: '.status.lastHitTime' },
      selector,
      ...verdicts,
    ],
  },
  AuthenticationPolicy: {
    ...weftKind,
    kind: 'AuthenticationPolicy',
    plural: 'authenticationpolicies',
    singular: 'authenticationpolicy',
    shortNames: ['authn'],
    description: 'AuthenticationPolicy says by what workloads know their callers: mutual TLS, and tokens of end users.',
    schema: authenticationPolicyObject,
    spec: authenticationPolicySpec,
    status: policyStatus,
    printerColumns: [
      { name: 'mTLS', type: 'string', jsonPath: '.spec.mtls.mode' },
      { name: 'Issuers', type: 'string', jsonPath: '.spec.jwt[*].issuer', priority: 1 },
      selector,
      ...verdicts,
    ],
  },
  OverloadPolicy: {
    ...weftKind,
    kind: 'OverloadPolicy',
    plural: 'overloadpolicies',
    singular: 'overloadpolicy',
    shortNames: ['op'],
    description: 'OverloadPolicy says how the workloads of its namespace protect themselves from too many requests.',
    schema: overloadPolicyObject,
    spec: overloadPolicySpec,
    status: policyStatus,
    printerColumns: verdicts,
  },
  ExternalService: {
    ...weftKind,
    kind: 'ExternalService',
    plural: 'externalservices',
    singular: 'externalservice',
    shortNames: ['es'],
    description: 'ExternalService is a host outside of the mesh that workloads may call, and how it is reached.',
    schema: externalServiceObject,
    spec: externalServiceSpec,
    status: externalServiceStatus,
    printerColumns: [
      { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts' },
      { name: 'Resolution', type: 'string', jsonPath: '.spec.resolution' },
      { name: 'Visibility', type: 'string', jsonPath: '.spec.visibility', priority: 1 },
      ...verdicts,
    ],
  },
  HTTPRoute: {
    ...gatewayKind,
    kind: 'HTTPRoute',
    plural: 'httproutes',
    singular: 'httproute',
    shortNames: [],
    description: 'HTTPRoute routes HTTP requests to backends by path, header, query and method.',
    schema: httpRouteObject,
    spec: httpRouteSpec,
    status: routeStatus,
    printerColumns: [hostnames, age],
  },
  GRPCRoute: {
    ...gatewayKind,
    kind: 'GRPCRoute',
    plural: 'grpcroutes',
    singular: 'grpcroute',
    shortNames: [],
    description: 'GRPCRoute routes gRPC calls to backends by service, method and header.',
    schema: grpcRouteObject,
    spec: grpcRouteSpec,
    status: routeStatus,
    printerColumns: [hostnames, age],
  },
  TCPRoute: {
    ...gatewayKind,
    otherVersions: ['v1alpha2'],
    kind: 'TCPRoute',
    plural: 'tcproutes',
    singular: 'tcproute',
    shortNames: [],
    description: 'TCPRoute routes TCP connections to backends by weight.',
    schema: tcpRouteObject,
    spec: tcpRouteSpec,
    status: routeStatus,
    printerColumns: [age],
  },
  TLSRoute: {
    ...gatewayKind,
    otherVersions: ['v1alpha3', 'v1alpha2'],
    kind: 'TLSRoute',
    plural: 'tlsroutes',
    singular: 'tlsroute',
    shortNames: [],
    description: 'TLSRoute routes TLS connections to backends by server name, without ending TLS.',
    schema: tlsRouteObject,
    spec: tlsRouteSpec,
    status: routeStatus,
    printerColumns: [age],
  },
  ReferenceGrant: {
    ...gatewayKind,
    version: 'v1beta1',
    otherVersions: ['v1'],
    kind: 'ReferenceGrant',
    plural: 'referencegrants',
    singular: 'referencegrant',
    shortNames: ['refgrant'],
    description: 'ReferenceGrant lets objects of other namespaces refer to objects of its own.',
    schema: referenceGrantObject,
    spec: referenceGrantSpec,
    status: undefined,
    printerColumns: [age],
  },
};

export const weftKinds = [
  'Mesh',
  'TrafficPolicy',
  'FaultPolicy',
  'AuthorizationPolicy',
  'AuthenticationPolicy',
  'OverloadPolicy',
  'ExternalService',
] as const satisfies readonly KindName[];

export const kindNames: readonly KindName[] = [
  ...weftKinds,
  'HTTPRoute',
  'GRPCRoute',
  'TCPRoute',
  'TLSRoute',
  'ReferenceGrant',
];

/** In order of precedence where several are attached to one port of a Service (GEP-1294, "Route types"). */
export const routeKinds = ['GRPCRoute', 'HTTPRoute', 'TLSRoute', 'TCPRoute'] as const satisfies readonly KindName[];
export type RouteKind = (typeof routeKinds)[number];
export type AnyRoute = KindTypes[RouteKind];
export const isRouteKind = (kind: string): kind is RouteKind => routeKinds.some((one) => one === kind);

/** Parses and completes an object (its defaults filled in), or says what is wrong, field by field. */
export function parseKind<Kind extends KindName>(
  kind: Kind,
  object: unknown,
): Result<KindTypes[Kind], readonly FieldError[]> {
  const definition: KindDefinition<KindTypes[Kind]> = kinds[kind];
  const parsed = definition.schema.safeParse(object, { reportInput: true });
  return parsed.success ? ok(parsed.data) : err(fieldErrors(parsed.error.issues));
}
