import { type HealthProbe, isInRanges } from '@weft/policies/model/health-check';
import type { RequestHead } from '../../http/exchange.ts';
import { grpcStatusOf } from '../../http/grpc-status.ts';
import { Headers } from '../../http/headers.ts';
import { type CheckOutcome, IMMEDIATE_FAIL_HEADER } from './host-health.ts';

/** A whole answer; its body as far as it is looked at. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly trailers: Headers | undefined;
  readonly body: Buffer;
}

/** What is asked over HTTP, and what the answer means. */
export interface HttpQuestion {
  head(): RequestHead;
  readonly body: Buffer | undefined;
  readonly readsBody: boolean;
  judge(answer: Answer): CheckOutcome;
}

const USER_AGENT = 'weft-health-check';
/** Of the serving statuses of grpc.health.v1. */
const SERVING = 1;

type Http = Extract<HealthProbe, { kind: 'http' }>;
type Grpc = Extract<HealthProbe, { kind: 'grpc' }>;

export function httpQuestion(probe: Http, cluster: string, scheme: 'http' | 'https'): HttpQuestion {
  const { expected, retriable } = probe;
  return {
    head: () => {
      const headers = Headers.from(['User-Agent', USER_AGENT]);
      for (const lower of probe.headers.remove) headers.remove(lower);
      for (const { name, value } of probe.headers.set) headers.set(name, value);
      for (const { name, value } of probe.headers.add) headers.append(name, value);
      return {
        method: probe.method,
        scheme,
        authority: probe.host === '' ? cluster : probe.host,
        path: probe.path,
        protocol: undefined,
        headers,
        version: probe.http2 ? 20 : 11,
        contentLength: 0,
        expectContinue: false,
      };
    },
    body: undefined,
    readsBody: false,
    judge: ({ status, headers }) => {
      if (headers.has(IMMEDIATE_FAIL_HEADER)) return 'refused';
      if (expected.length === 0 ? status === 200 : isInRanges(status, expected)) return 'success';
      return isInRanges(status, retriable) ? 'retriable' : 'failure';
    },
  };
}

export function grpcQuestion(probe: Grpc, cluster: string, scheme: 'http' | 'https'): HttpQuestion {
  const body = healthCheckRequest(probe.service);
  return {
    head: () => {
      const headers = Headers.from(['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', USER_AGENT]);
      for (const { name, value } of probe.metadata) headers.append(name, value);
      return {
        method: 'POST',
        scheme,
        authority: probe.authority === '' ? cluster : probe.authority,
        path: '/grpc.health.v1.Health/Check',
        protocol: undefined,
        headers,
        version: 20,
        contentLength: -1,
        expectContinue: false,
      };
    },
    body,
    readsBody: true,
    judge: ({ status, headers, trailers, body: answer }) => {
      if (headers.has(IMMEDIATE_FAIL_HEADER)) return 'refused';
      if (status !== 200 || grpcStatusOf(trailers ?? headers) !== 0) return 'failure';
      return servingStatus(answer) === SERVING ? 'success' : 'failure';
    },
  };
}

/** HealthCheckRequest { string service = 1; } in a frame of gRPC: a flag, four bytes of length, the message. */
function healthCheckRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

/** HealthCheckResponse { ServingStatus status = 1; }; 0 is UNKNOWN, and stands for all that cannot be read. */
function servingStatus(frame: Buffer): number {
  if (frame.length < 5 || frame[0] !== 0 || frame.readUInt32BE(1) !== frame.length - 5) return 0;
  // The field is the only one, and its values are below 128.
  return frame[5] === 0x08 && frame.length === 7 ? (frame[6] ?? 0) : 0;
}
