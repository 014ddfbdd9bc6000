import type { JsonObject } from '@bufbuild/protobuf';

/** Who a proxy says that it is, to the servers that it asks (Envoy's `core.v3.Node`). */
export interface ProxyNode {
  readonly id: string;
  /** Which proxies it is one of; empty: of no matter. */
  readonly cluster: string;
  /** For whoever runs the servers to make something of; absent: nothing is said. */
  readonly metadata?: JsonObject;
  /** Absent likewise. It is told to servers alone, and picks no endpoints. */
  readonly locality?: { readonly region: string; readonly zone: string; readonly subZone: string };
}
