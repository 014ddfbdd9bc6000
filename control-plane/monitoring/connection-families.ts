import type { ConnectionCounters } from '../rpc/connection-gate.ts';
import { gauge, type MetricFamily } from './metrics.ts';

/** Connections to port 15012. */
export const connectionFamilies = ({ open, refusedTotal, refusedAddress }: ConnectionCounters): MetricFamily[] => [
  gauge('weft_control_plane_connections', 'Connections that are open on the port for xDS and certificates.', open),
  {
    name: 'weft_control_plane_connections_refused_total',
    type: 'counter',
    help: 'Connections refused on that port, by the bound that was hit: of all, or of one address.',
    samples: [
      { labels: { bound: 'total' }, value: refusedTotal },
      { labels: { bound: 'address' }, value: refusedAddress },
    ],
  },
];
