import type { RequestRecord } from './record.ts';

/** Label sets; a client that invents hosts or methods must not fill the memory. */
const SERIES_MAX = 2_000;
/** A power of two. */
const RECENT_SLOTS = 64;

/** Methods of RFC 9110 section 9 and RFC 5789; anything else is one label value. */
const METHODS = new Set(['', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

export const escapeLabel = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');

/** What labels are made of. */
type LabelValues = Pick<
  RequestRecord,
  | 'direction'
  | 'protocol'
  | 'method'
  | 'sourceWorkload'
  | 'sourceIdentity'
  | 'destinationWorkload'
  | 'destinationIdentity'
  | 'destinationService'
  | 'status'
  | 'grpcStatus'
  | 'flag'
  | 'mtls'
>;

/** One set of labels with all that is counted for it. */
export interface Series {
  readonly labels: string;
  requests: number;
  /** Opaque connections that were carried. */
  opened: number;
  readonly buckets: Float64Array;
  durationSumS: number;
  requestBytes: number;
  responseBytes: number;
  /** Of gRPC. */
  requestMessages: number;
  responseMessages: number;
  retries: number;
}

interface Recent {
  readonly values: LabelValues;
  readonly series: Series;
}

function labelsOf(values: LabelValues): string {
  return [
    `direction="${values.direction}"`,
    `protocol="${values.protocol}"`,
    `method="${METHODS.has(values.method) ? values.method : 'OTHER'}"`,
    `source_workload="${escapeLabel(values.sourceWorkload)}"`,
    `source_principal="${escapeLabel(values.sourceIdentity)}"`,
    `destination_workload="${escapeLabel(values.destinationWorkload)}"`,
    `destination_principal="${escapeLabel(values.destinationIdentity)}"`,
    `destination_service="${escapeLabel(values.destinationService)}"`,
    `response_code="${values.status}"`,
    `grpc_status="${values.grpcStatus < 0 ? '' : values.grpcStatus}"`,
    `response_flags="${values.flag}"`,
    `mtls="${values.mtls}"`,
  ].join(',');
}

/** Mostly the very same strings, so that this is a comparison of pointers. */
const same = (a: LabelValues, b: LabelValues): boolean =>
  a.status === b.status &&
  a.method === b.method &&
  a.destinationService === b.destinationService &&
  a.destinationWorkload === b.destinationWorkload &&
  a.sourceWorkload === b.sourceWorkload &&
  a.sourceIdentity === b.sourceIdentity &&
  a.destinationIdentity === b.destinationIdentity &&
  a.flag === b.flag &&
  a.direction === b.direction &&
  a.protocol === b.protocol &&
  a.grpcStatus === b.grpcStatus &&
  a.mtls === b.mtls;

/** Cheap, and different for what differs often. */
const slotOf = (values: LabelValues): number =>
  ((values.direction === 'inbound' ? 0 : 32) +
    values.status +
    values.grpcStatus +
    7 * values.sourceIdentity.length +
    5 * values.destinationService.length +
    11 * values.destinationWorkload.length +
    3 * values.method.length) &
  (RECENT_SLOTS - 1);

/** The record is used again for the next request; its path would keep the whole head in memory. */
function copyOf(values: LabelValues): LabelValues {
  const { direction, protocol, method, status, grpcStatus, flag, mtls } = values;
  const { sourceWorkload, sourceIdentity, destinationWorkload, destinationIdentity, destinationService } = values;
  const code = { method, status, grpcStatus, flag };
  const ends = { sourceWorkload, sourceIdentity, destinationWorkload, destinationIdentity, destinationService };
  return { direction, protocol, mtls, ...code, ...ends };
}

function newSeries(labels: string, buckets: number): Series {
  return {
    labels,
    requests: 0,
    opened: 0,
    buckets: new Float64Array(buckets),
    durationSumS: 0,
    requestBytes: 0,
    responseBytes: 0,
    requestMessages: 0,
    responseMessages: 0,
    retries: 0,
  };
}

/** The series of one protocol. The label text is made only for a set of labels that was not seen lately. */
export class SeriesTable {
  /** For what comes when the table is full. */
  readonly overflow: Series;
  private readonly buckets: number;
  private readonly byLabels = new Map<string, Series>();
  private readonly recent: (Recent | undefined)[] = new Array<Recent | undefined>(RECENT_SLOTS).fill(undefined);

  constructor(buckets: number) {
    this.buckets = buckets;
    this.overflow = newSeries('direction="",overflow="true"', buckets);
  }

  find(record: RequestRecord): Series {
    const slot = slotOf(record);
    const recent = this.recent[slot];
    if (recent !== undefined && same(recent.values, record)) return recent.series;
    const labels = labelsOf(record);
    let series = this.byLabels.get(labels);
    if (series === undefined) {
      if (this.byLabels.size >= SERIES_MAX) return this.overflow;
      series = newSeries(labels, this.buckets);
      this.byLabels.set(labels, series);
    }
    this.recent[slot] = { values: copyOf(record), series };
    return series;
  }

  all(): readonly Series[] {
    const known = [...this.byLabels.values()];
    return this.overflow.requests > 0 || this.overflow.opened > 0 ? [...known, this.overflow] : known;
  }
}
