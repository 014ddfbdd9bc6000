import { formatSpiffeId, parseTrustDomain, type SpiffeId } from '@weft/policies/identity/spiffe-id';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { ScrapeTarget } from './admin/health-server.ts';
import { type Probes, parseProbes } from './admin/probes.ts';

/** Everything that the environment says; read once, here. */
export interface SidecarConfig {
  readonly pod: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly ips: readonly string[];
  };
  readonly spiffeId: SpiffeId;
  readonly clusterDomain: string;
  /** host:port of xDS and CA. */
  readonly controlPlane: string;
  readonly stateDir: string;
  /** For a process outside a pod, whose state may be on a disk. */
  readonly stateOnDisk: boolean;
  readonly trustFile: string;
  readonly tokenFile: string;
  readonly probes: Probes;
  readonly scrape: ScrapeTarget | undefined;
  readonly graceMs: number;
  readonly healthHost: string;
  readonly healthPort: number;
  /** Data threads; 1: the one thread does everything. */
  readonly concurrency: number;
  /** Unix socket of the SPIFFE Workload API for the pod's own programs; undefined: not served. */
  readonly workloadApi: string | undefined;
  /** Loopback port of the admin interface; undefined: Unix socket only. */
  readonly adminPort: number | undefined;
}

/** Beyond, threads only take memory and time from each other. */
const CONCURRENCY_MAX = 64;
const GRACE_SECONDS_DEFAULT = 30;

/** Collects every problem, so that a broken pod is understood at the first look. */
export function parseConfig(
  env: Readonly<Record<string, string | undefined>>,
): Result<SidecarConfig, readonly string[]> {
  const problems: string[] = [];
  const required = (name: string): string => {
    const value = env[name] ?? '';
    if (value === '') problems.push(`${name} is not set; the injector sets it from the pod`);
    return value;
  };
  const number = (name: string, fallback: number, max: number): number => {
    const text = env[name];
    if (text === undefined || text === '') return fallback;
    const value = Number(text);
    if (Number.isInteger(value) && value >= 0 && value <= max) return value;
    problems.push(`${name} is "${text}", must be a whole number from 0 to ${max}`);
    return fallback;
  };
  const namespace = required('POD_NAMESPACE');
  const trustDomain = parseTrustDomain(env['WEFT_TRUST_DOMAIN'] ?? 'cluster.local');
  if (!trustDomain.ok) problems.push(`WEFT_TRUST_DOMAIN: ${trustDomain.error}`);
  const probes = parseProbes(env['WEFT_PROBES'] ?? '');
  if (!probes.ok) problems.push(probes.error);
  const scrape = parseScrape(env['WEFT_SCRAPE'] ?? '');
  if (!scrape.ok) problems.push(scrape.error);
  const serviceAccount = required('SERVICE_ACCOUNT');
  const ips = required('POD_IPS')
    .split(',')
    .filter((ip) => ip !== '');
  const concurrency = parseConcurrency(env['WEFT_CONCURRENCY']);
  if (!concurrency.ok) problems.push(`WEFT_CONCURRENCY ${concurrency.error}`);
  const adminPort = number('WEFT_ADMIN_PORT', 0, 65_535);
  const config = {
    pod: { name: required('POD_NAME'), namespace, uid: required('POD_UID'), ips },
    clusterDomain: env['WEFT_CLUSTER_DOMAIN'] ?? 'cluster.local',
    controlPlane: required('WEFT_CONTROL_PLANE'),
    stateDir: env['WEFT_STATE_DIR'] ?? '/var/run/weft/state',
    stateOnDisk: env['WEFT_STATE_ON_DISK'] === 'true',
    trustFile: env['WEFT_TRUST_FILE'] ?? '/var/run/weft/trust/root-cert.pem',
    tokenFile: env['WEFT_TOKEN_FILE'] ?? '/var/run/weft/token/token',
    graceMs: number('WEFT_GRACE_SECONDS', GRACE_SECONDS_DEFAULT, 86_400) * 1_000,
    healthHost: '::',
    healthPort: number('WEFT_HEALTH_PORT', 15_020, 65_535),
    workloadApi: env['WEFT_WORKLOAD_API'] === '' ? undefined : env['WEFT_WORKLOAD_API'],
    adminPort: adminPort === 0 ? undefined : adminPort,
  };
  if (problems.length > 0 || !trustDomain.ok || !probes.ok || !scrape.ok || !concurrency.ok) return err(problems);
  return ok({
    ...config,
    concurrency: concurrency.value,
    spiffeId: formatSpiffeId({ trustDomain: trustDomain.value, namespace, serviceAccount }),
    probes: probes.value,
    scrape: scrape.value,
  });
}

/** Number of data threads; 1 where nothing is said. */
export function parseConcurrency(text: string | undefined): Result<number, string> {
  if (text === undefined || text === '') return ok(1);
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= CONCURRENCY_MAX) return ok(value);
  return err(`is "${text}", must be a whole number from 1 to ${CONCURRENCY_MAX}`);
}

function parseScrape(json: string): Result<ScrapeTarget | undefined, string> {
  if (json === '') return ok(undefined);
  try {
    const { port, path } = JSON.parse(json) as { readonly port?: unknown; readonly path?: unknown };
    if (typeof port === 'number' && typeof path === 'string') return ok({ port, path });
  } catch {
    // Said below, as for every other shape that is not expected.
  }
  return err('WEFT_SCRAPE is not {"port": number, "path": string}');
}
