/** The parts that every control plane has, with or without Kubernetes: port 15012 and monitoring. */
import { systemClock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import { Authenticator, type Caller, type TokenVerifier } from './auth/caller.ts';
import { CachedTokenVerifier } from './auth/token-cache.ts';
import { checkCaller } from './auth/workload.ts';
import type { CertificateAuthority } from './ca/certificate-authority.ts';
import type { JwtKeys } from './ca/jwt-keys.ts';
import { ServingCertificate } from './ca/serving.ts';
import { certificateTtlMs } from './ca/ttl.ts';
import type { Config } from './config.ts';
import { Decisions } from './decisions/decisions.ts';
import type { Joins } from './join/joins.ts';
import type { MeshControl } from './mesh.ts';
import { connectionFamilies } from './monitoring/connection-families.ts';
import { meshFamilies } from './monitoring/families.ts';
import { type MetricFamily, renderMetrics } from './monitoring/metrics.ts';
import type { OperatorCheck } from './monitoring/operators.ts';
import { type MonitoringServer, startMonitoring } from './monitoring/server.ts';
import { syncReport } from './monitoring/sync.ts';
import { Quotas } from './quota/quotas.ts';
import type { CertificateCounters } from './rpc/certificates.ts';
import { type ConnectionCounters, ConnectionGate } from './rpc/connection-gate.ts';
import { MeshServerCredentials } from './rpc/credentials.ts';
import { IssueLimits } from './rpc/issue-limits.ts';
import { type RefusalCounters, Refusals } from './rpc/refusals.ts';
import { startRpcServer } from './rpc/server.ts';
import { trustAliases } from './translate/trust.ts';

const connectionAgeMsMax = 30 * 60_000;
const stopGraceMs = 3_000;

export interface MonitorParts {
  readonly config: Config;
  readonly mesh: MeshControl;
  /** What is still missing before traffic may come; undefined when ready. */
  readonly missing: () => string | undefined;
  readonly moreMetrics: () => readonly MetricFamily[];
  readonly isOperator: OperatorCheck;
}

export interface Monitored extends MonitoringServer {
  readonly certificates: CertificateCounters;
  readonly refusals: RefusalCounters;
  readonly connections: ConnectionCounters;
  readonly decisions: Decisions;
}

/** Comes first: a control plane that waits for something has to say for what. */
export async function monitor({ config, mesh, missing, moreMetrics, isOperator }: MonitorParts): Promise<Monitored> {
  const certificates: CertificateCounters = { signed: 0, refused: 0, jwtsSigned: 0, jwtsRefused: 0 };
  const refusals: RefusalCounters = { refused: 0, unlogged: 0 };
  const connections: ConnectionCounters = { open: 0, refusedTotal: 0, refusedAddress: 0 };
  const decisions = new Decisions(mesh.state, systemClock);
  mesh.plaintextCallers = (workload) => decisions.plaintextCallers(workload);
  const server = await startMonitoring(config.monitoring, {
    metrics: () =>
      renderMetrics([
        ...meshFamilies(mesh, certificates, refusals),
        ...connectionFamilies(connections),
        ...moreMetrics(),
      ]),
    missing,
    isOperator,
    sync: () => syncReport(mesh.hub),
    flows: (sinceUnixMs, namespace) => decisions.answer(sinceUnixMs, namespace),
  });
  return { ...server, certificates, refusals, connections, decisions };
}

export interface ServeParts {
  readonly config: Config;
  readonly mesh: MeshControl;
  readonly authority: CertificateAuthority;
  readonly tokens: TokenVerifier;
  /** Undefined where nobody can join by token. */
  readonly joins?: Joins | undefined;
  readonly jwtKeys: JwtKeys;
  readonly log: Log;
  readonly monitored: Monitored;
}

export interface Serving {
  readonly xdsPort: number;
  readonly monitoringPort: number;
  readonly certificate: ServingCertificate;
  stop(): Promise<void>;
}

/** Names under which the control plane is reached; `localhost` is for static runs and port forwards. */
export function servingNames(config: Config): string[] {
  const service = `weft-control-plane.${config.meshNamespace}`;
  return [`${service}.svc`, `${service}.svc.${config.clusterDomain}`, service, 'weft-control-plane', 'localhost'];
}

export async function serve(parts: ServeParts): Promise<Serving> {
  const { config, mesh, authority, log, monitored } = parts;
  const clock = systemClock;
  mesh.trust.follow(authority);
  const certificate = await ServingCertificate.create(authority, servingNames(config), clock);
  const authenticator = new Authenticator(new CachedTokenVerifier(parts.tokens, clock), config.trustDomain, clock, {
    aliases: () => trustAliases(mesh.context),
    refusal: (certificate) => mesh.trust.refusal(certificate),
  });
  const standing = (caller: Caller) => checkCaller({ state: mesh.state, clock, joins: parts.joins }, caller);
  const refusals = new Refusals((event, fields) => log.warn(event, fields), clock, monitored.refusals);
  const rpc = await startRpcServer(
    {
      address: config.xds,
      gate: new ConnectionGate(
        config.connections,
        monitored.connections,
        () => clock.nowMs(),
        (event, fields) => log.warn(event, fields),
      ),
      credentials: new MeshServerCredentials(certificate, authority),
      requestBytesMax: mesh.hub.limits.requestBytesMax,
      connectionAgeMsMax,
    },
    {
      hub: mesh.hub,
      state: mesh.state,
      authenticator,
      checkCaller: standing,
      refusals,
    },
    {
      authority,
      authenticator,
      clock,
      ttlMs: () => certificateTtlMs(mesh.state.mesh),
      checkCaller: standing,
      joins: parts.joins,
      jwtKeys: parts.jwtKeys,
      refetchKeys: async (trustDomain) => mesh.trust.refetch?.(trustDomain),
      federatedKeys: () => mesh.trust.federated.map(({ trustDomain, jwks }) => ({ trustDomain, jwks })),
      trust: () => [{ trustDomain: config.trustDomain, anchorsPem: mesh.trust.ownAnchorsPem }, ...mesh.trust.federated],
      trustDomain: config.trustDomain,
      revoked: (certificate) => mesh.trust.refusal(certificate),
      audit: (event, fields) => log.info(event, fields),
      counters: monitored.certificates,
      refusals,
      limits: new IssueLimits(clock),
    },
    { quotas: new Quotas(mesh.state, clock), state: mesh.state, authenticator, clock, refusals },
    { decisions: monitored.decisions, state: mesh.state, authenticator, clock, refusals },
  );
  return {
    xdsPort: rpc.port,
    monitoringPort: monitored.port,
    certificate,
    stop: async () => {
      certificate.stop();
      mesh.stop();
      await Promise.all([rpc.stop(stopGraceMs), monitored.stop()]);
    },
  };
}
