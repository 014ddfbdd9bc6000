import type { WorkloadSettings } from '@weft/policies/model/listener';
import { AccessLog, type AccessLogOutput } from './access-log.ts';
import { LogSinks } from './log/loggers.ts';
import { Metrics } from './metrics.ts';
import { SidecarRecorder } from './recorder.ts';
import { SpanRing } from './span-ring.ts';
import { streamOutput } from './stdout.ts';
import { Tracing } from './tracing.ts';

const SPANS_HELD_MAX = 2_048;
const CLOSE_TIMEOUT_MS = 2_000;

/** Metrics, access log and spans of one process. */
export interface Telemetry {
  readonly metrics: Metrics;
  readonly recorder: SidecarRecorder;
  /** Between the path and whoever exports. */
  readonly spans: SpanRing;
  /** Outputs of the loggers that listeners name. */
  readonly logSinks: LogSinks;
  gauge(name: string, help: string, read: () => number): void;
  /** Follows the mesh's settings; called with each snapshot, cheap when nothing changed. */
  configure(settings: WorkloadSettings | undefined, attributes: Readonly<Record<string, string>>): void;
  close(): Promise<void>;
}

export function createTelemetry(
  log: (line: string) => void,
  accessLogOutput: AccessLogOutput = streamOutput(undefined),
): Telemetry {
  const metrics = new Metrics();
  const accessLog = new AccessLog(accessLogOutput, (event) => metrics.count(event));
  const logSinks = new LogSinks(streamOutput, (event) => metrics.count(event));
  const ring = new SpanRing(SPANS_HELD_MAX);
  const recorder = new SidecarRecorder(metrics, accessLog, ring);
  let tracing: Tracing | undefined;
  let tracingKey = '';
  metrics.gauge('weft_spans_overwritten', 'Spans that gave way before they were exported.', () => ring.overwritten);
  return {
    metrics,
    recorder,
    spans: ring,
    logSinks,
    gauge: (name, help, read) => metrics.gauge(name, help, read),
    configure(settings, attributes) {
      const mode = settings?.accessLog ?? 'none';
      accessLog.mode = mode === 'listener' ? 'none' : mode;
      recorder.decisions.keepsFlows = settings !== undefined;
      const wanted = settings?.tracing;
      const key = wanted === undefined ? '' : `${wanted.otlpProtocol} ${wanted.otlpEndpoint}`;
      if (key === tracingKey) return;
      tracingKey = key;
      tracing?.close().catch((error: unknown) => log(`tracing: ${(error as Error).message}`));
      tracing =
        wanted === undefined || settings === undefined
          ? undefined
          : Tracing.start({
              settings: wanted,
              serviceName: nameOf(settings.serviceName === '' ? settings.workloadName : settings.serviceName),
              ring,
              log,
              attributes,
            });
    },
    async close() {
      accessLog.flush();
      logSinks.flush();
      const late = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref());
      await Promise.race([tracing?.close(), late]);
    },
  };
}

/** Traces know the namespace by an attribute of its own. */
const nameOf = (label: string): string => label.slice(label.indexOf('/') + 1);
