import * as http from 'node:http';
import * as https from 'node:https';
import { connect } from 'node:net';
import type { Container, Handler, HttpGetAction, IntOrString } from '../client/objects.ts';
import { checkGrpcHealth } from './grpc-health.ts';
import type { ExecResult } from './runtime.ts';

/** Runs the actions of probes and lifecycle hooks from the node, as kubelet does, against the pod's address. */

export interface HandlerTarget {
  readonly podIp: string;
  readonly container: Container;
  exec(argv: readonly string[], timeoutMs: number): Promise<ExecResult>;
}

export interface HandlerResult {
  readonly ok: boolean;
  readonly message: string;
}

const BODY_BYTES_MAX = 10 << 10;

export function portNumber(port: IntOrString, container: Container): number | undefined {
  if (typeof port === 'number') return port;
  if (/^\d+$/.test(port)) return Number(port);
  return container.ports?.find((item) => item.name === port)?.containerPort;
}

function httpGet(action: HttpGetAction, target: HandlerTarget, timeoutMs: number): Promise<HandlerResult> {
  const port = portNumber(action.port, target.container);
  if (port === undefined) return Promise.resolve({ ok: false, message: `no port named ${action.port}` });
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.32', accept: '*/*' };
  for (const header of action.httpHeaders ?? []) headers[header.name.toLowerCase()] = header.value;
  const options = {
    host: action.host ?? target.podIp,
    port,
    path: action.path?.startsWith('/') === true ? action.path : `/${action.path ?? ''}`,
    headers,
    agent: false as const,
  };
  return new Promise((resolve) => {
    // Probes check that something answers, not who: kubelet does not verify the certificate either.
    const request =
      action.scheme === 'HTTPS' ? https.get({ ...options, rejectUnauthorized: false }) : http.get(options);
    const timer = setTimeout(() => finish(false, `no answer in ${timeoutMs} ms`), timeoutMs);
    const finish = (ok: boolean, message: string): void => {
      clearTimeout(timer);
      request.destroy();
      resolve({ ok, message });
    };
    request.on('error', (error) => finish(false, error.message || String(error)));
    request.on('response', (response) => {
      const status = response.statusCode ?? 0;
      let size = 0;
      // A hook's answer ends when its body ends: /drain/wait may hold it open on purpose.
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > BODY_BYTES_MAX) finish(status >= 200 && status < 400, `HTTP status ${status}`);
      });
      response.on('end', () => finish(status >= 200 && status < 400, `HTTP status ${status}`));
      response.on('error', (error) => finish(false, error.message));
    });
  });
}

function tcpConnect(host: string, port: number, timeoutMs: number): Promise<HandlerResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (ok: boolean, message: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ ok, message });
    };
    const timer = setTimeout(() => finish(false, `no connection in ${timeoutMs} ms`), timeoutMs);
    socket.on('connect', () => finish(true, 'connected'));
    socket.on('error', (error) => finish(false, error.message));
  });
}

export async function runHandler(handler: Handler, target: HandlerTarget, timeoutMs: number): Promise<HandlerResult> {
  if (handler.httpGet !== undefined) return httpGet(handler.httpGet, target, timeoutMs);
  if (handler.tcpSocket !== undefined) {
    const port = portNumber(handler.tcpSocket.port, target.container);
    if (port === undefined) return { ok: false, message: `no port named ${handler.tcpSocket.port}` };
    return tcpConnect(handler.tcpSocket.host ?? target.podIp, port, timeoutMs);
  }
  if (handler.grpc !== undefined) {
    return checkGrpcHealth(target.podIp, handler.grpc.port, handler.grpc.service ?? '', timeoutMs);
  }
  if (handler.exec !== undefined) {
    const result = await target.exec(handler.exec.command ?? [], timeoutMs);
    if (result.timedOut) return { ok: false, message: `command not done in ${timeoutMs} ms` };
    return { ok: result.exitCode === 0, message: result.output.trim() || `exit code ${result.exitCode}` };
  }
  if (handler.sleep !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, Math.min((handler.sleep?.seconds ?? 0) * 1000, timeoutMs)));
    return { ok: true, message: 'slept' };
  }
  return { ok: false, message: 'no action' };
}
