import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { Cluster } from '@weft/policies/model/cluster';
import { defaultUpstreamConnections, type UpstreamConnections } from '@weft/policies/model/upstream-connections';
import type { MergedPolicy } from './policy.ts';

type Policy = NonNullable<MergedPolicy['connections']>;

/** `declared`: what the port says of itself. */
export function connectionsOf(
  { connections: policy }: MergedPolicy,
  declared: Cluster['protocol'],
): Pick<Cluster, 'protocol' | 'connections'> {
  const protocol = protocolOf(policy, declared);
  const settings = policy === undefined ? undefined : settingsOf(policy);
  return { protocol, ...(settings === undefined ? {} : { connections: settings }) };
}

function protocolOf(policy: Policy | undefined, declared: Cluster['protocol']): Cluster['protocol'] {
  switch (policy?.upstreamProtocol) {
    case 'HTTP1':
      return 'http1';
    case 'HTTP2':
      return 'http2';
    case 'Auto':
    case undefined:
      return declared;
  }
}

/** Undefined: all as without a policy. */
function settingsOf(policy: Policy): UpstreamConnections | undefined {
  const { maxConnectionDuration, maxConcurrentStreams, http2KeepAlive, tcpKeepAlive } = policy;
  const said = [maxConnectionDuration, maxConcurrentStreams, http2KeepAlive, tcpKeepAlive];
  if (said.every((one) => one === undefined)) return undefined;
  const defaults = defaultUpstreamConnections;
  return {
    ...defaults,
    durationMsMax: maxConnectionDuration === undefined ? 0 : acceptedDurationMs(maxConnectionDuration),
    concurrentStreamsMax: maxConcurrentStreams ?? defaults.concurrentStreamsMax,
    http2: {
      ...defaults.http2,
      keepAlive: http2KeepAlive && {
        intervalMs: acceptedDurationMs(http2KeepAlive.interval),
        timeoutMs: acceptedDurationMs(http2KeepAlive.timeout),
      },
    },
    tcpKeepAlive: tcpKeepAlive && {
      probesMax: tcpKeepAlive.probes,
      idleMs: wholeSeconds(tcpKeepAlive.idle),
      intervalMs: wholeSeconds(tcpKeepAlive.interval),
    },
  };
}

/** The kernel counts seconds. */
const wholeSeconds = (text: string): number => Math.ceil(acceptedDurationMs(text) / 1_000) * 1_000;
