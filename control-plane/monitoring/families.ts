import { objectKinds } from '../index/objects.ts';
import type { MeshControl } from '../mesh.ts';
import type { CertificateCounters } from '../rpc/certificates.ts';
import type { RefusalCounters } from '../rpc/refusals.ts';
import { authenticationFamilies } from './authentication-families.ts';
import { counter, gauge, type MetricFamily } from './metrics.ts';

/** The metrics of the parts that every control plane has. */
export function meshFamilies(
  mesh: MeshControl,
  certificates: CertificateCounters,
  refusals: RefusalCounters,
): MetricFamily[] {
  const { hub, drain, state } = mesh;
  const { counters, cache } = hub;
  return [
    ...authenticationFamilies(mesh),
    gauge('weft_control_plane_xds_streams', 'xDS streams that are open.', hub.streams.size),
    counter('weft_control_plane_xds_streams_opened_total', 'xDS streams let in.', counters.streamsOpened),
    counter(
      'weft_control_plane_xds_streams_refused_total',
      'xDS streams refused at the limit.',
      counters.streamsRefused,
    ),
    counter(
      'weft_control_plane_xds_streams_stalled_total',
      'xDS streams dropped because the client fell behind.',
      counters.streamsStalled,
    ),
    counter(
      'weft_control_plane_xds_subscriptions_refused_total',
      'Subscriptions refused at the limit.',
      counters.subscriptionsRefused,
    ),
    counter('weft_control_plane_xds_responses_total', 'Discovery responses sent.', counters.responses),
    counter(
      'weft_control_plane_xds_response_bytes_total',
      'Bytes of discovery responses sent.',
      counters.responseBytes,
    ),
    counter('weft_control_plane_xds_resources_sent_total', 'Resources sent.', counters.resources),
    counter('weft_control_plane_xds_resources_removed_total', 'Names answered as absent.', counters.removals),
    counter('weft_control_plane_xds_acks_total', 'Responses that clients took.', counters.acks),
    counter('weft_control_plane_xds_nacks_total', 'Responses that clients refused.', counters.nacks),
    counter(
      'weft_control_plane_xds_unknown_types_total',
      'Requests for resource types that are not served.',
      counters.unknownTypes,
    ),
    gauge('weft_control_plane_cache_resources', 'Encoded resources held.', cache.size),
    counter('weft_control_plane_translations_total', 'Resources translated.', cache.counters.translated),
    counter(
      'weft_control_plane_translation_failures_total',
      'Resources whose translation failed; what was sent before goes on serving.',
      cache.counters.failed,
    ),
    counter('weft_control_plane_encoded_total', 'Translations that brought new content.', cache.counters.encodedAnew),
    counter(
      'weft_control_plane_cache_evictions_total',
      'Encoded resources dropped at the limit.',
      cache.counters.evicted,
    ),
    counter(
      'weft_control_plane_pods_drained_total',
      'Pods whose end reached all their clients or the time limit.',
      drain.counters.drained,
    ),
    counter(
      'weft_control_plane_pods_drain_timeouts_total',
      'Pods whose end some client did not acknowledge in time.',
      drain.counters.timedOut,
    ),
    counter('weft_control_plane_certificates_signed_total', 'Workload certificates signed.', certificates.signed),
    counter('weft_control_plane_certificates_refused_total', 'Certificate requests refused.', certificates.refused),
    counter('weft_control_plane_jwts_signed_total', 'JWT-SVIDs signed.', certificates.jwtsSigned),
    counter('weft_control_plane_jwts_refused_total', 'Requests for JWT-SVIDs refused.', certificates.jwtsRefused),
    counter('weft_control_plane_calls_refused_total', 'Calls of sidecars and agents refused.', refusals.refused),
    counter(
      'weft_control_plane_calls_refused_unlogged_total',
      'Refused calls that the log tells of only by their number.',
      refusals.unlogged,
    ),
    {
      name: 'weft_control_plane_objects',
      type: 'gauge',
      help: 'Objects watched, by kind.',
      samples: objectKinds.map((kind) => ({ labels: { kind }, value: state.keys(kind).length })),
    },
  ];
}
