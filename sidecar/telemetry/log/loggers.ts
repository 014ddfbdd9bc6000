import { randomUUID } from 'node:crypto';
import type { AccessLog } from '@weft/policies/model/access-log';
import { type Direction, type FilterChain, type Listener, logsInOwnForm } from '@weft/policies/model/listener';
import { asksConnections } from '@weft/policies/model/log-operators';
import { emptyRecord, type Recorder, type RequestRecord, type TcpEnds, type TcpProgress } from '../record.ts';
import type { LogEntry, LoggedEnds, LoggedExchange } from './entry.ts';
import { compileFilter, type PassesFilter } from './filter.ts';
import { compileFormat, type WriteLine } from './format.ts';
import { type AccessLogOutput, LineBuffer } from './line-buffer.ts';
import type { OperatorPorts } from './operators.ts';
import { socketFacts } from './socket-facts.ts';

type Target = Pick<AccessLog, 'kind' | 'path'>;

/** The outputs that loggers share: two loggers of one file write into one. */
export class LogSinks {
  private readonly open: (target: Target) => AccessLogOutput;
  private readonly count: (event: string) => void;
  private readonly sinks = new Map<string, LineBuffer>();

  constructor(open: (target: Target) => AccessLogOutput, count: (event: string) => void) {
    this.open = open;
    this.count = count;
  }

  sinkOf(target: Target): LineBuffer {
    const key = `${target.kind} ${target.path}`;
    let sink = this.sinks.get(key);
    if (sink === undefined) {
      sink = new LineBuffer(this.open(target), this.count);
      this.sinks.set(key, sink);
    }
    return sink;
  }

  flush(): void {
    for (const sink of this.sinks.values()) sink.flush();
  }
}

interface Logger {
  readonly passes: PassesFilter | undefined;
  readonly line: WriteLine;
  readonly sink: LineBuffer;
}

/** The loggers of one listener's connection manager or TCP proxy, compiled once. */
export class Loggers {
  /** Some format says something of a connection. */
  readonly asksConnections: boolean;
  private readonly loggers: readonly Logger[];
  private readonly entry: LogEntry = { record: emptyRecord('outbound'), http: undefined, ends: undefined };

  constructor(logs: readonly AccessLog[], sinks: LogSinks, ports: OperatorPorts) {
    this.asksConnections = logs.some(({ format }) => asksConnections(format));
    this.loggers = logs.map((log) => ({
      passes: log.filter && compileFilter(log.filter),
      line: compileFormat(log.format, ports),
      sink: sinks.sinkOf(log),
    }));
  }

  write(record: RequestRecord, http: LoggedExchange | undefined, ends: LoggedEnds | undefined = http): void {
    const { entry } = this;
    entry.record = record;
    entry.http = http;
    entry.ends = ends;
    for (const { passes, line, sink } of this.loggers) {
      if (passes !== undefined && !passes(entry)) continue;
      if (!sink.full) sink.append(line(entry));
    }
    entry.http = undefined;
    entry.ends = undefined;
  }
}

/**
 * The loggers of a filter chain's last filter; undefined: there are none, or lines in Weft's own form take their place, as
 * in the mesh.
 */
export function loggersOf(
  terminal: FilterChain['terminal'],
  listener: Pick<Listener, 'settings'>,
  sinks: LogSinks | undefined,
  filterChainName = '',
): Loggers | undefined {
  if (sinks === undefined || logsInOwnForm(listener) || terminal.accessLogs.length === 0) return undefined;
  const trustedHops = terminal.kind === 'http' ? terminal.trustedHops : 0;
  return new Loggers(terminal.accessLogs, sinks, { trustedHops, filterChainName, environment: process.env });
}

/** Logs what has no exchange: opaque connections, and requests that could not be read. */
export class LoggingRecorder implements Recorder {
  private readonly recorder: Recorder;
  private readonly loggers: Loggers;
  private readonly ends = new WeakMap<RequestRecord, TcpEnds>();

  constructor(recorder: Recorder, loggers: Loggers) {
    this.recorder = recorder;
    this.loggers = loggers;
  }

  record(record: RequestRecord): void {
    this.recorder.record(record);
    // What has no request has no id either, and its lines are to be found by one.
    if (record.requestId === '') record.requestId = randomUUID();
    this.loggers.write(record, undefined, this.ends.get(record));
  }

  tcpOpened(record: RequestRecord, progress: TcpProgress): () => void {
    return this.recorder.tcpOpened(record, progress);
  }

  tcpEnds(record: RequestRecord, ends: TcpEnds): void {
    this.ends.set(record, ends);
    if (!this.loggers.asksConnections) return;
    const { connection, upstreamSocket } = ends;
    if (connection.socket !== undefined) socketFacts(connection.socket);
    if (upstreamSocket !== undefined) socketFacts(upstreamSocket);
  }

  connection(direction: Direction, open: 1 | -1): void {
    this.recorder.connection(direction, open);
  }

  count(event: string): void {
    this.recorder.count(event);
  }
}
