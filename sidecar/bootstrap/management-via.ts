import { lookup } from 'node:dns';
import { type Cluster, plainEndpoint } from '@weft/policies/model/cluster';
import { upstreamSecurity } from '../cluster/security.ts';
import type { Connected, Via } from '../grpc/channel.ts';
import type { Dial, UpstreamSecurity } from '../net/connection.ts';

/**
 * The way to a cluster of the bootstrap that serves xDS, STATIC or STRICT_DNS: its endpoints take turns, one a connection,
 * with the TLS of the cluster.
 */
export function viaCluster(cluster: Cluster, authority: string, dial: Dial): Via {
  const security = securityOf(cluster);
  const targets = targetsOf(cluster);
  let turn = 0;
  return {
    name: `cluster ${cluster.name}`,
    authority: authority === '' ? cluster.name : authority,
    scheme: security.kind === 'plaintext' ? 'http' : 'https',
    connect(done) {
      const connecting = new Connecting(cluster, security, dial, done);
      connecting.start(targets[turn++ % targets.length]);
      return () => connecting.cancel();
    },
  };
}

interface Target {
  readonly host: string;
  readonly port: number;
}

function targetsOf({ discovery }: Cluster): readonly Target[] {
  if (discovery.kind === 'strict-dns') return discovery.hosts;
  if (discovery.kind !== 'static') return [];
  return discovery.assignment.endpoints.map(({ address }) => ({ host: address.ip, port: address.port }));
}

/** As Envoy does, ALPN says what the cluster speaks where nothing else is said. */
function securityOf(cluster: Cluster): UpstreamSecurity {
  const security = upstreamSecurity(cluster, plainEndpoint({ ip: '', port: 0 }), 'http');
  if (security.kind !== 'tls' || security.tls.alpn.length > 0) return security;
  return { kind: 'tls', tls: { ...security.tls, alpn: ['h2'] } };
}

class Connecting {
  private readonly cluster: Cluster;
  private readonly security: UpstreamSecurity;
  private readonly dial: Dial;
  private readonly done: (result: Connected) => void;
  private cancelled = false;
  private cancelDial: () => void = () => undefined;

  constructor(cluster: Cluster, security: UpstreamSecurity, dial: Dial, done: (result: Connected) => void) {
    this.cluster = cluster;
    this.security = security;
    this.dial = dial;
    this.done = done;
  }

  start(target: Target | undefined): void {
    const { name } = this.cluster;
    if (target === undefined) {
      process.nextTick(() => this.finish({ error: `cluster ${name} has no endpoint` }));
      return;
    }
    // An address comes back as it is, without a server being asked.
    lookup(target.host, (error, ip) => {
      if (error !== null) this.finish({ error: `cluster ${name}: ${error.message}` });
      else if (!this.cancelled) this.dialTo(ip, target.port);
    });
  }

  cancel(): void {
    this.cancelled = true;
    this.cancelDial();
  }

  private dialTo(ip: string, port: number): void {
    const { cluster, security } = this;
    const request = { endpoint: { address: { ip, port } }, security, timeoutMs: cluster.connectTimeoutMs };
    const { cancel } = this.dial(request, (result) => {
      this.cancelDial = () => undefined;
      this.finish('transport' in result ? result : { error: `cluster ${cluster.name}: ${result.error.detail}` });
    });
    this.cancelDial = cancel;
  }

  private finish(result: Connected): void {
    if (!this.cancelled) this.done(result);
  }
}
