import type { Server } from 'node:http';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { type AdminViews, exposedAdmin, startAdminServer } from './admin/admin-server.ts';
import { certificateList } from './bootstrap/certificate-list.ts';
import { checkCertificates } from './bootstrap/certificates.ts';
import { discoverEndpoints, type EndpointDiscovery } from './bootstrap/endpoint-discovery.ts';
import { checkEndpointFiles } from './bootstrap/endpoint-files.ts';
import { type Bootstrap, loadBootstrap } from './bootstrap/load.ts';
import { inlineRoutes, withoutTraffic } from './bootstrap/served.ts';
import { startTelemetry } from './bootstrap/telemetry.ts';
import { startBootstrapThreads } from './bootstrap/threads.ts';
import type { ProcessPorts } from './mesh-sidecar.ts';
import { hostPort } from './net/connection-record.ts';
import { lowerCompilerWhenWarm } from './overload/compiler.ts';
import { processOverload } from './overload/process.ts';
import { trimWhenIdle } from './overload/trim.ts';
import { dropStartRights } from './rights.ts';
import type { DataThreads } from './threads/data-threads.ts';

const DRAIN_MS_MAX = 10_000;

interface StaticSettings {
  /** Says whether the bootstrap is good, and starts nothing. */
  readonly checkOnly: boolean;
  /** Data threads. */
  readonly concurrency: number;
}

/** A proxy from an Envoy v3 bootstrap, without a control plane. Errors are one line each, with the path of the field. */
export async function runStaticSidecar(
  text: string,
  { checkOnly, concurrency }: StaticSettings,
  { clock, prng, log }: ProcessPorts,
): Promise<Result<void, readonly string[]>> {
  const loaded = loadBootstrap(text);
  if (!loaded.ok) {
    return err(loaded.error.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)));
  }
  const bootstrap: Bootstrap = loaded.value;
  const unusable = [...checkCertificates(bootstrap), ...checkEndpointFiles(bootstrap.clusters)];
  if (unusable.length > 0) return err(unusable.map(({ path, message }) => `${path}: ${message}`));
  if (checkOnly) {
    log(`the bootstrap is good: ${bootstrap.listeners.length} listeners`);
    return ok(undefined);
  }
  const telemetry = startTelemetry(bootstrap, log);
  const { recorder } = telemetry;
  let threads: DataThreads | undefined;
  const overload = processOverload({
    clock,
    count: (event) => recorder.count(event),
    log,
    onChange: (shed) => threads?.shed(shed),
  });
  const endpoints = await discoverEndpoints(bootstrap, { recorder, clock, prng, log });
  const ports = { telemetry, overload, endpoints, clock, prng, log };
  const made = await startBootstrapThreads(bootstrap, concurrency, ports);
  if (!made.ok) return err([made.error]);
  const { threads: running, replicas } = made.value;
  threads = running;
  const state = { stopping: false, listening: false };
  let admin: Server | undefined;
  const stop = async (): Promise<void> => {
    if (state.stopping) return;
    state.stopping = true;
    endpoints.close();
    await running.drain(DRAIN_MS_MAX);
    overload.close();
    await running.close();
    admin?.close();
    admin?.closeAllConnections();
    await telemetry.close();
    process.exit(0);
  };
  const opened = await openAdmin(
    bootstrap,
    adminViews({ bootstrap, endpoints, threads: running }, state, { stop, concurrency }),
    log,
  );
  if (!opened.ok) return err([opened.error]);
  admin = opened.value;
  // Before what may take long: as the first process of a container it would not end by itself.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop());
  await endpoints.follow(replicas);
  const started = state.stopping ? ok(undefined) : await running.start();
  if (state.stopping) return ok(undefined);
  if (!started.ok) return err([started.error]);
  dropStartRights(concurrency);
  state.listening = true;
  overload.start();
  const count = (event: string): void => recorder.count(event);
  trimWhenIdle({ clock, listeners: () => running.listeners(), count });
  lowerCompilerWhenWarm({ clock, count });
  log(`serving ${bootstrap.listeners.map((listener) => listener.name).join(', ')}`);
  return ok(undefined);
}

/** Undefined: the bootstrap says none. */
async function openAdmin(
  { admin }: Bootstrap,
  views: AdminViews,
  log: (line: string) => void,
): Promise<Result<Server | undefined, string>> {
  if (admin === undefined) return ok(undefined);
  const at = 'socketPath' in admin ? admin : { host: admin.ip, port: admin.port };
  const exposed = exposedAdmin(at);
  if (exposed !== undefined) log(`warning: ${exposed}`);
  try {
    return ok(await startAdminServer(at, views));
  } catch (error) {
    const where = 'socketPath' in at ? at.socketPath : hostPort(at.host, at.port);
    return err(`admin: cannot listen on ${where}: ${errorText(error)}`);
  }
}

interface Parts {
  readonly bootstrap: Bootstrap;
  readonly endpoints: EndpointDiscovery;
  readonly threads: DataThreads;
}

function adminViews(
  { bootstrap, endpoints, threads }: Parts,
  state: { readonly stopping: boolean; readonly listening: boolean },
  { stop, concurrency }: { readonly stop: () => Promise<void>; readonly concurrency: number },
): AdminViews {
  return {
    node: bootstrap.node,
    concurrency,
    config: () => ({
      listeners: bootstrap.listeners,
      clusters: bootstrap.clusters,
      routes: inlineRoutes(bootstrap.listeners),
      endpoints: endpoints.assignments(),
      static: true,
    }),
    metrics: () => threads.metrics(),
    counters: () => threads.counters(),
    certs: () => certificateList(bootstrap, Date.now()),
    clusters: async () => withoutTraffic(bootstrap.clusters, await threads.clusters(), endpoints.assignments()),
    listeners: () => threads.listeners(),
    notReady: () => (state.stopping ? 'draining' : state.listening ? undefined : 'the sidecar is starting'),
    drain: () => void threads.drain(DRAIN_MS_MAX),
    quit: () => void stop(),
  };
}
