import type { WorkloadSettings } from '@weft/policies/model/listener';
import { type AccessLogOutput, LineBuffer } from './log/line-buffer.ts';
import type { RequestRecord } from './record.ts';

export type { AccessLogOutput } from './log/line-buffer.ts';

/** Weft's own form: one JSON object a line, for the whole process. */
export class AccessLog {
  mode: Exclude<WorkloadSettings['accessLog'], 'listener'> = 'none';
  private readonly lines: LineBuffer;

  constructor(output: AccessLogOutput, count: (event: string) => void) {
    this.lines = new LineBuffer(output, count);
  }

  append(record: RequestRecord): void {
    if (this.mode === 'none' || (this.mode === 'errors' && !isError(record))) return;
    if (!this.lines.full) this.lines.append(`${accessLogLine(record)}\n`);
  }

  /** About something that is no request. */
  note(line: object): void {
    if (this.mode !== 'none' && !this.lines.full) this.lines.append(`${JSON.stringify(line)}\n`);
  }

  flush(): void {
    this.lines.flush();
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
    ...(record.tokenIssuer === '' ? {} : { tokenIssuer: record.tokenIssuer, tokenSubject: record.tokenSubject }),
    requestId: record.requestId,
    traceId: record.traceId,
  });
}
