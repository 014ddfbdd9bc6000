/** Looks at the mesh's own certificates every minute, and when others are trusted: metrics, a condition of the Mesh, an event, a line in the log. */

import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { MetricFamily } from '../monitoring/metrics.ts';
import type { MeshTrust } from './mesh-trust.ts';
import {
  type CertificatesVerdict,
  certificatesVerdict,
  type WatchedCertificate,
  watchedCertificates,
} from './watchdog.ts';

export interface CertificateWatchOptions {
  readonly authority: CertificateAuthority;
  /** Why what is stored is not what signs; empty: it is. */
  readonly problems: () => readonly string[];
  readonly servingPem: () => string;
  readonly trust: MeshTrust;
  readonly clock: Clock;
  readonly log: Log;
  /** The verdict is another one than before. */
  readonly onVerdict: (verdict: CertificatesVerdict) => void;
}

const LOOK_MS = 60_000;

export class CertificateWatch {
  private readonly options: CertificateWatchOptions;
  private watched: readonly WatchedCertificate[] = [];
  private reason = 'Valid';
  private cancel: Cancel | undefined;
  private endFollowing: Cancel | undefined;

  constructor(options: CertificateWatchOptions) {
    this.options = options;
  }

  start(): void {
    this.endFollowing = this.options.trust.onChange(() => this.look());
    this.look();
  }

  stop(): void {
    this.endFollowing?.();
    this.cancel?.();
  }

  families(): MetricFamily[] {
    const nowMs = this.options.clock.unixMs();
    const { ignoredRevocations: ignored } = this.options.trust;
    return [
      {
        name: 'weft_control_plane_certificate_expiry_seconds',
        type: 'gauge',
        help: 'Seconds until a certificate of the mesh itself ends.',
        samples: this.watched.map(({ kind, name, notAfterMs }) => ({
          labels: { kind, name },
          value: Math.round((notAfterMs - nowMs) / 1_000),
        })),
      },
      {
        name: 'weft_control_plane_revocations',
        type: 'gauge',
        help: 'Identities and certificates that are revoked.',
        samples: [{ value: this.options.trust.revoked.length }],
      },
      {
        name: 'weft_control_plane_revocations_ignored',
        type: 'gauge',
        help: 'Revocations that count for nothing: not understood, or beyond what the mesh can keep.',
        samples: [
          { labels: { reason: 'malformed' }, value: ignored.malformed.length },
          { labels: { reason: 'limit' }, value: ignored.beyondLimit },
        ],
      },
    ];
  }

  private look(): void {
    const { authority, problems, trust, servingPem, clock, log, onVerdict } = this.options;
    this.watched = watchedCertificates({
      issuer: authority.issuer,
      anchors: authority.anchors(),
      servingPem: servingPem(),
      federated: trust.federated,
    });
    const verdict = certificatesVerdict(this.watched, clock.unixMs(), problems());
    trust.certificates = verdict;
    if (verdict.reason !== this.reason) {
      this.reason = verdict.reason;
      const level = verdict.status === 'True' ? 'info' : 'warn';
      log[level]('certificates of the mesh', { reason: verdict.reason, detail: verdict.message });
      onVerdict(verdict);
    }
    this.cancel?.();
    this.cancel = clock.after(LOOK_MS, () => this.look());
  }
}
