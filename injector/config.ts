import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { parseEndpointList } from './redirect/options.ts';

/** The injector's settings, from the environment the chart gives it; parsed once, every problem named. */

export interface PodConfig {
  readonly sidecarImage: string;
  readonly initImage: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never' | undefined;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  /** `host:port` of xDS and CA. */
  readonly controlPlane: string;
  readonly revision: string;
  readonly version: string;
  /** The mesh's own namespace. */
  readonly systemNamespace: string;
  /** `address:port` list of API servers beside the Service that pods know by themselves. */
  readonly apiServers: string;
  /** A node component redirects, so that pods get no `weft-init`. */
  readonly redirectByNode: boolean;
  /** Data threads of sidecars whose pods say nothing of it, from the Mesh. */
  readonly concurrency?: number | undefined;
}

export interface InjectorConfig {
  readonly pod: PodConfig;
  readonly webhookPort: number;
  readonly monitoringPort: number;
  /** Service through which the API server calls; the certificate is for it. */
  readonly serviceName: string;
  /** Secret of the certificate, shared by the replicas. */
  readonly secretName: string;
  /** The MutatingWebhookConfiguration whose `caBundle` is kept right. */
  readonly webhookConfiguration: string;
  readonly otlpEndpoint: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const DNS_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;

class EnvironmentReader {
  readonly problems: string[] = [];
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  text(name: string, fallback: string | undefined, valid: (text: string) => boolean, what: string): string {
    const value = this.#env[name] ?? '';
    if (value === '' && fallback !== undefined) return fallback;
    if (value === '') this.problems.push(`${name} is not set; it is ${what}`);
    else if (!valid(value)) this.problems.push(`${name}: "${value}" is not ${what}`);
    return value;
  }

  port(name: string, fallback: number): number {
    const isPort = (text: string): boolean => /^[0-9]{1,5}$/.test(text) && Number(text) <= 65535;
    return Number(this.text(name, String(fallback), isPort, 'a port'));
  }
}

const isImage = (text: string): boolean => /^[^\s]{1,512}$/.test(text);
const isDnsName = (text: string): boolean => text.length <= 253 && DNS_NAME.test(text);
const isHostPort = (text: string): boolean => /^(\[[0-9a-fA-F:]+\]|[^\s:]+):[0-9]{1,5}$/.test(text);

export function parseConfig(env: Environment): Result<InjectorConfig, readonly string[]> {
  const reader = new EnvironmentReader(env);
  const pull = reader.text(
    'WEFT_IMAGE_PULL_POLICY',
    '',
    (text) => PULL_POLICIES.some((each) => each === text),
    `one of ${PULL_POLICIES.join(', ')}`,
  );
  const config: InjectorConfig = {
    pod: {
      sidecarImage: reader.text('WEFT_SIDECAR_IMAGE', undefined, isImage, 'the image of weft-proxy'),
      initImage: reader.text('WEFT_INIT_IMAGE', undefined, isImage, 'the image of weft-init'),
      imagePullPolicy: PULL_POLICIES.find((each) => each === pull),
      trustDomain: reader.text(
        'WEFT_TRUST_DOMAIN',
        'cluster.local',
        (text) => parseTrustDomain(text).ok,
        'a trust domain',
      ),
      clusterDomain: reader.text('WEFT_CLUSTER_DOMAIN', 'cluster.local', isDnsName, 'a DNS name'),
      controlPlane: reader.text(
        'WEFT_CONTROL_PLANE',
        'weft-control-plane.weft-system.svc:15012',
        isHostPort,
        'a host and port',
      ),
      revision: reader.text('WEFT_REVISION', 'default', isDnsName, 'a revision name'),
      version: reader.text('WEFT_VERSION', '0.1.0', isImage, 'a version'),
      systemNamespace: reader.text('POD_NAMESPACE', 'weft-system', isDnsName, 'a namespace'),
      apiServers: reader.text(
        'WEFT_API_SERVERS',
        '',
        (text) => parseEndpointList(text).ok,
        'a list of addresses and ports such as 10.0.0.1:443,[fd00::1]:443',
      ),
      redirectByNode:
        reader.text('WEFT_REDIRECT', 'init', (text) => text === 'init' || text === 'node', 'init or node') === 'node',
    },
    webhookPort: reader.port('WEFT_WEBHOOK_PORT', 15017),
    monitoringPort: reader.port('WEFT_MONITORING_PORT', 15014),
    serviceName: reader.text('WEFT_SERVICE_NAME', 'weft-injector', isDnsName, 'the name of a Service'),
    secretName: reader.text('WEFT_CERTIFICATE_SECRET', 'weft-injector-cert', isDnsName, 'the name of a Secret'),
    webhookConfiguration: reader.text(
      'WEFT_WEBHOOK_CONFIGURATION',
      'weft-injector',
      isDnsName,
      'the name of a MutatingWebhookConfiguration',
    ),
    otlpEndpoint: env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'],
  };
  return reader.problems.length === 0 ? ok(config) : err(reader.problems);
}
