/** What an event may have changed. Too much costs a translation, too little a stale sidecar. */
export interface Touched {
  everything: boolean;
  /** IPs whose Address may differ. */
  readonly addresses: Set<string>;
  /** Services (`<ns>/<name>`) whose routes and clusters may differ. */
  readonly services: Set<string>;
  /** Services whose endpoints may differ. */
  readonly endpoints: Set<string>;
  /** Namespaces whose pods may see other hosts outside of the mesh. */
  readonly egress: Set<string>;
  /** Pods (`<ns>/<name>`) whose listeners may differ. */
  readonly pods: Set<string>;
}

export const untouched = (): Touched => ({
  everything: false,
  addresses: new Set(),
  services: new Set(),
  endpoints: new Set(),
  egress: new Set(),
  pods: new Set(),
});

export const isTouched = (touched: Touched): boolean =>
  touched.everything ||
  touched.addresses.size + touched.services.size + touched.endpoints.size + touched.egress.size + touched.pods.size > 0;
