/** Keeps what is revoked up to date: as entries come and go, and as they expire. */
import { REVOCATIONS_MAX, readRevocations } from '@weft/policies/identity/revocation-record';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import { backdateMs } from '../ca/authority.ts';
import type { MeshTrust } from './mesh-trust.ts';

/** A timer cannot wait for longer than 24 days. */
const LOOK_MS_MAX = 3_600_000;

/** Entries that count for nothing. */
export interface IgnoredRevocations {
  readonly malformed: readonly string[];
  /** There are so many that the oldest have no room. */
  readonly beyondLimit: number;
}

const NAMED_MAX = 3;

/** For the Mesh's status; undefined while there is nothing to say. */
export function revocationsVerdict(revoked: number, { malformed, beyondLimit }: IgnoredRevocations) {
  const type = 'RevocationsInForce';
  if (malformed.length === 0 && beyondLimit === 0) {
    if (revoked === 0) return undefined;
    return { type, status: 'True', reason: 'InForce', message: `${revoked} are in force` } as const;
  }
  const named = malformed.slice(0, NAMED_MAX).join('; ');
  const texts = [
    ...(beyondLimit === 0
      ? []
      : [
          `${beyondLimit} beyond the ${REVOCATIONS_MAX} that count, the oldest, count for nothing: take back what has ended`,
        ]),
    ...(malformed.length === 0 ? [] : [`${malformed.length} are not understood and count for nothing: ${named}`]),
  ];
  const reason = beyondLimit > 0 ? 'LimitExceeded' : 'Malformed';
  return { type, status: 'False', reason, message: texts.join('; ') } as const;
}

export class Revocations {
  private readonly trust: MeshTrust;
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'warn' | 'info'>;
  private data: Readonly<Record<string, string>> = {};
  private cancel: Cancel | undefined;
  private told = '';
  private toldIgnored = '';
  private readonly onChange: () => void;

  /** `onChange`: what the status says is another thing now. */
  constructor(trust: MeshTrust, clock: Clock, log: Pick<Log, 'warn' | 'info'>, onChange = (): void => undefined) {
    this.onChange = onChange;
    this.trust = trust;
    this.clock = clock;
    this.log = log;
  }

  take(data: Readonly<Record<string, string>>): void {
    this.data = data;
    this.read();
  }

  stop(): void {
    this.cancel?.();
  }

  private read(): void {
    this.cancel?.();
    this.cancel = undefined;
    const nowUnixMs = this.clock.unixMs();
    const { revoked, faults, beyond, nextExpiryUnixMs } = readRevocations(this.data, nowUnixMs, backdateMs);
    this.tellIgnored(faults, beyond);
    const next = JSON.stringify(revoked);
    if (next !== this.told) {
      this.told = next;
      this.log.info('revocations', { count: revoked.length });
      this.trust.revoke(revoked);
      this.onChange();
    }
    if (nextExpiryUnixMs > 0) {
      const leftMs = Math.min(LOOK_MS_MAX, Math.max(1, nextExpiryUnixMs - nowUnixMs));
      this.cancel = this.clock.after(leftMs, () => this.read());
    }
  }

  private tellIgnored(malformed: readonly string[], beyond: readonly string[]): void {
    const next = JSON.stringify([malformed, beyond]);
    if (next === this.toldIgnored) return;
    this.toldIgnored = next;
    this.trust.ignoredRevocations = { malformed, beyondLimit: beyond.length };
    for (const entry of malformed) this.log.warn('a revocation is not understood and counts for nothing', { entry });
    if (beyond.length > 0)
      this.log.warn('too many revocations: the oldest count for nothing', {
        limit: REVOCATIONS_MAX,
        beyond: beyond.length,
        first: beyond.slice(0, NAMED_MAX),
      });
    this.onChange();
  }
}
