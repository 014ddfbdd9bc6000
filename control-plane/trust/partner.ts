/** A trust domain that the mesh is federated with: what is held of it, what is wrong, and when to ask again. */
import type { Mesh } from '@weft/policies/crds/kinds';
import type { ForeignAnchors } from '@weft/policies/identity/foreign-anchors';
import type { SpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import type { TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Cancel } from '@weft/policies/kit/clock';
import type { MetricFamily } from '../monitoring/metrics.ts';

export type Wanted = Mesh['spec']['trust']['federation'][number];

export interface HeldBundle {
  readonly bundle: SpiffeBundle;
  readonly anchors: ForeignAnchors;
  /** 0: it is the one that stands in the Mesh. */
  readonly fetchedUnixMs: number;
}

const REFRESH_MS_DEFAULT = 300_000;
const REFRESH_MS_MIN = 10_000;
const REFRESH_MS_MAX = 86_400_000;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 300_000;

export class Partner {
  readonly trustDomain: TrustDomain;
  readonly wanted: Wanted;
  held: HeldBundle | undefined = undefined;
  /** Empty: the last fetch was good. */
  problem = '';
  failures = 0;
  cancel: Cancel | undefined = undefined;
  /** The fetch that is under way. */
  asking: Promise<void> | undefined = undefined;
  /** When the last one began, by the clock that never jumps. */
  askedMs = Number.NEGATIVE_INFINITY;
  gone = false;

  constructor(trustDomain: TrustDomain, wanted: Wanted) {
    this.trustDomain = trustDomain;
    this.wanted = wanted;
  }

  /** For people: what is wrong, and what holds meanwhile. */
  problems(): readonly string[] {
    const { trustDomain, problem, held } = this;
    if (problem === '') return [];
    if (held === undefined) return [`${trustDomain}: ${problem}; nobody of it is believed`];
    const what =
      held.fetchedUnixMs === 0
        ? 'the bundle in the Mesh holds'
        : `what was fetched at ${new Date(held.fetchedUnixMs).toISOString()} holds`;
    return [`${trustDomain}: ${problem}; ${what}`];
  }
}

/** As its bundle says (Trust Domain and Bundle section 4.1.2), within bounds; after failures later and later. */
export function delayMs({ problem, failures, held }: Partner): number {
  if (problem !== '') return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 16));
  const hintMs = (held?.bundle.refreshHintSeconds ?? 0) * 1_000;
  return hintMs === 0 ? REFRESH_MS_DEFAULT : Math.min(REFRESH_MS_MAX, Math.max(REFRESH_MS_MIN, hintMs));
}

export const partnerFamilies = (partners: readonly Partner[], nowUnixMs: number): MetricFamily[] => [
  {
    name: 'weft_control_plane_federation_healthy',
    type: 'gauge',
    help: '1 while the bundle of a federated trust domain is known and its last fetch was good.',
    samples: partners.map(({ trustDomain, problem, held }) => ({
      labels: { trust_domain: trustDomain },
      value: problem === '' && held !== undefined ? 1 : 0,
    })),
  },
  {
    name: 'weft_control_plane_federation_bundle_age_seconds',
    type: 'gauge',
    help: 'Seconds since the bundle of a federated trust domain was fetched.',
    samples: partners.flatMap(({ trustDomain, held }) =>
      held === undefined || held.fetchedUnixMs === 0
        ? []
        : [{ labels: { trust_domain: trustDomain }, value: Math.round((nowUnixMs - held.fetchedUnixMs) / 1_000) }],
    ),
  },
];
