/** What the path reads: one field. */
export interface OverloadState {
  /** New work is turned away; what is open goes on. */
  readonly shouldShed: boolean;
}
