import type { DataPlane } from '../data-plane.ts';
import { waitWithOnePoll } from '../overload/one-poll.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { DataThreads } from './data-threads.ts';
import { clusterRows, collectUpstreams } from './rows.ts';

/** When it sends requests of its own, which its readiness waits for. */
type WarmUpAt =
  /** A pod waits for its sidecar anyway. */
  | { readonly before: () => Promise<void> }
  /** Who starts a proxy by hand gets one that listens at once. `isQuiet`: nobody has connected yet. */
  | { readonly after: (isQuiet: () => boolean) => Promise<void> };

/** One thread for everything: nothing is sent, copied or shared. */
export function localThread(dataPlane: DataPlane, telemetry: Telemetry, warmUp: WarmUpAt): DataThreads {
  const { listeners, clusters, protection } = dataPlane;
  collectUpstreams(telemetry.metrics, clusters);
  return {
    async start() {
      waitWithOnePoll();
      if ('before' in warmUp) await warmUp.before();
      const started = await listeners.start();
      if ('after' in warmUp && started.ok) {
        await warmUp.after(() => listeners.stats().every(({ connections }) => connections === 0));
      }
      return started;
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
    quotas: async () => protection.limits.takeDemand(),
    grant: (grants) => protection.grant(grants),
    decisions: async () => telemetry.recorder.decisions.take(),
    counters: async () => telemetry.metrics.counters(),
  };
}
