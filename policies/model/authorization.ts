import type { CidrRange } from './address.ts';
import type { HeaderMatch, StringMatch } from './match.ts';

/** One RBAC filter (HTTP or network). Policies are named `<namespace>/<policy>/<rule>`: the name shows in logs. */
export interface Rbac {
  readonly action: 'allow' | 'deny' | 'log';
  /** ALLOW without policies denies everything; DENY without policies denies nothing. */
  readonly policies: readonly RbacPolicy[];
}

/** Matches when any permission and any principal match. */
export interface RbacPolicy {
  readonly name: string;
  readonly permissions: readonly Permission[];
  readonly principals: readonly Principal[];
}

export type Permission =
  | { readonly kind: 'any' }
  | { readonly kind: 'and' | 'or'; readonly rules: readonly Permission[] }
  | { readonly kind: 'not'; readonly rule: Permission }
  | { readonly kind: 'header'; readonly match: HeaderMatch }
  /** Path without query, normalised as for routing. */
  | { readonly kind: 'path'; readonly match: StringMatch }
  | { readonly kind: 'destinationPort'; readonly port: number }
  | { readonly kind: 'destinationIp'; readonly range: CidrRange };

export type Principal =
  | { readonly kind: 'any' }
  | { readonly kind: 'and' | 'or'; readonly ids: readonly Principal[] }
  | { readonly kind: 'not'; readonly id: Principal }
  /** Verified peer certificate whose URI SAN matches; undefined: any verified peer. */
  | { readonly kind: 'authenticated'; readonly match: StringMatch | undefined }
  | { readonly kind: 'sourceIp'; readonly range: CidrRange }
  | { readonly kind: 'header'; readonly match: HeaderMatch };
