/** What is said of an object as a whole, from what is said of it at each of its targets. */

export interface AnyVerdict {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export const isAccepted = (conditions: readonly Pick<AnyVerdict, 'type' | 'status'>[]): boolean =>
  conditions.some((one) => one.type === 'Accepted' && one.status === 'True');

/**
 * One verdict a type over all targets, for `kubectl get`: the worst one speaks. A target that is not there says so itself
 * (GEP-713): what the policy is at the others does not depend on it, and how far it has come there even less.
 */
export function summaryOf(targets: readonly (readonly AnyVerdict[])[]): AnyVerdict[] {
  const taken = targets.filter(isAccepted);
  if (taken.length === 0 || taken.length === targets.length) return worstOf(targets);
  const why = targets
    .filter((one) => !isAccepted(one))
    .flatMap((one) => one.filter(({ type }) => type === 'Accepted').map(({ message }) => message));
  const leftOut = `${why.length} of ${targets.length} targets are left out: ${why.join('; ')}`;
  return worstOf(taken).map((one) =>
    one.type === 'Accepted' ? { ...one, message: `${one.message}; ${leftOut}` } : one,
  );
}

function worstOf(targets: readonly (readonly AnyVerdict[])[]): AnyVerdict[] {
  const byType = new Map<string, AnyVerdict>();
  for (const verdict of targets.flat()) {
    const known = byType.get(verdict.type);
    const worse = verdict.type === 'Conflicted' ? verdict.status === 'True' : verdict.status !== 'True';
    if (known === undefined || (worse && known.status !== verdict.status)) byType.set(verdict.type, verdict);
  }
  return [...byType.values()].map(({ type, status, reason, message }) => ({ type, status, reason, message }));
}
