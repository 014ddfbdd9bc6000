/** Settings from environment and flags, parsed once. */
import { parseArgs } from 'node:util';
import { parseTrustDomain, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { type CaSettings, caUsage, parseCaSettings } from './ca/settings.ts';
import type { ConnectionLimits } from './rpc/connection-gate.ts';

export const usage = `Usage: weft-control-plane [options]

Without --static it runs in a cluster, as the pod named by POD_NAME and POD_NAMESPACE.

  --static <file>        Kubernetes objects in YAML instead of a Kubernetes API; read again when the file changes
  --tokens <file>        with --static: who may come with which token (YAML, list "tokens")
  --ca-dir <dir>         with --static: where ca.crt and ca.key are kept; without it they end with the process
  --xds <address>        xDS and certificates, TLS (default [::]:15012)
  --webhook <address>    admission webhook, TLS (default [::]:15017; not with --static)
  --monitoring <address> metrics, health, debug (default [::]:15014)
  --bundle <address>     our SPIFFE bundle for other trust domains, HTTPS (default: not served; usual is [::]:8443)
  --help

Environment: POD_NAME, POD_NAMESPACE, WEFT_TRUST_DOMAIN (cluster.local), WEFT_CLUSTER_DOMAIN (cluster.local),
WEFT_MESH_NAMESPACE (POD_NAMESPACE), WEFT_TERMINATION_DELAY_MS (0), KUBECONFIG (outside a cluster),
WEFT_CONNECTIONS_MAX (12000) and WEFT_CONNECTIONS_PER_ADDRESS_MAX (1000; of one address, twice as many of an IPv6 /64) on the xDS port,
OTEL_EXPORTER_OTLP_ENDPOINT (own traces).
Certificate authority: ${caUsage}.
`;

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface StaticSource {
  readonly objectsFile: string;
  readonly tokensFile: string | undefined;
  readonly caDir: string | undefined;
}

export interface Config {
  readonly podName: string;
  readonly podNamespace: string;
  readonly trustDomain: TrustDomain;
  readonly clusterDomain: string;
  readonly meshNamespace: string;
  readonly static: StaticSource | undefined;
  readonly xds: ListenAddress;
  /** Open at one time on that port. */
  readonly connections: ConnectionLimits;
  readonly webhook: ListenAddress;
  readonly monitoring: ListenAddress;
  /** Where our bundle is served to other trust domains; undefined: nowhere. */
  readonly bundle: ListenAddress | undefined;
  readonly tracing: boolean;
  readonly ca: CaSettings;
  /** How long everything is still served after the end has been asked for: who is to go elsewhere hears of it late. */
  readonly terminationDelayMs: number;
}

/** A sidecar has its stream open for as long as it runs. */
const idleMsMax = 60_000;

type Environment = Readonly<Record<string, string | undefined>>;

function parseAddress(name: string, text: string): Result<ListenAddress, string> {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text) ?? [];
  const number = Number(port);
  if (port === undefined || number > 65_535) return err(`${name}: "${text}" is not <host>:<port> or [<IPv6>]:<port>`);
  return ok({ host: bracketed ?? (plain === '' || plain === undefined ? '::' : plain), port: number });
}

function parseCount(name: string, env: Environment, otherwise: number): Result<number, string> {
  const text = env[name] ?? String(otherwise);
  return /^[1-9][0-9]{0,6}$/.test(text)
    ? ok(Number(text))
    : err(`${name}: "${text}" is not a number from 1 to 9999999`);
}

export function parseConfig(args: readonly string[], env: Environment): Result<Config | 'help', string> {
  let values: Readonly<Record<string, string | boolean | undefined>>;
  try {
    const text = { type: 'string' } as const;
    const options = {
      static: text,
      tokens: text,
      'ca-dir': text,
      xds: text,
      webhook: text,
      monitoring: text,
      bundle: text,
    };
    values = parseArgs({ args: [...args], options: { ...options, help: { type: 'boolean' } } }).values;
  } catch (error) {
    return err(error instanceof Error ? error.message : 'wrong arguments');
  }
  if (values['help'] === true) return ok('help');
  const flag = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined);
  const trustDomain = parseTrustDomain(env['WEFT_TRUST_DOMAIN'] ?? 'cluster.local');
  if (!trustDomain.ok) return err(`WEFT_TRUST_DOMAIN: ${trustDomain.error}`);
  const xds = parseAddress('--xds', flag('xds') ?? env['WEFT_XDS_ADDRESS'] ?? '[::]:15012');
  if (!xds.ok) return xds;
  const webhook = parseAddress('--webhook', flag('webhook') ?? env['WEFT_WEBHOOK_ADDRESS'] ?? '[::]:15017');
  if (!webhook.ok) return webhook;
  const monitoring = parseAddress('--monitoring', flag('monitoring') ?? env['WEFT_MONITORING_ADDRESS'] ?? '[::]:15014');
  if (!monitoring.ok) return monitoring;
  const bundleText = flag('bundle') ?? env['WEFT_BUNDLE_ADDRESS'] ?? '';
  const bundle = bundleText === '' ? undefined : parseAddress('--bundle', bundleText);
  if (bundle?.ok === false) return bundle;
  const objectsFile = flag('static');
  if (objectsFile === undefined && (flag('tokens') ?? flag('ca-dir')) !== undefined) {
    return err('--tokens and --ca-dir go with --static');
  }
  const delay = env['WEFT_TERMINATION_DELAY_MS'] ?? '0';
  if (!/^[0-9]{1,5}$/.test(delay))
    return err(`WEFT_TERMINATION_DELAY_MS: "${delay}" is not a number of at most five digits`);
  const connectionsMax = parseCount('WEFT_CONNECTIONS_MAX', env, 12_000);
  if (!connectionsMax.ok) return connectionsMax;
  const perAddress = parseCount('WEFT_CONNECTIONS_PER_ADDRESS_MAX', env, 1_000);
  if (!perAddress.ok) return perAddress;
  const ca = parseCaSettings(env);
  if (!ca.ok) return ca;
  const podNamespace = env['POD_NAMESPACE'] ?? 'weft-system';
  return ok({
    podName: env['POD_NAME'] ?? 'weft-control-plane',
    podNamespace,
    trustDomain: trustDomain.value,
    clusterDomain: env['WEFT_CLUSTER_DOMAIN'] ?? 'cluster.local',
    meshNamespace: env['WEFT_MESH_NAMESPACE'] ?? podNamespace,
    static: objectsFile === undefined ? undefined : { objectsFile, tokensFile: flag('tokens'), caDir: flag('ca-dir') },
    xds: xds.value,
    connections: { connectionsMax: connectionsMax.value, connectionsPerAddressMax: perAddress.value, idleMsMax },
    webhook: webhook.value,
    monitoring: monitoring.value,
    bundle: bundle?.value,
    terminationDelayMs: Number(delay),
    ca: ca.value,
    tracing: (env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '') !== '',
  });
}
