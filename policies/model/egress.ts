/** Names of what leaves the mesh, which control plane and sidecar share. */

/** A cluster without endpoints: what may not leave goes there. A sidecar refuses without asking for it. */
export const BLACKHOLE = 'blackhole';
/** Label of destinations that no ExternalService is for. */
export const UNKNOWN_SERVICE = 'external/unknown';
/** Of connection managers for hosts outside of the mesh. */
export const EGRESS_STAT_PREFIX = 'egress';
