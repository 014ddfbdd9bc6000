import { once } from 'node:events';
import type { Server } from 'node:http';
import {
  AdmissionregistrationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  DiscoveryV1Api,
  type KubeConfig,
} from '@kubernetes/client-node';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';
import { serverTls } from '@weft/policies/kit/server-tls';

import { LIFETIMES, type Lifetimes } from './certificate.ts';
import type { InjectorConfig } from './config.ts';
import { readApiServers } from './kube/api-servers.ts';
import { startCertificateLoop } from './kube/certificate-loop.ts';
import { certificateStore } from './kube/certificate-store.ts';
import { meshSettings } from './kube/mesh-settings.ts';
import { namespaceReader } from './kube/namespaces.ts';
import { Metrics } from './metrics.ts';
import { createMonitoring } from './monitoring.ts';
import { planInjection } from './plan.ts';
import { startTracing } from './tracing.ts';
import { createWebhook, type KeyMaterial } from './webhook.ts';

/** Wires the injector's parts together: webhook, certificate, monitoring. */

const API_SERVERS_REFRESH_MS = 30_000;
const CLOSE_TIMEOUT_MS = 5000;

interface Injector {
  readonly webhookPort: () => number | undefined;
  readonly monitoringPort: number;
  readonly stop: () => Promise<void>;
}

const portOf = (server: { address: Server['address'] }): number | undefined => {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : undefined;
};

async function closeServer(server: Server): Promise<void> {
  server.close();
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
  await once(server, 'close');
  clearTimeout(timer);
}

function followApiServers(kube: KubeConfig, configured: string, log: Log, signal: AbortSignal): () => string {
  const core = kube.makeApiClient(CoreV1Api);
  const discovery = kube.makeApiClient(DiscoveryV1Api);
  let list = configured;
  const refresh = async (): Promise<void> => {
    try {
      const found = await readApiServers(core, discovery);
      list = [...new Set([...configured.split(',').filter((each) => each !== ''), ...found])].join(',');
    } catch (error) {
      log.warn('addresses of the API server cannot be read; the last known count', { error: errorText(error) });
    }
  };
  const timer = setInterval(() => void refresh(), API_SERVERS_REFRESH_MS);
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  void refresh();
  return () => list;
}

export async function startInjector(
  config: InjectorConfig,
  kube: KubeConfig,
  log: Log,
  lifetimes: Lifetimes = LIFETIMES,
): Promise<Injector> {
  const metrics = new Metrics();
  const stopping = new AbortController();
  const tracing = await startTracing(config.otlpEndpoint, config.pod.version);
  const apiServers = followApiServers(kube, config.pod.apiServers, log, stopping.signal);
  const readNamespace = namespaceReader(kube.makeApiClient(CoreV1Api), metrics);
  const mesh = meshSettings(kube.makeApiClient(CustomObjectsApi), log);
  let webhook: ReturnType<typeof createWebhook> | undefined;
  const serve = (material: KeyMaterial): void => {
    if (webhook !== undefined) {
      webhook.setSecureContext({ ...serverTls, ...material });
      return;
    }
    webhook = createWebhook(
      {
        plan: (pod, namespace) =>
          planInjection(pod, namespace, {
            ...config.pod,
            apiServers: apiServers(),
            concurrency: mesh.concurrency(),
          }),
        readNamespace: async (name) => {
          const [found] = await Promise.all([readNamespace(name), mesh.refresh()]);
          return found;
        },
        metrics,
        log,
        trace: tracing.trace,
      },
      material,
    );
    webhook.on('tlsClientError', (error) => log.warn('TLS handshake failed', { error: errorText(error) }));
    webhook.on('error', (error) => {
      log.error('webhook cannot listen', { port: config.webhookPort, error: errorText(error) });
      process.exitCode = 1;
      process.kill(process.pid, 'SIGTERM');
    });
    webhook.listen(config.webhookPort, '::', () => log.info('webhook listens', { port: config.webhookPort }));
  };
  const namespace = config.pod.systemNamespace;
  const host = `${config.serviceName}.${namespace}`;
  const certificates = startCertificateLoop({
    config: kube,
    admission: kube.makeApiClient(AdmissionregistrationV1Api),
    store: certificateStore({
      api: kube.makeApiClient(CoreV1Api),
      namespace,
      secretName: config.secretName,
      dnsNames: [`${host}.svc`, host, `${host}.svc.${config.pod.clusterDomain}`],
      lifetimes,
      metrics,
      log,
    }),
    namespace,
    secretName: config.secretName,
    webhookConfiguration: config.webhookConfiguration,
    metrics,
    log,
    signal: stopping.signal,
    serve,
  });
  const readiness = (): string | undefined =>
    stopping.signal.aborted
      ? 'stopping'
      : (certificates.problem() ?? (webhook?.listening ? undefined : 'not listening'));
  const monitoring = createMonitoring(metrics, readiness);
  monitoring.listen(config.monitoringPort, '::');
  await once(monitoring, 'listening');
  return {
    webhookPort: () => (webhook === undefined ? undefined : portOf(webhook)),
    monitoringPort: portOf(monitoring) ?? config.monitoringPort,
    stop: async () => {
      stopping.abort();
      await Promise.all([...(webhook === undefined ? [] : [closeServer(webhook)]), closeServer(monitoring)]);
      await tracing.stop();
    },
  };
}
