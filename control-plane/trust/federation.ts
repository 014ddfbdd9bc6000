/**
 * Bundles of other trust domains, fetched by every replica: the last good one is kept while its endpoint cannot be reached,
 * and one that would take our own anchors' place is not taken.
 */
import { createSecureContext } from 'node:tls';
import type { Mesh } from '@weft/policies/crds/kinds';
import {
  areRivals,
  type ForeignAnchors,
  readForeignAnchors,
  shareName,
  subjectNames,
} from '@weft/policies/identity/foreign-anchors';
import { parseSpiffeBundle, type SpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import { parseTrustDomain, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import type { Prng } from '@weft/policies/kit/prng';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { MetricFamily } from '../monitoring/metrics.ts';
import type { BundleEndpoint } from './fetch-bundle.ts';
import type { MeshTrust } from './mesh-trust.ts';

export type FetchBundle = (endpoint: BundleEndpoint) => Promise<Result<SpiffeBundle, string>>;
type Wanted = Mesh['spec']['trust']['federation'][number];

export interface FederationOptions {
  readonly trust: MeshTrust;
  readonly ownAnchors: () => readonly Uint8Array[];
  readonly fetch: FetchBundle;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly onChange?: () => void;
}

const REFRESH_MS_DEFAULT = 300_000;
const REFRESH_MS_MIN = 10_000;
const REFRESH_MS_MAX = 86_400_000;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 300_000;

class Partner {
  readonly trustDomain: TrustDomain;
  readonly wanted: Wanted;
  held: { readonly bundle: SpiffeBundle; readonly anchors: ForeignAnchors } | undefined = undefined;
  /** Empty: the last fetch was good. */
  problem = '';
  failures = 0;
  cancel: Cancel | undefined = undefined;
  gone = false;

  constructor(trustDomain: TrustDomain, wanted: Wanted) {
    this.trustDomain = trustDomain;
    this.wanted = wanted;
  }

  get bundle(): SpiffeBundle | undefined {
    return this.held?.bundle;
  }
}

export class Federation {
  private readonly options: FederationOptions;
  private readonly partners = new Map<string, Partner>();
  private fetches = 0;
  private failed = 0;

  constructor(options: FederationOptions) {
    this.options = options;
  }

  /** Follows what the Mesh says now; whoever is not named any more is not believed from then on. */
  follow(mesh: Mesh | undefined): void {
    const wanted = mesh?.spec.trust.federation ?? [];
    for (const [name, partner] of this.partners) {
      const now = wanted.find((one) => one.trustDomain === name);
      if (JSON.stringify(now) === JSON.stringify(partner.wanted)) continue;
      partner.gone = true;
      partner.cancel?.();
      this.partners.delete(name);
    }
    for (const one of wanted) {
      const domain = parseTrustDomain(one.trustDomain);
      if (!domain.ok || this.partners.has(one.trustDomain)) continue;
      const partner = new Partner(domain.value, one);
      this.partners.set(one.trustDomain, partner);
      if (one.bundle !== undefined) this.take(partner, parseSpiffeBundle(one.bundle));
      if (one.endpoint !== undefined) void this.refresh(partner);
    }
    this.publish();
  }

  stop(): void {
    for (const partner of this.partners.values()) {
      partner.gone = true;
      partner.cancel?.();
    }
  }

  /** What is wrong, by trust domain. */
  problems(): readonly string[] {
    return [...this.partners.values()].flatMap(({ trustDomain, problem }) =>
      problem === '' ? [] : [`${trustDomain}: ${problem}`],
    );
  }

  families(): MetricFamily[] {
    return [
      {
        name: 'weft_control_plane_federation_healthy',
        type: 'gauge',
        help: '1 while the bundle of a federated trust domain is known and its last fetch was good.',
        samples: [...this.partners.values()].map(({ trustDomain, problem, bundle }) => ({
          labels: { trust_domain: trustDomain },
          value: problem === '' && bundle !== undefined ? 1 : 0,
        })),
      },
      {
        name: 'weft_control_plane_federation_fetches_total',
        type: 'counter',
        help: 'Requests to bundle endpoints, by outcome.',
        samples: [
          { labels: { outcome: 'good' }, value: this.fetches - this.failed },
          { labels: { outcome: 'failed' }, value: this.failed },
        ],
      },
    ];
  }

  private async refresh(partner: Partner): Promise<void> {
    const { endpoint } = partner.wanted;
    if (endpoint === undefined || partner.gone) return;
    const { spiffeId } = endpoint;
    const anchorsPem = partner.bundle?.anchorsPem ?? '';
    this.fetches += 1;
    const fetched = await this.options.fetch({
      url: endpoint.url,
      spiffe: spiffeId === undefined ? undefined : { id: spiffeId, anchorsPem },
    });
    if (partner.gone) return;
    this.take(partner, fetched);
    this.publish();
    if (partner.problem === '') partner.failures = 0;
    else {
      partner.failures += 1;
      this.failed += 1;
    }
    const { clock, prng } = this.options;
    partner.cancel = clock.after(delayMs(partner) * (0.75 + 0.25 * prng.next()), () => void this.refresh(partner));
  }

  private take(partner: Partner, fetched: Result<SpiffeBundle, string>): void {
    const checked = fetched.ok ? this.acceptable(partner, fetched.value) : fetched;
    const problem = checked.ok ? '' : checked.error;
    if (problem !== partner.problem && problem !== '')
      this.options.log.warn('bundle of a federated trust domain not taken', {
        trustDomain: partner.trustDomain,
        reason: problem,
        kept: partner.bundle !== undefined,
      });
    if (problem !== partner.problem) this.options.onChange?.();
    partner.problem = problem;
    if (checked.ok) partner.held = checked.value;
  }

  private acceptable(partner: Partner, bundle: SpiffeBundle): Result<NonNullable<Partner['held']>, string> {
    // Trust Domain and Bundle section 4.1.1: an older one is what a replay looks like.
    if (bundle.sequence > 0 && bundle.sequence < (partner.bundle?.sequence ?? 0))
      return err(`sequence ${bundle.sequence} is older than ${partner.bundle?.sequence}, which is held`);
    const anchors = readForeignAnchors(bundle.anchorsPem, (ca) => createSecureContext({ ca }));
    if (!anchors.ok) return anchors;
    const others = [...this.partners.values()].filter((one) => one !== partner);
    const theirs = others.find(({ held }) => held !== undefined && areRivals(anchors.value, held.anchors));
    if (theirs !== undefined) return err(`an anchor has the name of one of ${theirs.trustDomain}, and is another`);
    // OpenSSL looks issuers up by name: another root under the name of ours would stand in its way.
    if (shareName(anchors.value, subjectNames(this.options.ownAnchors())))
      return err('an anchor has the name of one of our own');
    return ok({ bundle, anchors: anchors.value });
  }

  private publish(): void {
    const bundles = [...this.partners.values()].flatMap(({ trustDomain, held }) =>
      held === undefined ? [] : [{ trustDomain, anchorsPem: held.anchors.pem }],
    );
    if (JSON.stringify(bundles) !== JSON.stringify(this.options.trust.federated)) this.options.trust.federate(bundles);
  }
}

function delayMs({ problem, failures, bundle }: Partner): number {
  if (problem !== '') return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 16));
  const hintMs = (bundle?.refreshHintSeconds ?? 0) * 1_000;
  return hintMs === 0 ? REFRESH_MS_DEFAULT : Math.min(REFRESH_MS_MAX, Math.max(REFRESH_MS_MIN, hintMs));
}
