import type { WebhookPorts } from './webhook.ts';

/** Spans of admission requests by @opentelemetry/sdk-node, loaded only when an OTLP endpoint is set: it costs memory and start-up time. */

export interface Tracing {
  readonly trace: WebhookPorts['trace'];
  readonly stop: () => Promise<void>;
}

const OFF: Tracing = { trace: (_headers, _attributes, run) => run(), stop: async () => {} };

export async function startTracing(otlpEndpoint: string | undefined, version: string): Promise<Tracing> {
  if (otlpEndpoint === undefined || otlpEndpoint === '') return OFF;
  process.env['OTEL_SERVICE_NAME'] ??= 'weft-injector';
  process.env['OTEL_METRICS_EXPORTER'] ??= 'none';
  process.env['OTEL_LOGS_EXPORTER'] ??= 'none';
  const [{ NodeSDK }, api] = await Promise.all([import('@opentelemetry/sdk-node'), import('@opentelemetry/api')]);
  const sdk = new NodeSDK();
  sdk.start();
  const tracer = api.trace.getTracer('weft-injector', version);
  return {
    trace: (headers, attributes, run) => {
      const parent = api.propagation.extract(api.context.active(), headers);
      return tracer.startActiveSpan('inject', { kind: api.SpanKind.SERVER, attributes }, parent, async (span) => {
        try {
          return await run();
        } finally {
          span.end();
        }
      });
    },
    stop: () => sdk.shutdown(),
  };
}
