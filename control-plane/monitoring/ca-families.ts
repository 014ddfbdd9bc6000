import type { CaKeeper } from '../ca/keeper.ts';
import { counter, gauge, type MetricFamily } from './metrics.ts';

const problemFamily = (samples: MetricFamily['samples']): MetricFamily => ({
  name: 'weft_control_plane_ca_problem',
  type: 'gauge',
  help: 'What is wrong with the certificate authority: 1 while it is.',
  samples,
});

/**
 * The metrics of the certificate authority: what signs, what is trusted, until when, and what is wrong. `notOpened`: why
 * there is none yet.
 */
export function caFamilies(keeper: CaKeeper | undefined, notOpened?: string): MetricFamily[] {
  if (keeper === undefined)
    return notOpened === undefined ? [] : [problemFamily([{ labels: { reason: 'NoAuthority' }, value: 1 }])];
  const { authority, counters, anchors } = keeper;
  const problems = new Set(keeper.problemsNow().map((one) => one.reason));
  const reasons = [
    'SourceInvalid',
    'StateInvalid',
    'StoreUnreachable',
    'AnchorRemovedTooEarly',
    'RequestFailed',
  ] as const;
  return [
    gauge(
      'weft_control_plane_ca_issuer_not_after_seconds',
      'When the first certificate of the issuing chain expires, seconds since the epoch.',
      authority.issuer.notAfterMs / 1_000,
    ),
    {
      name: 'weft_control_plane_ca_anchor_not_after_seconds',
      type: 'gauge',
      help: 'When a trust anchor expires, seconds since the epoch; by its role in a rotation.',
      samples: anchors.map(({ fingerprint, role, notAfterMs }) => ({
        labels: { anchor: fingerprint.slice(0, 16), role },
        value: notAfterMs / 1_000,
      })),
    },
    problemFamily(reasons.map((reason) => ({ labels: { reason }, value: problems.has(reason) ? 1 : 0 }))),
    gauge('weft_control_plane_ca_queue_depth', 'Requests for certificates that wait.', authority.queue.depth),
    counter(
      'weft_control_plane_ca_queue_refused_total',
      'Requests for certificates refused because too many waited.',
      authority.queue.counters.refused,
    ),
    counter('weft_control_plane_ca_rotations_total', 'Changes to another anchor to sign under.', counters.rotations),
    counter(
      'weft_control_plane_ca_rotations_unheard_total',
      'Changes to an anchor that not every connected sidecar had acknowledged in time.',
      keeper.hearing.counters.unheard,
    ),
    counter('weft_control_plane_ca_anchors_dropped_total', 'Anchors that are no longer trusted.', counters.dropped),
    counter(
      'weft_control_plane_ca_material_refused_total',
      'Keys and certificates that could not be taken; the last good ones went on.',
      keeper.problems.refused,
    ),
    counter(
      'weft_control_plane_ca_restored_total',
      'Times that something needed was missing from the store and was put back.',
      counters.restored,
    ),
    counter(
      'weft_control_plane_ca_unnamed_leaves_total',
      'Certificates whose holders were too many to be remembered by name.',
      keeper.unnamedLeaves,
    ),
  ];
}
