import type { Server } from 'node:http';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { type AdminViews, startAdminServer } from './admin/admin-server.ts';
import { checkCertificates } from './bootstrap/certificates.ts';
import { type Bootstrap, loadBootstrap } from './bootstrap/load.ts';
import { startTelemetry } from './bootstrap/telemetry.ts';
import { createDataPlane } from './data-plane.ts';
import type { CertificateSource } from './identity/source.ts';
import type { ProcessPorts } from './mesh-sidecar.ts';
import { hostPort } from './net/connection-record.ts';

const DRAIN_MS_MAX = 10_000;

/** A bootstrap brings its certificates inline; there is no identity of the mesh. */
const noIdentity: CertificateSource = { get: () => undefined, own: () => undefined, onChange: () => () => {} };

/** A proxy from an Envoy v3 bootstrap, without a control plane. Errors are one line each, with the path of the field. */
export async function runStaticSidecar(
  text: string,
  checkOnly: boolean,
  { clock, prng, log }: ProcessPorts,
): Promise<Result<void, readonly string[]>> {
  const loaded = loadBootstrap(text);
  if (!loaded.ok) {
    return err(loaded.error.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)));
  }
  const bootstrap: Bootstrap = loaded.value;
  const unusable = checkCertificates(bootstrap);
  if (unusable.length > 0) return err(unusable.map(({ path, message }) => `${path}: ${message}`));
  if (checkOnly) {
    log(`the bootstrap is good: ${bootstrap.listeners.length} listeners`);
    return ok(undefined);
  }
  const telemetry = startTelemetry(bootstrap, log);
  const dataPlane = createDataPlane({
    source: bootstrap.snapshot,
    listenerNames: bootstrap.listeners.map((listener) => listener.name),
    certificates: noIdentity,
    recorder: telemetry.recorder,
    logSinks: telemetry.logSinks,
    clock,
    prng,
    ownIps: new Set(),
  });
  let admin: Server | undefined;
  let stopping = false;
  let listening = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    await dataPlane.listeners.drain(DRAIN_MS_MAX);
    dataPlane.listeners.close();
    dataPlane.clusters.close();
    admin?.close();
    admin?.closeAllConnections();
    await telemetry.close();
    process.exit(0);
  };
  const { admin: at } = bootstrap;
  if (at !== undefined) {
    const views: AdminViews = {
      configDump: () => bootstrap.listeners,
      stats: () => telemetry.metrics.render(),
      certs: () => ({}),
      clusters: () => dataPlane.clusters.active().map((runtime) => runtime.cluster),
      listeners: () => dataPlane.listeners.stats(),
      notReady: () => (stopping ? 'draining' : listening ? undefined : 'listeners are not open yet'),
      quit: () => void stop(),
    };
    try {
      admin = await startAdminServer({ host: at.ip, port: at.port }, views);
    } catch (error) {
      return err([`admin: cannot listen on ${hostPort(at.ip, at.port)}: ${(error as Error).message}`]);
    }
  }
  const started = await dataPlane.listeners.start();
  if (!started.ok) return err([started.error]);
  listening = true;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop());
  log(`serving ${bootstrap.listeners.map((listener) => listener.name).join(', ')}`);
  return ok(undefined);
}
