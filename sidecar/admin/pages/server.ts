import type { ListenerStats } from '../../listener/manager.ts';
import { hostPort } from '../../net/connection-record.ts';

export type ServerState = 'PRE_INITIALIZING' | 'LIVE' | 'DRAINING';

interface ServerFacts {
  readonly version: string;
  readonly state: ServerState;
  readonly uptimeMs: number;
  readonly node: { readonly id: string; readonly cluster: string };
  readonly concurrency: number;
}

export function serverInfo({ version, state, uptimeMs, node, concurrency }: ServerFacts): unknown {
  const uptime = `${Math.floor(uptimeMs / 1_000)}s`;
  return {
    version,
    state,
    uptime_current_epoch: uptime,
    uptime_all_epochs: uptime,
    hot_restart_version: 'disabled',
    command_line_options: { concurrency, mode: 'Serve' },
    node: { id: node.id, cluster: node.cluster, user_agent_name: 'weft' },
  };
}

export const listenersText = (listeners: readonly ListenerStats[]): string =>
  listeners
    .flatMap(({ name, addresses }) => addresses.map(({ ip, port }) => `${name}::${hostPort(ip, port)}\n`))
    .join('');

export const listenersJson = (listeners: readonly ListenerStats[]): unknown => ({
  listener_statuses: listeners.map(({ name, addresses: [first, ...others] }) => ({
    name,
    ...(first === undefined ? {} : { local_address: socketAddress(first) }),
    ...(others.length === 0 ? {} : { additional_local_addresses: others.map(socketAddress) }),
  })),
});

const socketAddress = ({ ip, port }: { readonly ip: string; readonly port: number }): unknown => ({
  socket_address: { address: ip, port_value: port },
});

/** Envoy's names, as far as a heap of V8 has the same. */
export function memory({ heapUsed, heapTotal, rss, external }: NodeJS.MemoryUsage): unknown {
  return {
    allocated: String(heapUsed + external),
    heap_size: String(heapTotal),
    pageheap_unmapped: '0',
    pageheap_free: String(Math.max(0, heapTotal - heapUsed)),
    total_thread_cache: '0',
    total_physical_bytes: String(rss),
  };
}
