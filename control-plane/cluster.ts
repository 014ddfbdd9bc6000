/** The control plane in a cluster: watches, writes status, admits, publishes the trust bundle. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';
import { OPERATOR_AUDIENCE } from '@weft/policies/kit/operator';
import { systemPrng } from '@weft/policies/kit/prng';
import { ok, type Result } from '@weft/policies/kit/result';
import { validateObject } from './admission/validate.ts';
import { startWebhook } from './admission/webhook.ts';
import { TokenReviewVerifier } from './auth/token-review.ts';
import { KubeCertificateRequests } from './ca/certificate-requests.ts';
import { authorityCondition } from './ca/condition.ts';
import { SecretJwtKeyStore } from './ca/jwt-key-stores.ts';
import { JwtKeys } from './ca/jwt-keys.ts';
import type { CaKeeper } from './ca/keeper.ts';
import { type OpenOptions, openKeeper } from './ca/open.ts';
import { SecretCaStore } from './ca/secret-store.ts';
import type { Config } from './config.ts';
import { HitWriter } from './decisions/writer.ts';
import { Joins } from './join/joins.ts';
import { KubeJoinRecords } from './join/kube-records.ts';
import { KeptKeys } from './jwks/kept.ts';
import { KubeClient, type KubeConfig, loadKubeConfig } from './kube/client.ts';
import { tellMeshEvent } from './kube/events.ts';
import { KeptMap } from './kube/kept-map.ts';
import { LeaderElection } from './kube/lease.ts';
import { ServedVersions } from './kube/resources.ts';
import { watchRevocations } from './kube/revocations.ts';
import { TrustPublisher } from './kube/trust.ts';
import { ClusterWatcher } from './kube/watcher.ts';
import { WebhookCaBundle } from './kube/webhook-ca.ts';
import { MeshControl } from './mesh.ts';
import { caFamilies } from './monitoring/ca-families.ts';
import { clusterFamilies } from './monitoring/cluster-families.ts';
import { joinFamilies } from './monitoring/join-families.ts';
import { operatorsBy } from './monitoring/operators.ts';
import { monitor, type Serving, serve } from './serve.ts';
import { StatusWriter } from './status/writer.ts';
import { startTracing } from './tracing.ts';
import { TrustServices } from './trust/services.ts';

const rootAttemptsMax = 60;
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
  const { meshNamespace, trustDomain } = config;
  const mesh = new MeshControl({
    meshNamespace,
    trustDomain,
    clock: systemClock,
    onFault: (resource, fault) => log.error('translation failed', { resource, reason: errorText(fault) }),
  });
  const leader = new LeaderElection({
    client,
    clock: systemClock,
    namespace: config.podNamespace,
    name: 'weft-control-plane',
    identity: `${config.podName}_${randomUUID()}`,
  });
  const isLeader = (): boolean => leader.isLeader;
  const served = new ServedVersions();
  let keeper: CaKeeper | undefined;
  const authorityNow = () => (keeper === undefined ? undefined : authorityCondition(keeper));
  const common = { client, served, clock: systemClock, log, mesh, isLeader };
  const status = new StatusWriter({ ...common, replica: config.podName, authority: authorityNow });
  const watcher = new ClusterWatcher({
    client,
    log,
    served,
    apply: (object) => mesh.apply(object),
    holds: (kind, key) => mesh.state.find(kind, key) !== undefined,
    remove: (kind, key) => {
      mesh.delete(kind, key);
      status.forget(kind, key);
    },
    observe: (kind, key, raw, invalid) => status.observe(kind, key, raw, invalid),
  });
  const joins = new Joins(new KubeJoinRecords(client, config.podNamespace), systemClock);
  let trusting: TrustServices | undefined;
  const theRoot = 'the root certificate (Secret weft-ca)';
  let waitingFor: string | undefined = theRoot;
  let notOpened: string | undefined;
  const operatorTokens = new TokenReviewVerifier(client, systemClock, OPERATOR_AUDIENCE);
  const monitored = await monitor({
    config,
    mesh,
    missing: () => waitingFor,
    isOperator: operatorsBy(operatorTokens, config.podNamespace, systemClock),
    moreMetrics: () => [
      ...clusterFamilies({ watcher, status, leader }),
      ...caFamilies(keeper, notOpened),
      ...joinFamilies(joins),
      ...(trusting?.families() ?? []),
    ],
  });
  const keptKeys = new KeptKeys({
    client,
    clock: systemClock,
    log,
    namespace: config.podNamespace,
    store: mesh.keySets,
    isLeader,
  });
  await keptKeys.load();
  watcher.start();
  const tracing = await startTracing(config.tracing);
  const opened = await openRoot(
    (reason) => {
      notOpened = reason;
      waitingFor = `${theRoot}: ${reason}`;
      // Nobody leads before there is a certificate, so that no status can say it.
      void tellMeshEvent(
        client,
        meshNamespace,
        { type: 'Warning', reason: 'NoAuthority', message: reason },
        Date.now(),
      );
    },
    {
      config,
      mesh,
      log,
      isLeader,
      store: new SecretCaStore(client, config.podNamespace),
      onReport: () => status.soon(),
      requests: (issuer) => new KubeCertificateRequests(client, config.podNamespace, issuer),
    },
  );
  if (!opened.ok) {
    watcher.stop();
    await Promise.all([monitored.stop(), tracing.stop()]);
    return opened;
  }
  keeper = opened.value;
  const { authority } = keeper;
  // Before everything is listed, an answer would say "there is no such thing" of what is only not read yet.
  for (let missing = watcher.missing(); missing.length > 0; missing = watcher.missing()) {
    waitingFor = `the first list of ${missing.join(', ')}`;
    await new Promise((resolve) => setTimeout(resolve, syncPollMs));
  }
  const trustServices = await TrustServices.start({
    mesh,
    authority,
    kept: new KeptMap(client, config.podNamespace, 'weft-federation'),
    isLeader,
    clock: systemClock,
    prng: systemPrng,
    log,
    onChange: () => status.soon(),
  });
  trusting = trustServices;
  let revocationsListed = false;
  const revocationWatch = watchRevocations({
    client,
    namespace: meshNamespace,
    log,
    onData: (data) => trustServices.revocations.take(data),
    onSynced: () => {
      revocationsListed = true;
    },
  });
  revocationWatch.start();
  while (!revocationsListed) {
    waitingFor = 'the first list of revocations';
    await new Promise((resolve) => setTimeout(resolve, syncPollMs));
  }
  const tokens = new TokenReviewVerifier(client, systemClock);
  const jwtKeys = new JwtKeys(new SecretJwtKeyStore(client, config.podNamespace), systemClock);
  jwtKeys.start((reason) => log.warn('keys for JWT-SVIDs not read', { reason }));
  const serving = await serve({ config, mesh, authority, tokens, joins, jwtKeys, log, monitored });
  status.serving();
  const hits = new HitWriter({
    client,
    served,
    clock: systemClock,
    log,
    state: mesh.state,
    hits: monitored.decisions.hits,
    isLeader,
  });
  hits.start();
  const webhook = await startWebhook({
    address: config.webhook,
    certificate: serving.certificate,
    validate: (kind, object) => validateObject(mesh.context, kind, object),
  });
  const namespaces = (): string[] => namespacesThatStay(mesh);
  const trust = new TrustPublisher({ client, clock: systemClock, log, own: authority, isLeader, namespaces });
  const webhookCa = new WebhookCaBundle(client, systemClock, log, authority);
  mesh.onNamespace(() => trust.checkAll());
  leader.onChange((leading) => {
    log.info(leading ? 'leading' : 'no longer leading');
    if (leading) void opened.value.look();
    trust.checkAll();
    status.soon();
    keptKeys.check();
    trustServices.leads();
  });
  mesh.onKeySets(() => keptKeys.check());
  joins.startSweeping(isLeader, (reason) => log.warn('join tokens not swept', { reason }));
  if (config.bundle !== undefined)
    await trustServices.serveBundle({
      address: config.bundle,
      trustDomain,
      namespace: config.podNamespace,
      jwtKeys,
    });
  trustServices.watchCertificates({
    problems: () => opened.value.problemsNow().map((one) => `${one.reason}: ${one.message}`),
    servingPem: () => serving.certificate.current.certificatePem,
    onVerdict: ({ status: state, reason, message }) => {
      status.soon();
      const type = state === 'True' ? 'Normal' : 'Warning';
      if (isLeader()) void tellMeshEvent(client, meshNamespace, { type, reason, message }, Date.now());
    },
  });
  leader.start();
  trust.start();
  webhookCa.start();
  opened.value.start();
  waitingFor = undefined;
  return ok({
    ...serving,
    webhookPort: webhook.port,
    mesh,
    stop: async () => {
      waitingFor = 'nothing: it is stopping';
      for (const part of [trust, webhookCa, status, hits, joins, jwtKeys, trustServices, revocationWatch, keptKeys])
        part.stop();
      await opened.value.stop();
      await leader.stop();
      await new Promise((resolve) => setTimeout(resolve, config.terminationDelayMs));
      watcher.stop();
      await Promise.all([serving.stop(), webhook.stop(), tracing.stop()]);
    },
  });
}

const namespacesThatStay = (mesh: MeshControl): string[] =>
  [...mesh.state.namespaces.values()]
    .filter((one) => one.metadata.deletionTimestamp === '')
    .map((one) => one.metadata.name);

/** The API server may still be starting, our rights may be on their way, or an issuer waits for somebody's approval. */
async function openRoot(onReason: (reason: string) => void, options: OpenOptions): Promise<Result<CaKeeper, string>> {
  const { source } = options.config.ca;
  let said: string | undefined;
  for (let attempt = 1; ; attempt += 1) {
    const opened = await openKeeper(options);
    if (opened.ok || (attempt === rootAttemptsMax && source !== 'cert-manager')) return opened;
    if (opened.error !== said) {
      options.log.warn('root certificate not available yet', { reason: opened.error, attempt });
      onReason(opened.error);
    }
    said = opened.error;
    await new Promise((resolve) => setTimeout(resolve, rootRetryMs));
  }
}
