import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { type Endpoint, type EndpointAssignment, plainEndpoint } from '@weft/policies/model/cluster';
import type { Recorder } from '../telemetry/record.ts';
import { chosenAddresses } from './dns-addresses.ts';

/** Port to name resolution: all addresses of both families, canonical text; an error is counted, never thrown. */
export type ResolveHost = (
  host: string,
  done: (result: { readonly ips: readonly string[] } | { readonly error: string }) => void,
) => void;

/** Bounds what one name may bring. */
const ADDRESSES_MAX = 256;
/** A name server is not asked more often, whatever the configuration says. */
const REFRESH_MS_MIN = 1_000;

interface DnsHost {
  readonly host: string;
  readonly port: number;
}

/** Keeps a cluster's endpoints as DNS answers them (Envoy's STRICT_DNS). A failed refresh keeps the last answer. */
export class StrictDns {
  private readonly hosts: readonly DnsHost[];
  private readonly refreshMs: number;
  private readonly resolve: ResolveHost;
  private readonly clock: Clock;
  private readonly recorder: Recorder;
  private readonly update: (assignment: EndpointAssignment) => void;
  private readonly clusterName: string;
  private readonly rules: Parameters<typeof chosenAddresses>[1];
  private readonly answers = new Map<string, readonly string[]>();
  private outstanding = 0;
  private stopped = false;
  private cancelTimer: Cancel | undefined = undefined;

  constructor(
    clusterName: string,
    hosts: readonly DnsHost[],
    refreshMs: number,
    ports: { readonly resolve: ResolveHost; readonly clock: Clock; readonly recorder: Recorder },
    update: (assignment: EndpointAssignment) => void,
    rules: Parameters<typeof chosenAddresses>[1] = {},
  ) {
    this.clusterName = clusterName;
    this.hosts = hosts;
    this.refreshMs = Math.max(REFRESH_MS_MIN, refreshMs);
    this.resolve = ports.resolve;
    this.clock = ports.clock;
    this.recorder = ports.recorder;
    this.update = update;
    this.rules = rules;
  }

  start(): void {
    const names = new Set(this.hosts.map((entry) => entry.host));
    this.outstanding = names.size;
    for (const name of names) {
      this.resolve(name, (result) => {
        if (this.stopped) return;
        if ('ips' in result) this.answers.set(name, result.ips.slice(0, ADDRESSES_MAX));
        else this.recorder.count('cluster.dns.failed');
        this.outstanding--;
        if (this.outstanding === 0) this.finish();
      });
    }
    if (names.size === 0) this.finish();
  }

  stop(): void {
    this.stopped = true;
    this.cancelTimer?.();
  }

  private finish(): void {
    const endpoints: Endpoint[] = [];
    for (const { host, port } of this.hosts) {
      for (const ip of chosenAddresses(this.answers.get(host) ?? [], this.rules)) {
        endpoints.push({ ...plainEndpoint({ ip, port }), hostname: host });
      }
    }
    this.cancelTimer = this.clock.after(this.refreshMs, () => this.start());
    this.update({ clusterName: this.clusterName, endpoints });
  }
}
