/** Everything that the control plane watches, as one union, and the door through which raw objects come in. */
import {
  type AnyRoute,
  type AuthenticationPolicy,
  type AuthorizationPolicy,
  type ExternalService,
  type FaultPolicy,
  type KindName,
  kindNames,
  type Mesh,
  type OverloadPolicy,
  parseKind,
  type ReferenceGrant,
  type TrafficPolicy,
} from '@weft/policies/crds/kinds';
import { describeErrors } from '@weft/policies/crds/parse';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { type CoreKind, type CoreTypes, coreKinds, isCoreKind, parseCore } from './core.ts';

export type MeshObject =
  | CoreTypes[CoreKind]
  | AnyRoute
  | ReferenceGrant
  | TrafficPolicy
  | FaultPolicy
  | AuthorizationPolicy
  | AuthenticationPolicy
  | OverloadPolicy
  | ExternalService
  | Mesh;

export type ObjectKind = MeshObject['kind'];

export const objectKinds: readonly ObjectKind[] = [...coreKinds, ...kindNames];

const isPolicyKind = (kind: string): kind is KindName => kindNames.some((one) => one === kind);
export const isObjectKind = (kind: string): kind is ObjectKind => isCoreKind(kind) || isPolicyKind(kind);

/** `<namespace>/<name>`, or the name alone for what has no namespace. */
export function objectKey(metadata: { readonly namespace?: unknown; readonly name: string }): string {
  const { namespace } = metadata;
  return typeof namespace === 'string' && namespace !== '' ? `${namespace}/${metadata.name}` : metadata.name;
}

export const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

export function parseObject(kind: ObjectKind, raw: unknown): Result<MeshObject, string> {
  if (isCoreKind(kind)) return parseCore(kind, raw);
  const parsed = parseKind(kind, raw);
  return parsed.ok ? ok(parsed.value) : err(describeErrors(parsed.error));
}

/**
 * The `jwt` of an AuthenticationPolicy that nobody could read: no schema takes an empty list. Which tokens are good is not
 * known then, so that requests are refused.
 */
export const unreadJwt: NonNullable<AuthenticationPolicy['spec']['jwt']> = [];

export const hasUnreadJwt = ({ spec }: AuthenticationPolicy): boolean => spec.jwt?.length === 0;

/** Orders objects by age, oldest first, then by name: who came first wins (Gateway API, "Conflicts"). */
export function byAge(a: Aged, b: Aged): number {
  const left = a.metadata.creationTimestamp;
  const right = b.metadata.creationTimestamp;
  if (left !== right) return left < right ? -1 : 1;
  const [first, second] = [objectKey(a.metadata), objectKey(b.metadata)];
  return first < second ? -1 : first > second ? 1 : 0;
}

interface Aged {
  readonly metadata: { readonly creationTimestamp: string; readonly name: string; readonly namespace?: unknown };
}
