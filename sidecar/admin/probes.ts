import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { systemClock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Method } from '../grpc/call.ts';
import { GrpcChannel } from '../grpc/channel.ts';
import { direct } from '../grpc/direct.ts';
import { GrpcCode } from '../http/grpc-status.ts';

/** A probe as the pod's author wrote it, ports resolved to numbers; from WEFT_PROBES. */
export type Probe = { readonly timeoutSeconds: number } & (
  | {
      readonly kind: 'httpGet';
      readonly host: string;
      readonly port: number;
      readonly path: string;
      readonly scheme: 'HTTP' | 'HTTPS';
      readonly headers: readonly { readonly name: string; readonly value: string }[];
    }
  | { readonly kind: 'tcpSocket'; readonly host: string; readonly port: number }
  | { readonly kind: 'grpc'; readonly port: number; readonly service: string }
);

/** By path below /app-health/, for example `web/readyz`. */
export type Probes = ReadonlyMap<string, Probe>;

/** Read and dropped, so that the application is not cut off in a short answer; kubelet reads as much. */
const BODY_BYTES_MAX = 10_240;

interface ProbeOutcome {
  readonly status: number;
  readonly body: string;
}

/** Runs the original probe against the application; the status is what kubelet would have made of its answer. */
export async function runProbe(probe: Probe, podIp: string): Promise<ProbeOutcome> {
  const timeoutMs = Math.max(1, probe.timeoutSeconds) * 1_000;
  switch (probe.kind) {
    case 'httpGet':
      return httpProbe(probe, podIp, timeoutMs);
    case 'tcpSocket':
      return tcpProbe(probe.host === '' ? podIp : probe.host, probe.port, timeoutMs);
    case 'grpc':
      return grpcProbe(podIp, probe.port, probe.service, timeoutMs);
  }
}

const failure = (text: string): ProbeOutcome => ({ status: 503, body: `${text}\n` });

function httpProbe(
  probe: Extract<Probe, { kind: 'httpGet' }>,
  podIp: string,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const headers: Record<string, string> = { 'user-agent': 'kube-probe/weft', accept: '*/*', connection: 'close' };
    for (const { name, value } of probe.headers) headers[name.toLowerCase()] = value;
    const options = {
      host: probe.host === '' ? podIp : probe.host,
      port: probe.port,
      path: probe.path,
      headers,
      agent: false,
      timeout: timeoutMs,
      // kubelet does not verify the certificate of an HTTPS probe either.
      rejectUnauthorized: false,
      signal: AbortSignal.timeout(timeoutMs),
    } as const;
    const answer = (response: IncomingMessage): void => {
      const status = response.statusCode ?? 503;
      // The status decides. The body stays here: whoever reaches this port could read what policy hides.
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > BODY_BYTES_MAX) response.destroy();
      });
      response.on('error', () => undefined);
      const healthy = status >= 200 && status < 400;
      resolve(healthy ? { status: 200, body: 'ok\n' } : { status, body: `the application answered ${status}\n` });
    };
    const request = probe.scheme === 'HTTPS' ? httpsRequest(options, answer) : httpRequest(options, answer);
    request.on('error', (error) => resolve(failure(error.message)));
    request.end();
  });
}

function tcpProbe(host: string, port: number, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (outcome: ProbeOutcome): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(timeoutMs, () => finish(failure(`no connection to port ${port} within ${timeoutMs} ms`)));
    socket.once('connect', () => finish({ status: 200, body: 'ok\n' }));
    socket.once('error', (error) => finish(failure(error.message)));
  });
}

/** grpc.health.v1.Health/Check; two fields, encoded here rather than loaded from a .proto. */
const healthCheck: Method<string, number> = {
  path: '/grpc.health.v1.Health/Check',
  requestSerialize: (service) => {
    const text = Buffer.from(service).subarray(0, 127);
    return text.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, text.length]), text]);
  },
  /** Field 1, varint: ServingStatus; absent is UNKNOWN. */
  responseDeserialize: (bytes) => (bytes[0] === 0x08 ? (bytes[1] ?? 0) : 0),
};
const SERVING = 1;

async function grpcProbe(podIp: string, port: number, service: string, timeoutMs: number): Promise<ProbeOutcome> {
  const channel = new GrpcChannel({ via: direct({ host: podIp, port, tls: undefined }), clock: systemClock });
  return new Promise((resolve) => {
    let serving = 0;
    const call = channel.call(
      healthCheck,
      { metadata: [], timeoutMs },
      {
        onMessage(answer) {
          serving = answer;
        },
        onEnd({ code, message }) {
          channel.close();
          if (code !== GrpcCode.ok) resolve(failure(`gRPC status ${code}: ${message}`));
          else if (serving === SERVING) resolve({ status: 200, body: 'ok\n' });
          else resolve(failure(`service is ${serving}, not SERVING`));
        },
      },
    );
    call.send(service, true);
  });
}

/** What the injector wrote into WEFT_PROBES; it is ours, so anything unexpected is an error. */
export function parseProbes(json: string): Result<Probes, string> {
  if (json === '') return ok(new Map());
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    return err(`WEFT_PROBES is not JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    return err('WEFT_PROBES is not an object');
  const probes = new Map<string, Probe>();
  for (const [path, value] of Object.entries(parsed)) {
    const probe = parseProbe(value);
    if (probe === undefined) return err(`WEFT_PROBES["${path}"] is not a probe`);
    probes.set(path, probe);
  }
  return ok(probes);
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseProbe(value: unknown): Probe | undefined {
  if (!isObject(value)) return undefined;
  const timeoutSeconds = typeof value['timeoutSeconds'] === 'number' ? value['timeoutSeconds'] : 1;
  const text = (field: unknown): string => (typeof field === 'string' ? field : '');
  const { httpGet, tcpSocket, grpc } = value;
  if (isObject(httpGet) && typeof httpGet['port'] === 'number') {
    const headers = Array.isArray(httpGet['httpHeaders']) ? httpGet['httpHeaders'] : [];
    return {
      kind: 'httpGet',
      timeoutSeconds,
      host: text(httpGet['host']),
      port: httpGet['port'],
      path: text(httpGet['path']) === '' ? '/' : text(httpGet['path']),
      scheme: httpGet['scheme'] === 'HTTPS' ? 'HTTPS' : 'HTTP',
      headers: headers.filter(isObject).map((header) => ({ name: text(header['name']), value: text(header['value']) })),
    };
  }
  if (isObject(tcpSocket) && typeof tcpSocket['port'] === 'number') {
    return { kind: 'tcpSocket', timeoutSeconds, host: text(tcpSocket['host']), port: tcpSocket['port'] };
  }
  if (isObject(grpc) && typeof grpc['port'] === 'number') {
    return { kind: 'grpc', timeoutSeconds, port: grpc['port'], service: text(grpc['service']) };
  }
  return undefined;
}
