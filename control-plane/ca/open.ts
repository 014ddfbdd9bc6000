/** The authority of this control plane: key source and store by its settings, time limits by the Mesh. */
import { systemClock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Config } from '../config.ts';
import type { MeshControl } from '../mesh.ts';
import { CertManagerKeySource } from './cert-manager.ts';
import type { CertificateRequests } from './certificate-requests.ts';
import { FileKeySource, Pkcs11KeySource } from './file-sources.ts';
import { CaKeeper } from './keeper.ts';
import type { IssuerSettings } from './settings.ts';
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
  /** Only where there is a Kubernetes API. */
  readonly requests?: (issuer: IssuerSettings) => CertificateRequests;
}

export async function openKeeper(options: OpenOptions): Promise<Result<CaKeeper, string>> {
  const { config, mesh, log, store, isLeader, onReport, requests } = options;
  const source = keySource(config, requests);
  if (!source.ok) return source;
  return CaKeeper.open({
    store,
    source: source.value,
    clock: systemClock,
    log,
    isLeader,
    ...(onReport === undefined ? {} : { onReport }),
    replica: config.podName,
    leafMsMax: () => certificateTtlMs(mesh.state.mesh),
    announceMs: () => announceMs(mesh.state.mesh),
    unheard: () => mesh.withoutTrust(),
  });
}

function keySource(
  { trustDomain, meshNamespace, ca }: Config,
  requests: OpenOptions['requests'],
): Result<KeySource, string> {
  const issued = { trustDomain, dnsName: `weft-control-plane.${meshNamespace}.svc` };
  const options = { clock: systemClock, issued };
  switch (ca.source) {
    case 'secret':
      return ok(new StoreKeySource(trustDomain, options));
    case 'files':
      return ok(new FileKeySource(ca.dir, options));
    case 'cert-manager':
      if (requests === undefined) return err('WEFT_CA_SOURCE: cert-manager is there in Kubernetes alone');
      return ok(new CertManagerKeySource(trustDomain, requests(ca.issuer), options));
    case 'pkcs11':
      return ok(new Pkcs11KeySource(ca.dir, ca.setup, options));
  }
}
