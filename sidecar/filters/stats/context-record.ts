import type { Direction } from '@weft/policies/model/listener';
import type { ResponseFlag } from '../../http/errors.ts';
import type { RequestRecord } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';

/**
 * A request as its record: what the context knows is read from there by whoever asks, and most is asked of few requests.
 * Only who talked to whom is worked out ahead, since metrics look at it several times.
 */
export class ContextRecord implements RequestRecord {
  readonly direction: Direction;
  durationMs = 0;
  sourceIdentity = '';
  sourceWorkload = '';
  destinationIdentity = '';
  destinationWorkload = '';
  destinationService = '';
  mtls = false;
  private context: RequestContext;

  constructor(direction: Direction, context: RequestContext) {
    this.direction = direction;
    this.context = context;
  }

  /** It is the record of another request from now on. */
  show(context: RequestContext, nowMs: number): void {
    this.context = context;
    this.durationMs = nowMs - context.startMs;
  }

  get protocol(): 'http' | 'grpc' {
    return this.context.grpc ? 'grpc' : 'http';
  }

  get startUnixMs(): number {
    return this.context.startUnixMs;
  }

  get upstreamMs(): number {
    return this.context.upstreamMs;
  }

  get method(): string {
    return this.context.head.method;
  }

  get authority(): string {
    return this.context.authority;
  }

  get path(): string {
    return this.context.path;
  }

  get status(): number {
    return this.context.status;
  }

  get grpcStatus(): number {
    return this.context.grpcStatus;
  }

  get flag(): ResponseFlag | '' {
    return this.context.flag;
  }

  get detail(): string {
    return this.context.detail;
  }

  get route(): string {
    return this.context.route;
  }

  get cluster(): string {
    return this.context.clusterName;
  }

  get upstream(): string {
    return this.context.host?.label ?? '';
  }

  get attempts(): number {
    return this.context.attempts;
  }

  get remote(): string {
    return this.context.facts.remote;
  }

  get destination(): string {
    return this.context.facts.destination;
  }

  get bytesReceived(): number {
    return this.context.exchange.bytesReceived;
  }

  get bytesSent(): number {
    return this.context.exchange.bytesSent;
  }

  get requestMessages(): number {
    return this.context.call?.requests.messages ?? 0;
  }

  get responseMessages(): number {
    return this.context.call?.responses.messages ?? 0;
  }

  get rule(): string {
    return this.context.rule;
  }

  get tokenIssuer(): string {
    return this.context.jwt?.issuer ?? '';
  }

  get tokenSubject(): string {
    return this.context.jwt?.subject ?? '';
  }

  get requestId(): string {
    return this.context.requestId;
  }

  get traceId(): string {
    return this.context.traceId;
  }

  get spanId(): string {
    return this.context.spanId;
  }

  get parentSpanId(): string {
    return this.context.parentSpanId;
  }

  get sampled(): boolean {
    return this.context.sampled;
  }
}
