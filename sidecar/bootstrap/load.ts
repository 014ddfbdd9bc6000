import { join } from 'node:path';
import { ok, type Result } from '@weft/policies/kit/result';
import type { Cluster } from '@weft/policies/model/cluster';
import type { Listener } from '@weft/policies/model/listener';
import type { SnapshotSource } from '@weft/policies/model/snapshot';
import type { AdminAddress, BootstrapConfig } from '@weft/policies/wire/bootstrap-decode';
import type { WireError } from '@weft/policies/wire/decoding';
import { loadTransient } from '../transient.ts';
import { StaticSource } from './static-source.ts';

export interface Bootstrap {
  readonly node: { readonly id: string; readonly cluster: string };
  /** Where the admin interface listens; undefined: nowhere. */
  readonly admin: AdminAddress | undefined;
  readonly listeners: readonly Listener[];
  readonly clusters: readonly Cluster[];
  readonly snapshot: SnapshotSource;
}

/** The source, or its bundle. */
const reader = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? 'read.ts' : 'read.cjs');

/** An Envoy v3 bootstrap, YAML or JSON. */
export function loadBootstrap(text: string): Result<Bootstrap, readonly WireError[]> {
  const read = readOnce(text);
  return read.ok ? ok({ ...read.value, snapshot: staticSource(read.value) }) : read;
}

/** The parsers of YAML and of Envoy's API are needed this once, and cost more memory than the data path. */
function readOnce(text: string): Result<BootstrapConfig, readonly WireError[]> {
  const { readBootstrap }: typeof import('./read.ts') = loadTransient(reader);
  return readBootstrap(text);
}

function staticSource({ listeners, clusters }: BootstrapConfig): StaticSource {
  const assignments = clusters.flatMap(({ name, discovery }) =>
    discovery.kind === 'static' ? [[name, discovery.assignment] as const] : [],
  );
  return new StaticSource({
    secret: new Map(),
    address: new Map(),
    listener: new Map(listeners.map((listener) => [listener.name, listener])),
    route: new Map(),
    cluster: new Map(clusters.map((cluster) => [cluster.name, cluster])),
    endpoints: new Map(assignments),
  });
}
