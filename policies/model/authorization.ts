import type { CidrRange } from './address.ts';
import type { HeaderMatch, StringMatch } from './match.ts';
import type { ValueMatch } from './value-match.ts';

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
  /** Of the connection. */
  | { readonly kind: 'sourceIp'; readonly range: CidrRange }
  /** Of the client: behind trusted hops the one that they tell of, else that of the connection. */
  | { readonly kind: 'clientIp'; readonly range: CidrRange }
  /** In the payload of the verified token, down these names; none: the payload itself. Without a token nothing matches. */
  | { readonly kind: 'claim'; readonly path: readonly string[]; readonly value: ValueMatch }
  | { readonly kind: 'header'; readonly match: HeaderMatch };
