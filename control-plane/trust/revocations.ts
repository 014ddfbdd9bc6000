/** Keeps what is revoked up to date: as entries come and go, and as they expire. */
import { readRevocations } from '@weft/policies/identity/revocation-record';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import { backdateMs } from '../ca/authority.ts';
import type { MeshTrust } from './mesh-trust.ts';

/** A timer cannot wait for longer than 24 days. */
const LOOK_MS_MAX = 3_600_000;

export class Revocations {
  private readonly trust: MeshTrust;
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'warn' | 'info'>;
  private data: Readonly<Record<string, string>> = {};
  private cancel: Cancel | undefined;
  private told = '';

  constructor(trust: MeshTrust, clock: Clock, log: Pick<Log, 'warn' | 'info'>) {
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
    const { revoked, faults, nextExpiryUnixMs } = readRevocations(this.data, nowUnixMs, backdateMs);
    for (const fault of faults)
      this.log.warn('a revocation is not understood and counts for nothing', { entry: fault });
    const next = JSON.stringify(revoked);
    if (next !== this.told) {
      this.told = next;
      this.log.info('revocations', { count: revoked.length });
      this.trust.revoke(revoked);
    }
    if (nextExpiryUnixMs > 0) {
      const leftMs = Math.min(LOOK_MS_MAX, Math.max(1, nextExpiryUnixMs - nowUnixMs));
      this.cancel = this.clock.after(leftMs, () => this.read());
    }
  }
}
