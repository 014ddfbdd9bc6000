/** The authority of this control plane: key source and store by its settings, time limits by the Mesh. */
import { systemClock } from '@weft/policies/kit/clock';
import type { Result } from '@weft/policies/kit/result';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { MeshControl } from '../mesh.ts';
import { FileKeySource, Pkcs11KeySource } from './file-sources.ts';
import { CaKeeper } from './keeper.ts';
import { type KeySource, StoreKeySource } from './source.ts';
import type { CaStore } from './store.ts';
import { announceMs, certificateTtlMs } from './ttl.ts';

export interface OpenOptions {
  readonly config: Config;
  readonly mesh: MeshControl;
  readonly log: Log;
  readonly store: CaStore;
  readonly isLeader: () => boolean;
  readonly onReport?: () => void;
}

export function openKeeper({
  config,
  mesh,
  log,
  store,
  isLeader,
  onReport,
}: OpenOptions): Promise<Result<CaKeeper, string>> {
  return CaKeeper.open({
    store,
    source: keySource(config),
    clock: systemClock,
    log,
    isLeader,
    ...(onReport === undefined ? {} : { onReport }),
    replica: config.podName,
    leafMsMax: () => certificateTtlMs(mesh.state.mesh),
    announceMs: () => announceMs(mesh.state.mesh),
  });
}

function keySource({ trustDomain, meshNamespace, ca }: Config): KeySource {
  const issued = { trustDomain, dnsName: `weft-control-plane.${meshNamespace}.svc` };
  const options = { clock: systemClock, issued };
  switch (ca.source) {
    case 'secret':
      return new StoreKeySource(trustDomain, options);
    case 'files':
      return new FileKeySource(ca.dir, options);
    case 'pkcs11':
      return new Pkcs11KeySource(ca.dir, ca.setup, options);
  }
}
