/** A policy that would have decided, had it been asked to: left behind for filters that go by it. */
export interface ShadowPolicy {
  readonly policy: string;
  /** Why it cannot be known whether the policy matches; empty: it does. */
  readonly undecidable: string;
}
