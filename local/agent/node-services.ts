import type { AgentSources } from './agent.ts';
import type { AgentSettings } from './settings.ts';

/** What the node does for all pods: cluster DNS and cluster IPs. */
export async function startNodeServices(
  _settings: AgentSettings,
  _sources: AgentSources,
  _onError: (message: string) => void,
): Promise<{ close(): Promise<void> }> {
  return { close: async () => {} };
}
