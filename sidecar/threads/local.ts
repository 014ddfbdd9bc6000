import type { DataPlane } from '../data-plane.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { DataThreads } from './data-threads.ts';
import { clusterRows } from './rows.ts';

/** One thread for everything: nothing is sent, copied or shared. `beforeListening` warms it up. */
export function localThread(
  dataPlane: DataPlane,
  telemetry: Telemetry,
  beforeListening: () => Promise<unknown>,
): DataThreads {
  const { listeners, clusters } = dataPlane;
  return {
    async start() {
      await beforeListening();
      return listeners.start();
    },
    // The telemetry is the process's own, and configured as such.
    configure: () => undefined,
    retire: (listener) => listeners.retire(listener),
    drain: (timeoutMs) => listeners.drain(timeoutMs),
    async close() {
      listeners.close();
      clusters.close();
    },
    // The state that the path reads is the monitor's own.
    shed: () => undefined,
    metrics: async () => telemetry.metrics.render(),
    listeners: async () => listeners.stats(),
    clusters: async () => clusterRows(clusters),
    counters: async () => telemetry.metrics.counters(),
  };
}
