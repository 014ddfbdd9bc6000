/** Objects with a verdict: each is right, or wrong for one reason that the error must name. */
import type { KindName } from './kinds.ts';

export interface Sample {
  readonly kind: KindName;
  /** What is special about it. */
  readonly title: string;
  readonly object: Readonly<Record<string, unknown>>;
  /** Path and part of the message of the error that must be there; undefined: the object is right. */
  readonly error?: readonly [path: string, message: string];
}

type Spec = Readonly<Record<string, unknown>>;

export const apiVersions: Readonly<Record<KindName, string>> = {
  Mesh: 'weft.dev/v1alpha1',
  TrafficPolicy: 'weft.dev/v1alpha1',
  FaultPolicy: 'weft.dev/v1alpha1',
  AuthorizationPolicy: 'weft.dev/v1alpha1',
  AuthenticationPolicy: 'weft.dev/v1alpha1',
  OverloadPolicy: 'weft.dev/v1alpha1',
  ExternalService: 'weft.dev/v1alpha1',
  HTTPRoute: 'gateway.networking.k8s.io/v1',
  GRPCRoute: 'gateway.networking.k8s.io/v1',
  TCPRoute: 'gateway.networking.k8s.io/v1',
  TLSRoute: 'gateway.networking.k8s.io/v1',
  ReferenceGrant: 'gateway.networking.k8s.io/v1beta1',
};

export function objectOf(kind: KindName, spec: unknown, name = 'sample'): Readonly<Record<string, unknown>> {
  const metadata = kind === 'Mesh' ? { name: name === 'sample' ? 'default' : name } : { name, namespace: 'shop' };
  return { apiVersion: apiVersions[kind], kind, metadata, spec };
}

export const right = (kind: KindName, title: string, spec: Spec): Sample => ({
  kind,
  title,
  object: objectOf(kind, spec),
});

export const wrong = (kind: KindName, title: string, spec: Spec, path: string, message: string): Sample => ({
  kind,
  title,
  object: objectOf(kind, spec),
  error: [path, message],
});
