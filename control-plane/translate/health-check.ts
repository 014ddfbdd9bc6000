import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { Cluster } from '@weft/policies/model/cluster';
import type { HealthProbe } from '@weft/policies/model/health-check';
import type { MergedPolicy } from './policy.ts';

type Policy = NonNullable<MergedPolicy['healthChecks']>;
/** What is asked how it is. */
type Checked = Pick<Cluster, 'discovery' | 'protocol' | 'service'>;

export function healthCheckOf({ healthChecks: policy }: MergedPolicy, own: Checked): Pick<Cluster, 'healthCheck'> {
  const { kind } = own.discovery;
  // What a request names is not known before it comes.
  if (policy === undefined || kind === 'original-dst' || kind === 'dynamic') return {};
  const intervalMs = acceptedDurationMs(policy.interval);
  const noTrafficIntervalMs = acceptedDurationMs(policy.noTrafficInterval);
  return {
    healthCheck: {
      probe: probeOf(policy, nameOf(own), own.protocol),
      timeoutMs: acceptedDurationMs(policy.timeout),
      intervalMs,
      initialJitterMs: 0,
      intervalJitterMs: acceptedDurationMs(policy.jitter),
      intervalJitterPercent: 0,
      unhealthyThreshold: policy.unhealthyThreshold,
      healthyThreshold: policy.healthyThreshold,
      port: policy.port ?? 0,
      reuseConnection: true,
      noTrafficIntervalMs,
      noTrafficHealthyIntervalMs: noTrafficIntervalMs,
      unhealthyIntervalMs: intervalMs,
      unhealthyEdgeIntervalMs: intervalMs,
      healthyEdgeIntervalMs: intervalMs,
      initially: policy.initially === 'Healthy' ? 'healthy' : 'failed',
    },
  };
}

const hexOf = ({ text, hex }: { readonly text?: string | undefined; readonly hex?: string | undefined }): string =>
  hex === undefined ? Buffer.from(text ?? '').toString('hex') : hex.toLowerCase();

function nameOf({ discovery, service }: Checked): string {
  const host = discovery.kind === 'strict-dns' ? discovery.hosts[0]?.host : undefined;
  return host ?? `${service?.name}.${service?.namespace}`;
}

function probeOf({ http, grpc, tcp }: Policy, name: string, protocol: Cluster['protocol']): HealthProbe {
  if (grpc !== undefined) {
    return { kind: 'grpc', service: grpc.service, authority: grpc.authority ?? name, metadata: [] };
  }
  if (tcp !== undefined) {
    return {
      kind: 'tcp',
      send: tcp.send === undefined ? '' : hexOf(tcp.send),
      receive: (tcp.receive ?? []).map(hexOf),
    };
  }
  return {
    kind: 'http',
    method: http?.method ?? 'GET',
    path: http?.path ?? '/',
    host: http?.host ?? name,
    headers: { set: http?.headers ?? [], add: [], remove: [] },
    http2: protocol === 'http2',
    expected: (http?.expectedStatuses ?? []).map(({ min, max }) => ({ start: min, end: max + 1 })),
    retriable: [],
  };
}
