/** A server that a bootstrap has its endpoints from, by xDS: a cluster of the same file. */
export interface ManagementServer {
  readonly cluster: string;
  /** As which the cluster is asked; empty: by its name, as Envoy does. */
  readonly authority: string;
  /** Names and values in turn. */
  readonly metadata: readonly string[];
  /** What every response holds: all that was asked for (Envoy's GRPC), or what has changed (DELTA_GRPC). */
  readonly variant: 'state-of-the-world' | 'incremental';
  /** One stream for whatever is asked of it (ADS), or one for endpoints alone. */
  readonly aggregated: boolean;
}
