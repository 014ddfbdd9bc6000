import type { MeshNames } from '../node/names.ts';

/** What the agent is told at start; nothing of it changes while it runs. */
export interface AgentSettings {
  readonly names: MeshNames;
  readonly clusterDomain: string;
  /** Folder of this project on the host; containers see it read-only. */
  readonly projectRoot: string;
  readonly logsRoot: string;
  readonly imagesFile: string;
  /** Unix socket of the resolver that forwards other names through the host's network. */
  readonly resolverSocket: string | undefined;
  readonly zone: string;
}

export function podsRoot(settings: AgentSettings): string {
  return `${settings.names.runDirectory}/pods`;
}
