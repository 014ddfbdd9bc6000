/** The control plane in a cluster: watches, writes status, admits, publishes the trust bundle. */
import { randomUUID } from 'node:crypto';
import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { validateObject } from '../admission/validate.ts';
import { startWebhook } from '../admission/webhook.ts';
import type { Authority } from '../ca/authority.ts';
import { openAuthority } from '../ca/root-store.ts';
import type { Config } from '../config.ts';
import { errorText, type Log } from '../log.ts';
import { MeshControl } from '../mesh.ts';
import { counter, gauge, type MetricFamily } from '../monitoring/metrics.ts';
import { type Serving, serve } from '../serve.ts';
import { startTracing } from '../tracing.ts';
import { KubeClient, loadKubeConfig } from './client.ts';
import { LeaderElection } from './lease.ts';
import { SecretRootStore } from './root-secret.ts';
import { StatusWriter } from './status-writer.ts';
import { TokenReviewVerifier } from './token-review.ts';
import { TrustPublisher } from './trust.ts';
import { ClusterWatcher } from './watcher.ts';
import { WebhookCaBundle } from './webhook-ca.ts';

const rootAttemptsMax = 30;
const rootRetryMs = 1_000;
const syncPollMs = 20;

export interface ClusterServing extends Serving {
  readonly webhookPort: number;
  readonly mesh: MeshControl;
}

export async function runInCluster(
  config: Config,
  log: Log,
  kubeConfig: KubeConfig = loadKubeConfig(process.env),
): Promise<Result<ClusterServing, string>> {
  const client = new KubeClient(kubeConfig);
  const authority = await openRoot(config, client, log);
  if (!authority.ok) return authority;
  const { trustBundlePem } = authority.value;
  const { meshNamespace, trustDomain } = config;
  const mesh = new MeshControl({ meshNamespace, trustDomain, clock: systemClock });
  const leader = new LeaderElection({
    client,
    clock: systemClock,
    namespace: config.podNamespace,
    name: 'weft-control-plane',
    identity: `${config.podName}_${randomUUID()}`,
    onChange: (leading) => {
      log.info(leading ? 'leading' : 'no longer leading');
      trust.checkAll();
      status.soon();
    },
  });
  const isLeader = (): boolean => leader.isLeader;
  const status = new StatusWriter({ client, clock: systemClock, log, mesh, isLeader });
  const namespaces = (): string[] =>
    [...mesh.state.namespaces.values()]
      .filter((one) => one.metadata.deletionTimestamp === '')
      .map((one) => one.metadata.name);
  const trust = new TrustPublisher({
    client,
    clock: systemClock,
    log,
    bundlePem: trustBundlePem,
    isLeader,
    namespaces,
  });
  const webhookCa = new WebhookCaBundle(client, systemClock, log, trustBundlePem);
  const watcher = new ClusterWatcher({ client, mesh, status, log });
  mesh.onNamespace(() => trust.checkAll());
  watcher.start();
  const tracing = await startTracing(config.tracing);
  try {
    // Before everything is listed, an answer would say "there is no such thing" of what is only not read yet.
    while (watcher.missing().length > 0) await new Promise((resolve) => setTimeout(resolve, syncPollMs));
    const serving = await serve({
      config,
      mesh,
      authority: authority.value,
      tokens: new TokenReviewVerifier(client, systemClock),
      log,
      missing: () => undefined,
      moreMetrics: () => clusterFamilies(watcher, status, trust, leader),
    });
    const webhook = await startWebhook({
      address: config.webhook,
      certificate: serving.certificate,
      validate: (kind, object) => validateObject(mesh.context, kind, object),
    });
    leader.start();
    trust.start();
    webhookCa.start();
    return ok({
      ...serving,
      webhookPort: webhook.port,
      mesh,
      stop: async () => {
        watcher.stop();
        trust.stop();
        webhookCa.stop();
        status.stop();
        await leader.stop();
        await Promise.all([serving.stop(), webhook.stop(), tracing.stop()]);
      },
    });
  } catch (error) {
    watcher.stop();
    return err(errorText(error));
  }
}

/** The API server may still be starting, or our rights may be on their way. */
async function openRoot(config: Config, client: KubeClient, log: Log): Promise<Result<Authority, string>> {
  const store = new SecretRootStore(client, config.podNamespace);
  for (let attempt = 1; ; attempt += 1) {
    const opened = await openAuthority(store, config.trustDomain, systemClock);
    if (opened.ok || attempt === rootAttemptsMax) return opened;
    log.warn('root certificate not available yet', { reason: opened.error, attempt });
    await new Promise((resolve) => setTimeout(resolve, rootRetryMs));
  }
}

function clusterFamilies(
  watcher: ClusterWatcher,
  status: StatusWriter,
  trust: TrustPublisher,
  leader: LeaderElection,
): MetricFamily[] {
  const { lists, watches, events, failures } = watcher.totals();
  return [
    gauge(
      'weft_control_plane_leader',
      'Whether this replica writes status and trust bundles.',
      leader.isLeader ? 1 : 0,
    ),
    counter('weft_control_plane_kube_lists_total', 'Lists of the Kubernetes API.', lists),
    counter('weft_control_plane_kube_watches_total', 'Watches of the Kubernetes API.', watches),
    counter('weft_control_plane_kube_events_total', 'Watch events.', events),
    counter('weft_control_plane_kube_failures_total', 'Lists and watches that failed.', failures),
    counter(
      'weft_control_plane_objects_refused_total',
      'Objects that came past admission and were not taken.',
      watcher.counters.invalid,
    ),
    counter(
      'weft_control_plane_status_writes_total',
      'Objects whose status was brought up to date.',
      status.queue.counters.done,
    ),
    counter('weft_control_plane_status_failures_total', 'Status writes that failed.', status.queue.counters.failed),
    counter(
      'weft_control_plane_trust_writes_total',
      'Namespaces whose trust bundle was brought up to date.',
      trust.queue.counters.done,
    ),
  ];
}
