import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { EndpointAssignment } from '@weft/policies/model/cluster';
import type { Recorder } from '../telemetry/record.ts';
import type { Replicas } from '../xds/client.ts';
import { EndpointFiles } from './endpoint-files.ts';
import type { Bootstrap } from './load.ts';
import { noIdentity } from './no-identity.ts';

/** The endpoints of clusters of type EDS, which change while the bootstrap does not. */
export interface EndpointDiscovery {
  /** All that are known, each under the name of its service. */
  assignments(): readonly EndpointAssignment[];
  /** Tells of what changes from now on; resolves when the listeners need not wait any more. */
  follow(replicas: Replicas): Promise<void>;
  close(): void;
}

interface Ports {
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (line: string) => void;
}

/** Files are read at once. What asks servers is loaded where one is named: few bootstraps do. */
export async function discoverEndpoints(bootstrap: Bootstrap, ports: Ports): Promise<EndpointDiscovery> {
  const { recorder, clock, prng, log } = ports;
  const count = (event: string): void => recorder.count(event);
  const files = new EndpointFiles(bootstrap.clusters, { clock, log, count });
  if (!bootstrap.clusters.some(({ discovery }) => discovery.kind === 'eds' && discovery.source?.kind === 'server')) {
    return files;
  }
  const [{ EndpointServers }, { createDial }] = await Promise.all([
    import('./endpoint-servers.ts'),
    import('../net/dial.ts'),
  ]);
  const dial = createDial({ certificates: noIdentity, clock, recorder });
  const servers = new EndpointServers(bootstrap, { dial, clock, prng, log, count });
  return {
    assignments: () => [...files.assignments(), ...servers.assignments()],
    async follow(replicas) {
      await Promise.all([files.follow(replicas), servers.follow(replicas)]);
    },
    close() {
      files.close();
      servers.close();
    },
  };
}
