/**
 * Bundles of other trust domains, fetched by every replica: the last good one is kept while its endpoint cannot be reached,
 * also over a restart, and one that would take our own anchors' place is not taken.
 */
import { createSecureContext } from 'node:tls';
import type { Mesh } from '@weft/policies/crds/kinds';
import { areRivals, readForeignAnchors, shareName, subjectNames } from '@weft/policies/identity/foreign-anchors';
import { parseSpiffeBundle, type SpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import type { Prng } from '@weft/policies/kit/prng';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { MetricFamily } from '../monitoring/metrics.ts';
import type { BundleEndpoint } from './fetch-bundle.ts';
import { configuredAs, type KeptBundle } from './kept-bundles.ts';
import type { FederatedBundle, MeshTrust } from './mesh-trust.ts';
import { delayMs, type HeldBundle, Partner, partnerFamilies } from './partner.ts';

export type FetchBundle = (endpoint: BundleEndpoint) => Promise<Result<SpiffeBundle, string>>;

export interface FederationOptions {
  readonly trust: MeshTrust;
  readonly ownAnchors: () => readonly Uint8Array[];
  readonly fetch: FetchBundle;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** From before a restart. */
  readonly kept?: readonly KeptBundle[];
  /** What is wrong with some bundle is another thing than before. */
  readonly onChange?: () => void;
  /** Something was fetched that is worth keeping, or need not be kept any more. */
  readonly onFetched?: () => void;
}

/** Anybody of the mesh may hold a token that names any key: a partner is asked again for that no more often than this. */
const ON_DEMAND_MS_MIN = 10_000;
/** Who asks waits for no longer; what comes later is there for the next one. */
const ON_DEMAND_WAIT_MS = 5_000;

export class Federation {
  private readonly options: FederationOptions;
  private readonly partners = new Map<string, Partner>();
  private readonly kept: ReadonlyMap<string, KeptBundle>;
  private fetches = 0;
  private onDemand = 0;
  private failed = 0;

  constructor(options: FederationOptions) {
    this.options = options;
    this.kept = new Map((options.kept ?? []).map((one) => [one.trustDomain, one]));
  }

  /** Follows what the Mesh says now; whoever is not named any more is not believed from then on. */
  follow(mesh: Mesh | undefined): void {
    const wanted = mesh?.spec.trust.federation ?? [];
    let changed = false;
    for (const [name, partner] of this.partners) {
      const now = wanted.find((one) => one.trustDomain === name);
      if (JSON.stringify(now) === JSON.stringify(partner.wanted)) continue;
      partner.gone = true;
      partner.cancel?.();
      this.partners.delete(name);
      changed = true;
    }
    for (const one of wanted) {
      const domain = parseTrustDomain(one.trustDomain);
      if (!domain.ok || this.partners.has(one.trustDomain)) continue;
      const partner = new Partner(domain.value, one);
      this.partners.set(one.trustDomain, partner);
      if (one.bundle !== undefined) this.take(partner, parseSpiffeBundle(one.bundle), 0);
      this.restore(partner);
      if (one.endpoint !== undefined) void this.refresh(partner);
    }
    this.publish();
    if (changed) this.options.onFetched?.();
  }

  /** Our own anchors are others: a partner's that goes by the name of one of them has to make room. */
  recheck(): void {
    for (const partner of this.partners.values()) {
      if (partner.held === undefined) continue;
      const { bundle, fetchedUnixMs } = partner.held;
      const checked = this.acceptable(partner, bundle, fetchedUnixMs);
      if (checked.ok) continue;
      partner.held = undefined;
      this.tell(partner, checked.error);
    }
    this.publish();
  }

  stop(): void {
    for (const partner of this.partners.values()) {
      partner.gone = true;
      partner.cancel?.();
    }
  }

  /** What is wrong, by trust domain, and what holds meanwhile. */
  problems(): readonly string[] {
    return [...this.partners.values()].flatMap((partner) => partner.problems());
  }

  /** All that was fetched and holds, to be kept. */
  good(): readonly KeptBundle[] {
    return [...this.partners.values()].flatMap(({ trustDomain, wanted, held }) =>
      held === undefined || held.fetchedUnixMs === 0
        ? []
        : [
            {
              trustDomain,
              configured: configuredAs(wanted),
              fetchedUnixMs: held.fetchedUnixMs,
              bundle: held.bundle,
            },
          ],
    );
  }

  families(): MetricFamily[] {
    return [
      ...partnerFamilies([...this.partners.values()], this.options.clock.unixMs()),
      {
        name: 'weft_control_plane_federation_fetches_total',
        type: 'counter',
        help: 'Requests to bundle endpoints, by outcome.',
        samples: [
          { labels: { outcome: 'good' }, value: this.fetches - this.failed },
          { labels: { outcome: 'failed' }, value: this.failed },
        ],
      },
      {
        name: 'weft_control_plane_federation_fetches_on_demand_total',
        type: 'counter',
        help: 'Of these, those before their time, since a token named a key that was not known.',
        samples: [{ labels: {}, value: this.onDemand }],
      },
    ];
  }

  /** SPIFFE Federation section 4.2: what was stored, unless the operator has said something else meanwhile. */
  private restore(partner: Partner): void {
    const kept = this.kept.get(partner.trustDomain);
    if (kept === undefined || kept.configured !== configuredAs(partner.wanted)) return;
    const { bundle, fetchedUnixMs } = kept;
    const checked = this.acceptable(partner, bundle, fetchedUnixMs);
    const { log } = this.options;
    const { trustDomain } = partner;
    const fetched = new Date(fetchedUnixMs).toISOString();
    if (!checked.ok) {
      log.warn('kept bundle of a federated trust domain not taken', { trustDomain, fetched, reason: checked.error });
      return;
    }
    log.info('kept bundle of a federated trust domain holds until its endpoint answers', { trustDomain, fetched });
    partner.held = checked.value;
    partner.problem = '';
  }

  /** A key that is not known of a trust domain has turned up: its keys may be others by now. */
  async refetch(trustDomain: string): Promise<void> {
    const { clock } = this.options;
    const partner = this.partners.get(trustDomain);
    if (partner?.wanted.endpoint === undefined) return;
    if (partner.asking === undefined) {
      if (clock.nowMs() - partner.askedMs < ON_DEMAND_MS_MIN) return;
      this.onDemand += 1;
      partner.cancel?.();
    }
    const asking = this.refresh(partner);
    await new Promise<void>((resolve) => {
      const cancel = clock.after(ON_DEMAND_WAIT_MS, resolve);
      void asking.finally(() => {
        cancel();
        resolve();
      });
    });
  }

  private refresh(partner: Partner): Promise<void> {
    partner.asking ??= this.ask(partner).finally(() => {
      partner.asking = undefined;
    });
    return partner.asking;
  }

  private async ask(partner: Partner): Promise<void> {
    const { endpoint } = partner.wanted;
    if (endpoint === undefined || partner.gone) return;
    const { spiffeId } = endpoint;
    partner.askedMs = this.options.clock.nowMs();
    const anchorsPem = partner.held?.anchors.pem ?? '';
    this.fetches += 1;
    const fetched = await this.options.fetch({
      url: endpoint.url,
      spiffe: spiffeId === undefined ? undefined : { id: spiffeId, anchorsPem },
    });
    if (partner.gone) return;
    const { clock, prng, onFetched } = this.options;
    this.take(partner, fetched, clock.unixMs());
    this.publish();
    if (partner.problem === '') {
      partner.failures = 0;
      onFetched?.();
    } else {
      partner.failures += 1;
      this.failed += 1;
    }
    partner.cancel = clock.after(delayMs(partner) * (0.75 + 0.25 * prng.next()), () => void this.refresh(partner));
  }

  private take(partner: Partner, fetched: Result<SpiffeBundle, string>, fetchedUnixMs: number): void {
    const checked = fetched.ok ? this.acceptable(partner, fetched.value, fetchedUnixMs) : fetched;
    this.tell(partner, checked.ok ? '' : checked.error);
    if (checked.ok) partner.held = checked.value;
  }

  private tell(partner: Partner, problem: string): void {
    if (problem === partner.problem) return;
    const { trustDomain } = partner;
    if (problem !== '')
      this.options.log.warn('bundle of a federated trust domain not taken', {
        trustDomain,
        reason: problem,
        kept: partner.held !== undefined,
      });
    else this.options.log.info('bundle of a federated trust domain is good again', { trustDomain });
    partner.problem = problem;
    this.options.onChange?.();
  }

  private acceptable(partner: Partner, bundle: SpiffeBundle, fetchedUnixMs: number): Result<HeldBundle, string> {
    const before = partner.held?.bundle.sequence ?? 0;
    // Trust Domain and Bundle section 4.1.1: an older one is what a replay looks like.
    if (bundle.sequence > 0 && bundle.sequence < before)
      return err(`sequence ${bundle.sequence} is older than ${before}, which is held`);
    const anchors = readForeignAnchors(bundle.anchorsPem, (ca) => createSecureContext({ ca }));
    if (!anchors.ok) return anchors;
    const others = [...this.partners.values()].filter((one) => one !== partner);
    const theirs = others.find(({ held }) => held !== undefined && areRivals(anchors.value, held.anchors));
    if (theirs !== undefined) return err(`an anchor has the name of one of ${theirs.trustDomain}, and is another`);
    // OpenSSL looks issuers up by name: another root under the name of ours would stand in its way.
    if (shareName(anchors.value, subjectNames(this.options.ownAnchors())))
      return err('an anchor has the name of one of our own');
    return ok({ bundle, anchors: anchors.value, fetchedUnixMs });
  }

  private publish(): void {
    const bundles: FederatedBundle[] = [];
    for (const { trustDomain, held } of this.partners.values()) {
      if (held === undefined) continue;
      const jwks = JSON.stringify({ keys: held.bundle.jwtKeys });
      bundles.push({ trustDomain, anchorsPem: held.anchors.pem, jwks });
    }
    if (JSON.stringify(bundles) !== JSON.stringify(this.options.trust.federated)) this.options.trust.federate(bundles);
  }
}
