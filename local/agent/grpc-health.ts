import * as http2 from 'node:http2';

/** The two messages of grpc.health.v1 that a probe needs, by hand: loading a gRPC library for them would double the agent's memory. */

interface GrpcHealth {
  readonly ok: boolean;
  readonly message: string;
}

const SERVING = 1;
const ANSWER_BYTES_MAX = 4096;

/** A gRPC message: one byte for compression, four for the length, then protobuf with `service` as field 1 (gRPC over HTTP/2). */
export function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service.slice(0, 127), 'utf8');
  const body = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** The serving status, field 1 of HealthCheckResponse; an absent field is UNKNOWN (0). */
export function decodeStatus(answer: Buffer): number | undefined {
  if (answer.length < 5 || answer[0] !== 0) return undefined;
  const body = answer.subarray(5, 5 + answer.readUInt32BE(1));
  if (body.length === 0) return 0;
  return body[0] === 0x08 ? body[1] : undefined;
}

export function checkGrpcHealth(host: string, port: number, service: string, timeoutMs: number): Promise<GrpcHealth> {
  return new Promise((resolve) => {
    const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const session = http2.connect(`http://${authority}`);
    let settled = false;
    const finish = (ok: boolean, message: string): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      session.destroy();
      resolve({ ok, message });
    };
    const timer = setTimeout(() => finish(false, `no answer in ${timeoutMs} ms`), timeoutMs);
    session.on('error', (error) => finish(false, error.message));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let answer: Buffer = Buffer.alloc(0);
    let grpcStatus = '';
    const readStatus = (headers: http2.IncomingHttpHeaders): void => {
      const value = headers['grpc-status'];
      if (typeof value === 'string') grpcStatus = value;
    };
    stream.on('response', readStatus);
    stream.on('trailers', readStatus);
    stream.on('data', (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length > ANSWER_BYTES_MAX) finish(false, 'answer too large');
    });
    stream.on('error', (error) => finish(false, error.message));
    stream.on('end', () => {
      if (grpcStatus !== '' && grpcStatus !== '0') return finish(false, `grpc status ${grpcStatus}`);
      const status = decodeStatus(answer);
      finish(status === SERVING, `service status ${status ?? 'unreadable'}`);
    });
    stream.end(encodeRequest(service));
  });
}
