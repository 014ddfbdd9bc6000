/** A data plane with one listener and one cluster, which stay as they are. */
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import type { Cluster } from '@weft/policies/model/cluster';
import type { Listener } from '@weft/policies/model/listener';
import { StaticSource } from '@weft/sidecar/bootstrap/static-source';
import { createDataPlane } from '@weft/sidecar/data-plane';
import type { TestRecorder } from '@weft/sidecar/http/h1/testing';
import type { CertificateSource } from '@weft/sidecar/identity/source';

export interface OneListener {
  readonly listener: Listener;
  readonly cluster: Cluster;
  readonly certificates: CertificateSource;
  readonly recorder: TestRecorder;
}

export interface Serving {
  /** Of the first address. */
  readonly port: number;
  close(): void;
}

export async function serveOne({ listener, cluster, certificates, recorder }: OneListener): Promise<Serving> {
  const plane = createDataPlane({
    source: new StaticSource({
      secret: new Map(),
      address: new Map(),
      listener: new Map([[listener.name, listener]]),
      route: new Map(),
      cluster: new Map([[cluster.name, cluster]]),
      endpoints: new Map(),
    }),
    listenerNames: [listener.name],
    certificates,
    recorder,
    clock: systemClock,
    prng: systemPrng,
    ownIps: new Set(),
  });
  const close = (): void => {
    plane.listeners.close();
    plane.clusters.close();
  };
  const started = await plane.listeners.start();
  if (!started.ok) {
    close();
    throw new Error(started.error);
  }
  return { port: plane.listeners.stats()[0]?.addresses[0]?.port ?? 0, close };
}
