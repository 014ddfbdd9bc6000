/** What is said about an object, before it becomes a status. */

export interface ConditionVerdict {
  readonly type: 'Accepted' | 'ResolvedRefs' | 'PartiallyInvalid' | 'Conflicted' | 'Enforced' | 'PlaintextSeen';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Resources that carry an object to the sidecars, to tell how far it has come. */
export interface Carriers {
  readonly kind: 'route' | 'cluster' | 'listener' | 'address';
  readonly names: readonly string[];
}

export const accepted = (message: string): ConditionVerdict => ({
  type: 'Accepted',
  status: 'True',
  reason: 'Accepted',
  message,
});

export const refused = (reason: string, message: string): ConditionVerdict => ({
  type: 'Accepted',
  status: 'False',
  reason,
  message,
});
