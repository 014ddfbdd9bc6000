/** Where it is kept which join tokens there are, and who has used them. */
import type { JoinRecord } from '@weft/policies/identity/join-token';
import type { Result } from '@weft/policies/kit/result';

export interface HeldRecord {
  readonly record: JoinRecord;
  /** Of the stored state that `record` was read from: what replaces it says which one it means. */
  readonly version: string;
}

export interface JoinRecords {
  byDigest(digest: string): Promise<Result<HeldRecord | undefined, string>>;
  byKey(keyDigest: string): Promise<Result<HeldRecord | undefined, string>>;
  /** `changed` when what is stored is not what was read any more: of several that try, one is told `replaced`. */
  replace(held: HeldRecord, next: JoinRecord): Promise<Result<'replaced' | 'changed', string>>;
  /** Forgets what is over, at most `max` of it. */
  sweep(nowUnixMs: number, max: number): Promise<Result<number, string>>;
}
