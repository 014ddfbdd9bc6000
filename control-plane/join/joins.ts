/** Joining: a token becomes an identity once, and the key that it was used with renews it. */
import type { KeyObject } from 'node:crypto';
import { type JoinRecord, joinTokenDigest } from '@weft/policies/identity/join-token';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Secret } from '@weft/policies/kit/secret';
import type { AuthFailure } from '../auth/caller.ts';
import { keyDigestOf } from '../auth/key-digest.ts';
import type { HeldRecord, JoinRecords } from './records.ts';

/**
 * Questions to the store at one time, of each kind: guesses must not become a flood for the API server, and neither they
 * nor certificates that are no joined process's may stand in the way of processes that are known and renew.
 */
const lookupsMax = { guess: 50, stranger: 25, known: 50 } as const;
type LookupKind = keyof typeof lookupsMax;
/** Keys of processes that this replica has seen join or renew; the longest unseen are strangers again. */
const knownKeysMax = 20_000;
const sweepEveryMs = 60_000;
const sweptMax = 500;
/** A certificate for a program behind the joined process ends no later than the newest of the process, give or take. */
const renewalStepMs = 30_000;

interface JoinCounters {
  joined: number;
  renewed: number;
  /** Tokens that were used before. */
  replayed: number;
  expired: number;
  /** Tokens that nobody made, or that are forgotten. */
  unknown: number;
  /** Tokens turned away because too many were under way. */
  busyGuess: number;
  /** Likewise certificates whose key has not joined or renewed here before. */
  busyStranger: number;
  /** Likewise renewals of processes that are known. */
  busyKnown: number;
  swept: number;
}

const busyCounters = { guess: 'busyGuess', stranger: 'busyStranger', known: 'busyKnown' } as const;

const unauthenticated = (reason: string): Result<never, AuthFailure> =>
  err({ code: 'unauthenticated', message: `join token refused: ${reason}` });
const unavailable = (reason: string): Result<never, AuthFailure> =>
  err({ code: 'unavailable', message: `join tokens cannot be looked up: ${reason}` });

export class Joins {
  readonly counters: JoinCounters = {
    joined: 0,
    renewed: 0,
    replayed: 0,
    expired: 0,
    unknown: 0,
    busyGuess: 0,
    busyStranger: 0,
    busyKnown: 0,
    swept: 0,
  };
  private readonly records: JoinRecords;
  private readonly clock: Clock;
  private readonly underWay: Record<LookupKind, number> = { guess: 0, stranger: 0, known: 0 };
  private readonly knownKeys = new Set<string>();
  private cancelSweep: Cancel | undefined;

  constructor(records: JoinRecords, clock: Clock) {
    this.records = records;
    this.clock = clock;
  }

  /** Whom the token is for. It is not used up by that: `claim` does it, when there is something to hand out. */
  async open(token: Secret<string>): Promise<Result<HeldRecord, AuthFailure>> {
    const digest = joinTokenDigest(token.reveal());
    if (!digest.ok) return this.unknown(digest.error);
    const held = await this.bounded('guess', () => this.records.byDigest(digest.value));
    if (!held.ok) return held;
    if (held.value === undefined) return this.unknown('it is not known, or was forgotten after its end');
    const { use, expiresUnixMs } = held.value.record;
    if (use !== undefined) return this.replayed(use.joinedUnixMs);
    if (expiresUnixMs <= this.clock.unixMs()) {
      this.counters.expired += 1;
      return unauthenticated(`it expired at ${new Date(expiresUnixMs).toISOString()}`);
    }
    return ok(held.value);
  }

  /** Of several that come with one token, over all replicas, exactly one gets past this. */
  async claim(held: HeldRecord, key: KeyObject, notAfterMs: number): Promise<Result<void, AuthFailure>> {
    const joinedUnixMs = this.clock.unixMs();
    const keyDigest = keyDigestOf(key);
    const use = { keyDigest, joinedUnixMs, certificateEndsUnixMs: notAfterMs };
    // Whoever comes as far as this had a token that is good.
    const replaced = await this.bounded('known', () => this.records.replace(held, { ...held.record, use }));
    if (!replaced.ok) return replaced;
    if (replaced.value === 'changed') return this.replayed(joinedUnixMs);
    this.counters.joined += 1;
    this.remember(keyDigest);
    return ok(undefined);
  }

  /** The join that this key was part of, if there was one and nobody has taken it back. */
  async joinedWith(keyDigest: string): Promise<Result<HeldRecord | undefined, AuthFailure>> {
    const kind = this.knownKeys.has(keyDigest) ? 'known' : 'stranger';
    const held = await this.bounded(kind, () => this.records.byKey(keyDigest));
    if (held.ok && held.value !== undefined) this.remember(keyDigest);
    else if (held.ok) this.knownKeys.delete(keyDigest);
    return held;
  }

  /** Keeps the record for as long as there is a certificate to renew with. */
  async renewed(held: HeldRecord, notAfterMs: number): Promise<Result<void, AuthFailure>> {
    const { use } = held.record;
    if (use === undefined || notAfterMs <= use.certificateEndsUnixMs + renewalStepMs) return ok(undefined);
    const next: JoinRecord = { ...held.record, use: { ...use, certificateEndsUnixMs: notAfterMs } };
    const replaced = await this.bounded('known', () => this.records.replace(held, next));
    if (!replaced.ok) return replaced;
    if (replaced.value === 'changed') return unavailable('its record was changed at the same time; try again');
    this.counters.renewed += 1;
    return ok(undefined);
  }

  /** Forgets what is over, now and then, while `isOurs` says so. */
  startSweeping(isOurs: () => boolean, failed: (reason: string) => void): void {
    const again = (): void => {
      this.cancelSweep = this.clock.afterUnref(sweepEveryMs, () => {
        const swept = isOurs() ? this.sweep() : Promise.resolve(ok(0));
        void swept.then((done) => {
          if (!done.ok) failed(done.error);
          if (this.cancelSweep !== undefined) again();
        });
      });
    };
    again();
  }

  async sweep(): Promise<Result<number, string>> {
    const swept = await this.records.sweep(this.clock.unixMs(), sweptMax);
    if (swept.ok) this.counters.swept += swept.value;
    return swept;
  }

  stop(): void {
    this.cancelSweep?.();
    this.cancelSweep = undefined;
  }

  private unknown(reason: string): Result<never, AuthFailure> {
    this.counters.unknown += 1;
    return unauthenticated(reason);
  }

  /** Said plainly: whoever comes second with a token that was his learns that it was stolen. */
  private replayed(joinedUnixMs: number): Result<never, AuthFailure> {
    this.counters.replayed += 1;
    const at = new Date(joinedUnixMs).toISOString();
    return unauthenticated(`it was used at ${at} already; if that was not you, take it back with "weft token revoke"`);
  }

  private remember(keyDigest: string): void {
    this.knownKeys.delete(keyDigest);
    this.knownKeys.add(keyDigest);
    if (this.knownKeys.size > knownKeysMax)
      for (const oldest of this.knownKeys) if (this.knownKeys.delete(oldest)) break;
  }

  private async bounded<T>(kind: LookupKind, ask: () => Promise<Result<T, string>>): Promise<Result<T, AuthFailure>> {
    if (this.underWay[kind] >= lookupsMax[kind]) {
      this.counters[busyCounters[kind]] += 1;
      return unavailable(`${lookupsMax[kind]} are under way; try again`);
    }
    this.underWay[kind] += 1;
    try {
      const answer = await ask();
      return answer.ok ? answer : unavailable(answer.error);
    } finally {
      this.underWay[kind] -= 1;
    }
  }
}
