import type { Cluster } from '@weft/policies/model/cluster';
import type { CheckBounds } from './health/bounds.ts';
import { HealthChecks } from './health/checks.ts';
import type { Host } from './host.ts';
import type { OutlierDetector } from './outlier/detector.ts';
import { OutlierWatch } from './outlier/watch.ts';
import type { PoolDeps } from './pool.ts';

export interface EndpointWatchDeps extends PoolDeps {
  /** What health checks of all clusters share; undefined: none are made. */
  readonly checkBounds?: CheckBounds | undefined;
}

/** Whose endpoints are watched. */
interface WatchedCluster {
  readonly cluster: () => Cluster;
  readonly hosts: () => Iterable<Host>;
  readonly usedWithin: (ms: number) => boolean;
  /** Endpoints may take traffic, or may take none, other than before. */
  readonly onChange: () => void;
  /** Every endpoint was asked once. */
  readonly onFirstRound: () => void;
}

/** What is found of the endpoints of a cluster: by what becomes of requests to them, and by asking them. */
export class EndpointWatch {
  private readonly deps: EndpointWatchDeps;
  private readonly watched: WatchedCluster;
  private outlierWatch: OutlierWatch | undefined = undefined;
  private healthChecks: HealthChecks | undefined = undefined;

  constructor(deps: EndpointWatchDeps, watched: WatchedCluster) {
    this.deps = deps;
    this.watched = watched;
    this.watchOutliers();
    this.checkHealth();
  }

  get outliers(): OutlierDetector | undefined {
    return this.outlierWatch?.detector;
  }

  get checks(): HealthChecks | undefined {
    return this.healthChecks;
  }

  /** False: nothing is to be sent to endpoints before they were asked for the first time. */
  get settled(): boolean {
    return this.healthChecks?.settled !== false;
  }

  update(before: Cluster, cluster: Cluster): void {
    if (JSON.stringify(before.outlier) !== JSON.stringify(cluster.outlier)) this.watchOutliers();
    if (JSON.stringify(before.healthCheck) !== JSON.stringify(cluster.healthCheck)) this.checkHealth();
  }

  /** `served`: the endpoint was there before, with other settings. */
  add(host: Host, served: boolean): void {
    host.outlier = this.outlierWatch?.detector.add();
    this.healthChecks?.add(host, served);
  }

  remove(host: Host): void {
    if (host.outlier !== undefined) this.outlierWatch?.detector.remove(host.outlier);
    this.healthChecks?.remove(host);
  }

  certificateChanged(): void {
    this.healthChecks?.certificateChanged();
  }

  stop(): void {
    this.outlierWatch?.stop();
    this.outlierWatch = undefined;
    this.healthChecks?.stop();
    this.healthChecks = undefined;
  }

  /** What was known of the endpoints is forgotten: it was judged by other rules. */
  private watchOutliers(): void {
    this.outlierWatch?.stop();
    const { outlier } = this.watched.cluster();
    const { prng, clock } = this.deps;
    this.outlierWatch = outlier && new OutlierWatch(outlier, prng, clock, this.watched.onChange);
    for (const host of this.watched.hosts()) host.outlier = this.outlierWatch?.detector.add();
  }

  private checkHealth(): void {
    this.healthChecks?.stop();
    const { cluster, hosts, usedWithin, onChange, onFirstRound } = this.watched;
    const { healthCheck, discovery } = cluster();
    const { checkBounds } = this.deps;
    if (healthCheck === undefined || checkBounds === undefined || discovery.kind === 'original-dst') {
      this.healthChecks = undefined;
      return;
    }
    this.healthChecks = new HealthChecks(healthCheck, this.deps, checkBounds, {
      cluster,
      hasTraffic: () => usedWithin(healthCheck.noTrafficIntervalMs),
      onChange,
      onFirstRound,
      onPassed: ({ outlier }) => {
        if (outlier?.ejected && cluster().outlier?.endedByHealthCheck) this.outliers?.bringBackNow(outlier);
      },
    });
    for (const host of hosts()) this.healthChecks.add(host, true);
  }
}
