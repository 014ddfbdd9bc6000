/**
 * What an nf_tables table should contain, as data: plans build it, `nft-encode.ts` turns it into netlink messages. The words are those of nft(8),
 * so that a ruleset here and the output of `nft list ruleset` read alike.
 */

export type Family = 'ip' | 'ip6' | 'inet';
export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** Priorities of nft(8), "Standard priority names". */
export const PRIORITY = { mangle: -150, dstnat: -100, filter: 0, srcnat: 100 } as const;

export interface BaseHook {
  readonly type: 'nat' | 'filter';
  readonly hook: Hook;
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
}

/** What a rule or set looks at. The header fields bring their own guard (protocol and family), as they do in nft(8). */
export type Field =
  | 'ip saddr'
  | 'ip daddr'
  | 'ip6 saddr'
  | 'ip6 daddr'
  | 'tcp sport'
  | 'tcp dport'
  | 'udp sport'
  | 'udp dport'
  | 'th sport'
  | 'th dport'
  | 'meta l4proto'
  | 'meta nfproto'
  | 'meta skuid'
  | 'meta skgid'
  | 'meta mark'
  | 'meta iifname'
  | 'meta oifname'
  | 'ct direction'
  | 'ct state'
  | 'ct status'
  | 'ct mark'
  | 'fib daddr type';

/** Addresses and interface names as text, everything else as a number; `tcp`, `udp`, `ipv4`, `local` and the like by name. */
export type Scalar = string | number;

/** A set element of one field: one value, a prefix `10.0.0.0/8`, or a range. */
export type Interval = Scalar | { readonly from: Scalar; readonly to: Scalar };

export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'return' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'goto'; readonly chain: string };

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export type RejectWith = 'tcp-reset' | 'port-unreachable' | 'host-unreachable' | 'no-route' | 'admin-prohibited';

export type Statement =
  | {
      readonly kind: 'match';
      readonly field: Field;
      readonly op: '==' | '!=' | '<' | '<=' | '>' | '>=';
      readonly value: Scalar;
    }
  /** `(field & mask) != 0`, or `== 0` when not `set`: for the bit fields `ct state` and `ct status`. */
  | { readonly kind: 'bits'; readonly field: Field; readonly mask: number; readonly set: boolean }
  | { readonly kind: 'in'; readonly field: Field; readonly values: readonly Interval[]; readonly negate: boolean }
  | { readonly kind: 'inSet'; readonly fields: readonly Field[]; readonly set: string; readonly negate: boolean }
  /** Goes by the verdict of a named map; no entry, no effect. */
  | { readonly kind: 'vmap'; readonly fields: readonly Field[]; readonly map: string }
  /** One of the verdicts at random, all alike likely. */
  | { readonly kind: 'randomVerdict'; readonly verdicts: readonly Verdict[] }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'counter' }
  | { readonly kind: 'setMark'; readonly mark: number }
  | { readonly kind: 'redirect'; readonly port: number }
  /**
   * To one of the endpoints, at random or by the source address; they must be of one family, and the rule needs a match on the transport protocol before.
   */
  | { readonly kind: 'dnat'; readonly endpoints: readonly Endpoint[]; readonly by: 'random' | 'source' }
  | { readonly kind: 'masquerade' }
  | { readonly kind: 'reject'; readonly with: RejectWith };

export interface Rule {
  /** Shown as the rule's comment by `nft list ruleset`, and in errors. At most 120 bytes. */
  readonly name: string;
  readonly statements: readonly Statement[];
}

export interface Chain {
  readonly name: string;
  readonly hook?: BaseHook;
  readonly rules: readonly Rule[];
}

/** Elements of several fields (a concatenation) are lists with one value a field; those of one field may be intervals. */
export type NamedSet =
  | { readonly kind: 'set'; readonly name: string; readonly field: Field; readonly elements: readonly Interval[] }
  | {
      readonly kind: 'concat';
      readonly name: string;
      readonly fields: readonly Field[];
      readonly elements: readonly (readonly Scalar[])[];
    }
  | {
      readonly kind: 'vmap';
      readonly name: string;
      readonly fields: readonly Field[];
      readonly entries: readonly { readonly key: readonly Scalar[]; readonly verdict: Verdict }[];
    };

export interface Ruleset {
  readonly family: Family;
  readonly table: string;
  readonly sets: readonly NamedSet[];
  readonly chains: readonly Chain[];
}

/** Bits of `ct state` and `ct status` (linux/netfilter/nf_conntrack_common.h). */
export const CT_STATE = { invalid: 1, established: 2, related: 4, new: 8 } as const;
export const CT_STATUS = { srcNat: 0x10, dstNat: 0x20 } as const;

export const rule = (name: string, ...statements: readonly Statement[]): Rule => ({ name, statements });
export const match = (field: Field, value: Scalar): Statement => ({ kind: 'match', field, op: '==', value });
export const matchNot = (field: Field, value: Scalar): Statement => ({ kind: 'match', field, op: '!=', value });
export const bits = (field: Field, mask: number, set = true): Statement => ({ kind: 'bits', field, mask, set });
export const isIn = (field: Field, values: readonly Interval[]): Statement => ({
  kind: 'in',
  field,
  values,
  negate: false,
});
export const inSet = (set: string, ...fields: readonly Field[]): Statement => ({
  kind: 'inSet',
  fields,
  set,
  negate: false,
});
export const vmap = (map: string, ...fields: readonly Field[]): Statement => ({ kind: 'vmap', fields, map });
export const randomVerdict = (verdicts: readonly Verdict[]): Statement => ({ kind: 'randomVerdict', verdicts });
export const accept: Statement = { kind: 'verdict', verdict: { kind: 'accept' } };
export const drop: Statement = { kind: 'verdict', verdict: { kind: 'drop' } };
export const returns: Statement = { kind: 'verdict', verdict: { kind: 'return' } };
export const jump = (chain: string): Statement => ({ kind: 'verdict', verdict: { kind: 'jump', chain } });
export const goTo = (chain: string): Statement => ({ kind: 'verdict', verdict: { kind: 'goto', chain } });
export const counter: Statement = { kind: 'counter' };
export const setMark = (mark: number): Statement => ({ kind: 'setMark', mark });
export const redirectTo = (port: number): Statement => ({ kind: 'redirect', port });
export const dnatTo = (...endpoints: readonly Endpoint[]): Statement => ({ kind: 'dnat', endpoints, by: 'random' });
/** The same source goes to the same place in the list each time. */
export const dnatBySource = (...endpoints: readonly Endpoint[]): Statement => ({
  kind: 'dnat',
  endpoints,
  by: 'source',
});
export const masquerade: Statement = { kind: 'masquerade' };
export const rejectWith = (how: RejectWith): Statement => ({ kind: 'reject', with: how });
