import type { TracingSettings } from '@weft/policies/model/listener';
import type { SpanRecord, SpanRing } from './span-ring.ts';

const EXPORT_INTERVAL_MS = 1_000;

export interface TracingOptions {
  readonly settings: TracingSettings;
  readonly serviceName: string;
  readonly ring: SpanRing;
  readonly log: (line: string) => void;
  /** Resource attributes: k8s.pod.name, k8s.namespace.name, ... */
  readonly attributes: Readonly<Record<string, string>>;
}

/**
 * Exports the ring as OTLP. OpenTelemetry is loaded only here, when tracing is on: it costs more memory than the whole
 * data path. The path has already chosen the ids that it propagated, so the SDK is handed those.
 */
export class Tracing {
  private readonly options: TracingOptions;
  private readonly timer: NodeJS.Timeout;
  private emit: ((span: SpanRecord) => void) | undefined;
  private shutdown: (() => Promise<void>) | undefined;

  private constructor(options: TracingOptions) {
    this.options = options;
    this.timer = setInterval(() => this.flush(), EXPORT_INTERVAL_MS);
    this.timer.unref();
  }

  static start(options: TracingOptions): Tracing {
    const tracing = new Tracing(options);
    tracing.load().catch((error: unknown) => {
      options.log(`tracing: off, OpenTelemetry cannot be loaded: ${(error as Error).message}`);
    });
    return tracing;
  }

  flush(): void {
    if (this.emit === undefined) return;
    for (const span of this.options.ring.drain()) this.emit(span);
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.flush();
    await this.shutdown?.();
  }

  private async load(): Promise<void> {
    const { settings, serviceName, attributes } = this.options;
    // The SDK takes endpoint and protocol from its specified environment variables and nowhere else.
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = settings.otlpEndpoint;
    process.env['OTEL_EXPORTER_OTLP_PROTOCOL'] = settings.otlpProtocol === 'grpc' ? 'grpc' : 'http/protobuf';
    process.env['OTEL_TRACES_EXPORTER'] = 'otlp';
    process.env['OTEL_METRICS_EXPORTER'] = 'none';
    process.env['OTEL_LOGS_EXPORTER'] = 'none';
    process.env['OTEL_BSP_SCHEDULE_DELAY'] ??= '500';
    process.env['OTEL_RESOURCE_ATTRIBUTES'] = Object.entries(attributes)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join(',');
    const [{ NodeSDK }, api] = await Promise.all([import('@opentelemetry/sdk-node'), import('@opentelemetry/api')]);
    const ids = { traceId: '', spanId: '' };
    const sdk = new NodeSDK({
      serviceName,
      autoDetectResources: true,
      instrumentations: [],
      idGenerator: { generateTraceId: () => ids.traceId, generateSpanId: () => ids.spanId },
    });
    sdk.start();
    const tracer = api.trace.getTracer('weft');
    this.emit = (span) => {
      ids.traceId = span.traceId;
      ids.spanId = span.spanId;
      const context =
        span.parentSpanId === ''
          ? api.ROOT_CONTEXT
          : api.trace.setSpanContext(api.ROOT_CONTEXT, {
              traceId: span.traceId,
              spanId: span.parentSpanId,
              traceFlags: api.TraceFlags.SAMPLED,
              isRemote: true,
            });
      const inbound = span.direction === 'inbound';
      const started = tracer.startSpan(
        span.method === '' ? 'tcp' : span.method,
        {
          kind: inbound ? api.SpanKind.SERVER : api.SpanKind.CLIENT,
          startTime: span.startUnixMs,
          attributes: spanAttributes(span),
        },
        context,
      );
      // Semantic conventions for HTTP: a server's 4xx is not its error, a client's is.
      if (span.status >= 500 || (span.status >= 400 && !inbound)) {
        started.setStatus({ code: api.SpanStatusCode.ERROR });
      }
      started.end(span.startUnixMs + span.durationMs);
    };
    this.shutdown = () => sdk.shutdown();
  }
}

function spanAttributes(span: SpanRecord): Record<string, string | number> {
  const [path = '', query = ''] = span.path.split('?', 2);
  const attributes: Record<string, string | number> = {
    'http.request.method': span.method,
    'url.path': path,
    'server.address': span.authority,
    'http.response.status_code': span.status,
    'network.peer.address': span.direction === 'inbound' ? span.remote : span.upstream,
    'weft.destination_service': span.destinationService,
    'weft.request_id': span.requestId,
  };
  if (query !== '') attributes['url.query'] = query;
  if (span.route !== '') attributes['weft.route'] = span.route;
  if (span.flag !== '') attributes['weft.response_flags'] = span.flag;
  if (span.source !== '') attributes['weft.source_principal'] = span.source;
  if (span.attempts > 1) attributes['http.request.resend_count'] = span.attempts - 1;
  return attributes;
}
