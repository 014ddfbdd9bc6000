import type { TracingSettings } from '@weft/policies/model/listener';
import { describeSpan } from './span-attributes.ts';
import type { SpanRecord, SpanRing } from './span-ring.ts';

/** Short enough that a ring of 2,048 spans takes 8,000 a second. */
const DRAIN_INTERVAL_MS = 250;
/** The SDK repeats itself for every batch that a lost collector does not take. */
const COMPLAINT_INTERVAL_MS = 30_000;

interface TracingOptions {
  readonly settings: TracingSettings;
  readonly serviceName: string;
  readonly ring: SpanRing;
  readonly log: (line: string) => void;
  /** Resource attributes: k8s.pod.name, k8s.namespace.name, ... */
  readonly attributes: Readonly<Record<string, string>>;
}

/** What is left of OpenTelemetry's API and SDK once they are set up. */
interface Exporter {
  readonly emit: (span: SpanRecord) => void;
  readonly shutdown: () => Promise<void>;
}

/**
 * Exports the ring as OTLP. OpenTelemetry is loaded only here, when tracing is on: it costs more memory than the whole
 * data path. The path has already chosen the ids that it propagated, so the SDK is handed those.
 */
export class Tracing {
  private readonly ring: SpanRing;
  private readonly log: (line: string) => void;
  private readonly timer: NodeJS.Timeout;
  private readonly loading: Promise<Exporter | undefined>;
  private exporter: Exporter | undefined;

  private constructor(options: TracingOptions) {
    this.ring = options.ring;
    this.log = options.log;
    this.timer = setInterval(() => this.flush(), DRAIN_INTERVAL_MS);
    this.timer.unref();
    this.loading = load(options).catch((error: unknown) => {
      options.log(`tracing: off, OpenTelemetry cannot be started: ${(error as Error).message}`);
      return undefined;
    });
    void this.loading.then((exporter) => {
      this.exporter = exporter;
    });
  }

  static start(options: TracingOptions): Tracing {
    return new Tracing(options);
  }

  flush(): void {
    if (this.exporter === undefined) return;
    for (const span of this.ring.drain()) this.exporter.emit(span);
  }

  /** Sends what is there, also what was recorded while OpenTelemetry was still being loaded. Never rejects. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    const exporter = await this.loading;
    this.flush();
    this.exporter = undefined;
    await exporter?.shutdown().catch((error: unknown) => {
      this.log(`tracing: the last spans are lost: ${(error as Error).message}`);
    });
  }
}

/** The SDK takes endpoint and protocol of its exporter from its specified environment variables and nowhere else. */
function configureEnvironment({ settings, attributes }: TracingOptions): void {
  const wanted = {
    OTEL_EXPORTER_OTLP_ENDPOINT: settings.otlpEndpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: settings.otlpProtocol === 'grpc' ? 'grpc' : 'http/protobuf',
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_LOGS_EXPORTER: 'none',
    // The ring has gathered them already.
    OTEL_BSP_SCHEDULE_DELAY: '100',
    // The attributes below only: the detectors of host and process would read files and the command line.
    OTEL_NODE_RESOURCE_DETECTORS: 'env',
    OTEL_RESOURCE_ATTRIBUTES: Object.entries(attributes)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join(','),
  };
  Object.assign(process.env, wanted);
}

/** One line at most in a while. */
function complaints(log: (line: string) => void): (message: string) => void {
  let silentUntilMs = 0;
  return (message) => {
    const nowMs = performance.now();
    if (nowMs < silentUntilMs) return;
    silentUntilMs = nowMs + COMPLAINT_INTERVAL_MS;
    log(`tracing: ${message}`);
  };
}

async function load(options: TracingOptions): Promise<Exporter> {
  const { NodeSDK, api } = await import('./opentelemetry.ts');
  const complain = complaints(options.log);
  const quiet = (): void => {};
  api.diag.setLogger(
    { error: complain, warn: complain, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  // The API keeps the first provider it was given, for good, unless it is told to forget it: the mesh's settings change.
  api.trace.disable();
  api.context.disable();
  configureEnvironment(options);
  const ids = { traceId: '', spanId: '' };
  const sdk = new NodeSDK({
    serviceName: options.serviceName,
    instrumentations: [],
    textMapPropagator: null,
    // The path has decided; what it did not sample is not in the ring.
    sampler: { shouldSample: () => ({ decision: api.SamplingDecision.RECORD_AND_SAMPLED }), toString: () => 'path' },
    idGenerator: { generateTraceId: () => ids.traceId, generateSpanId: () => ids.spanId },
  });
  sdk.start();
  const tracer = api.trace.getTracer('weft');
  const emit = (span: SpanRecord): void => {
    ids.traceId = span.traceId;
    ids.spanId = span.spanId;
    const { name, error, attributes } = describeSpan(span);
    const parent =
      span.parentSpanId === ''
        ? api.ROOT_CONTEXT
        : api.trace.setSpanContext(api.ROOT_CONTEXT, {
            traceId: span.traceId,
            spanId: span.parentSpanId,
            traceFlags: api.TraceFlags.SAMPLED,
            isRemote: true,
          });
    const kind = span.direction === 'inbound' ? api.SpanKind.SERVER : api.SpanKind.CLIENT;
    const started = tracer.startSpan(
      name,
      { kind, startTime: span.startUnixMs, attributes: { ...attributes } },
      parent,
    );
    if (error) started.setStatus({ code: api.SpanStatusCode.ERROR });
    started.end(span.startUnixMs + span.durationMs);
  };
  return { emit, shutdown: () => sdk.shutdown() };
}
