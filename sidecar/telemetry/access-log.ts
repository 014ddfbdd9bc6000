import type { WorkloadSettings } from '@weft/policies/model/listener';
import type { RequestRecord } from './record.ts';

/** Lines held while the output is slow; beyond it they are dropped and counted. */
const PENDING_LINES_MAX = 10_000;

export interface AccessLogOutput {
  /** False when the output wants no more until `drained` is called. */
  write(text: string): boolean;
  onDrain(listener: () => void): void;
}

/** One JSON object a line, all lines of a turn of the event loop in one write. */
export class AccessLog {
  mode: WorkloadSettings['accessLog'] = 'none';
  private lines: string[] = [];
  private queued = false;
  private blocked = false;
  private readonly output: AccessLogOutput;
  private readonly count: (event: string) => void;

  constructor(output: AccessLogOutput, count: (event: string) => void) {
    this.output = output;
    this.count = count;
    output.onDrain(() => {
      this.blocked = false;
      this.flush();
    });
  }

  append(record: RequestRecord): void {
    if (this.mode === 'none' || (this.mode === 'errors' && !isError(record))) return;
    if (this.lines.length >= PENDING_LINES_MAX) {
      this.count('access_log_dropped');
      return;
    }
    this.lines.push(accessLogLine(record));
    if (this.queued || this.blocked) return;
    this.queued = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.queued = false;
    if (this.blocked || this.lines.length === 0) return;
    const text = `${this.lines.join('\n')}\n`;
    this.lines = [];
    this.blocked = !this.output.write(text);
  }
}

/** Something failed, broke off, or was refused by this proxy. */
const isError = (record: RequestRecord): boolean => record.status >= 500 || record.flag !== '';

export function accessLogLine(record: RequestRecord): string {
  return JSON.stringify({
    time: new Date(record.startUnixMs).toISOString(),
    direction: record.direction,
    protocol: record.protocol,
    method: record.method,
    authority: record.authority,
    path: record.path,
    status: record.status,
    flags: record.flag,
    details: record.detail,
    rule: record.rule,
    route: record.route,
    cluster: record.cluster,
    upstream: record.upstream,
    attempts: record.attempts,
    durationMs: Math.round(record.durationMs * 1_000) / 1_000,
    upstreamMs: Math.round(record.upstreamMs * 1_000) / 1_000,
    bytesReceived: record.bytesReceived,
    bytesSent: record.bytesSent,
    source: record.sourceIdentity === '' ? record.sourceWorkload : record.sourceIdentity,
    destinationService: record.destinationService,
    remote: record.remote,
    destination: record.destination,
    mtls: record.mtls,
    requestId: record.requestId,
    traceId: record.traceId,
  });
}
