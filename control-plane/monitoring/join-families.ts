import type { Joins } from '../join/joins.ts';
import { counter, type MetricFamily } from './metrics.ts';

/** What became of join tokens. */
export function joinFamilies({ counters }: Joins): MetricFamily[] {
  const { joined, renewed, replayed, expired, unknown, busy, swept } = counters;
  const outcomes = { joined, renewed, replayed, expired, unknown, busy };
  return [
    {
      name: 'weft_control_plane_joins_total',
      type: 'counter',
      help: 'Processes that joined by token or renewed after it, and tokens that were refused, by reason.',
      samples: Object.entries(outcomes).map(([outcome, value]) => ({ labels: { outcome }, value })),
    },
    counter('weft_control_plane_join_records_forgotten_total', 'Records of joins deleted after their end.', swept),
  ];
}
