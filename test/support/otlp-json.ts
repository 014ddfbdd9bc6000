/** Reads spans as the collector's file exporter writes them: a TracesData of OTLP's JSON encoding on each line. */

export type AttributeValue = string | number | boolean;
export type SpanKind = 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer';
export type SpanStatus = 'unset' | 'ok' | 'error';

export interface StoredSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty at the root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: SpanKind;
  readonly service: string;
  readonly resource: Readonly<Record<string, AttributeValue>>;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly status: SpanStatus;
  readonly startUnixNs: bigint;
  readonly endUnixNs: bigint;
}

// opentelemetry-proto, trace.proto: SpanKind and Status.StatusCode by number.
const KINDS: readonly SpanKind[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
const STATUSES: readonly SpanStatus[] = ['unset', 'ok', 'error'];

interface KeyValue {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly boolValue?: boolean;
    readonly doubleValue?: number;
    /** 64-bit integers are strings in the JSON encoding. */
    readonly intValue?: string;
  };
}

interface JsonSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind?: number;
  readonly attributes?: readonly KeyValue[];
  readonly status?: { readonly code?: number };
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
}

interface TracesData {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] };
    readonly scopeSpans?: readonly { readonly spans?: readonly JsonSpan[] }[];
  }[];
}

function attributes(list: readonly KeyValue[] = []): Record<string, AttributeValue> {
  const out: Record<string, AttributeValue> = {};
  for (const { key, value } of list) {
    out[key] = value.stringValue ?? value.boolValue ?? value.doubleValue ?? Number(value.intValue ?? Number.NaN);
  }
  return out;
}

function storedSpan(span: JsonSpan, resource: Record<string, AttributeValue>): StoredSpan {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ?? '',
    name: span.name,
    kind: KINDS[span.kind ?? 0] ?? 'unspecified',
    service: String(resource['service.name'] ?? ''),
    resource,
    attributes: attributes(span.attributes),
    status: STATUSES[span.status?.code ?? 0] ?? 'unset',
    startUnixNs: BigInt(span.startTimeUnixNano),
    endUnixNs: BigInt(span.endTimeUnixNano),
  };
}

/** Reads whole lines; a last line that is still being written is left for the next time. */
export function readSpans(text: string): readonly StoredSpan[] {
  const spans: StoredSpan[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    if (line === '') continue;
    const data = JSON.parse(line) as TracesData;
    for (const { resource, scopeSpans } of data.resourceSpans ?? []) {
      const described = attributes(resource?.attributes);
      for (const scope of scopeSpans ?? []) {
        for (const span of scope.spans ?? []) spans.push(storedSpan(span, described));
      }
    }
  }
  return spans;
}
