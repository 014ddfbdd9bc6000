import type { Joins } from '../join/joins.ts';
import { counter, type MetricFamily } from './metrics.ts';

/** What became of join tokens. */
export function joinFamilies({ counters }: Joins): MetricFamily[] {
  const { joined, renewed, replayed, expired, unknown, busyGuess, busyStranger, busyKnown, swept } = counters;
  const outcomes = { joined, renewed, replayed, expired, unknown };
  const busy = { token: busyGuess, certificate: busyStranger, renewal: busyKnown };
  return [
    {
      name: 'weft_control_plane_joins_total',
      type: 'counter',
      help: 'Processes that joined by token or renewed after it, and tokens that were refused, by reason.',
      samples: Object.entries(outcomes).map(([outcome, value]) => ({ labels: { outcome }, value })),
    },
    {
      name: 'weft_control_plane_join_lookups_busy_total',
      type: 'counter',
      help: 'Callers turned away because too many of their kind were looked up: by token, by a certificate that is not known here, or to renew.',
      samples: Object.entries(busy).map(([of, value]) => ({ labels: { of }, value })),
    },
    counter('weft_control_plane_join_records_forgotten_total', 'Records of joins deleted after their end.', swept),
  ];
}
