import { type Cluster, plainEndpoint } from '@weft/policies/model/cluster';
import { chosenAddresses } from '../cluster/dns-addresses.ts';
import { resolveLocally } from '../cluster/resolve-locally.ts';
import { upstreamSecurity } from '../cluster/security.ts';
import type { ResolveHost } from '../cluster/strict-dns.ts';
import type { Connected, Via } from '../grpc/channel.ts';
import type { Dial, UpstreamSecurity } from '../net/connection.ts';

/**
 * The way to a cluster of the bootstrap that serves xDS, STATIC or STRICT_DNS: its endpoints take turns, one a connection,
 * and so do the addresses of a name, with the TLS of the cluster.
 */
export function viaCluster(
  cluster: Cluster,
  authority: string,
  dial: Dial,
  resolve: ResolveHost = resolveLocally,
): Via {
  const security = securityOf(cluster);
  const targets = targetsOf(cluster);
  const ports = { dial, resolve };
  let turn = 0;
  return {
    name: `cluster ${cluster.name}`,
    authority: authority === '' ? cluster.name : authority,
    scheme: security.kind === 'plaintext' ? 'http' : 'https',
    connect(done) {
      const connecting = new Connecting(cluster, security, ports, done);
      const round = Math.floor(turn / targets.length);
      connecting.start(targets[turn++ % targets.length], round);
      return () => connecting.cancel();
    },
  };
}

interface Ports {
  readonly dial: Dial;
  readonly resolve: ResolveHost;
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
  private readonly ports: Ports;
  private readonly done: (result: Connected) => void;
  private cancelled = false;
  private cancelDial: () => void = () => undefined;

  constructor(cluster: Cluster, security: UpstreamSecurity, ports: Ports, done: (result: Connected) => void) {
    this.cluster = cluster;
    this.security = security;
    this.ports = ports;
    this.done = done;
  }

  /** `round`: how often all targets had their turn. */
  start(target: Target | undefined, round: number): void {
    const { name, discovery } = this.cluster;
    if (target === undefined) {
      process.nextTick(() => this.finish({ error: `cluster ${name} has no endpoint` }));
      return;
    }
    this.ports.resolve(target.host, (result) => {
      if (this.cancelled) return;
      if ('error' in result) {
        this.finish({ error: `cluster ${name}: ${result.error}` });
        return;
      }
      const ips = chosenAddresses(result.ips, discovery.kind === 'strict-dns' ? discovery : {});
      const ip = ips[round % ips.length];
      if (ip === undefined)
        this.finish({ error: `cluster ${name}: ${target.host} has no address of the wanted family` });
      else this.dialTo(ip, target.port);
    });
  }

  cancel(): void {
    this.cancelled = true;
    this.cancelDial();
  }

  private dialTo(ip: string, port: number): void {
    const { cluster, security } = this;
    const request = { endpoint: { address: { ip, port } }, security, timeoutMs: cluster.connectTimeoutMs };
    const { cancel } = this.ports.dial(request, (result) => {
      this.cancelDial = () => undefined;
      this.finish('transport' in result ? result : { error: `cluster ${cluster.name}: ${result.error.detail}` });
    });
    this.cancelDial = cancel;
  }

  private finish(result: Connected): void {
    if (!this.cancelled) this.done(result);
  }
}
