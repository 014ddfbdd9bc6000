import type { JsonValue } from '@bufbuild/protobuf';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { SocketAddress } from '@weft/policies/model/address';
import type { Cluster } from '@weft/policies/model/cluster';
import type { Listener } from '@weft/policies/model/listener';
import type { SnapshotSource } from '@weft/policies/model/snapshot';
import { type BootstrapConfig, decodeBootstrap } from '@weft/policies/wire/bootstrap-decode';
import type { WireError } from '@weft/policies/wire/decoding';
import { parseDocument } from 'yaml';
import { checkReferences } from './references.ts';
import { StaticSource } from './static-source.ts';

export const BOOTSTRAP_BYTES_MAX = 4_194_304;

export interface Bootstrap {
  readonly node: { readonly id: string; readonly cluster: string };
  /** Where the admin interface listens; undefined: nowhere. */
  readonly admin: SocketAddress | undefined;
  readonly listeners: readonly Listener[];
  readonly clusters: readonly Cluster[];
  readonly snapshot: SnapshotSource;
}

/** An Envoy v3 bootstrap, YAML or JSON (which is YAML). Whatever Weft does not act on is an error that names its path. */
export function loadBootstrap(text: string): Result<Bootstrap, readonly WireError[]> {
  if (Buffer.byteLength(text) > BOOTSTRAP_BYTES_MAX) {
    return err([{ path: '', message: `bootstrap is longer than ${BOOTSTRAP_BYTES_MAX} bytes` }]);
  }
  const json = parseYaml(text);
  if (!json.ok) return json;
  const decoded = decodeBootstrap(json.value);
  if (!decoded.ok) return decoded;
  const config = withListenerNames(decoded.value);
  if (config.listeners.length === 0) {
    return err([{ path: 'static_resources.listeners', message: 'at least one is required' }]);
  }
  const errors = checkReferences(config);
  if (errors.length > 0) return err(errors);
  return ok({ ...config, snapshot: staticSource(config) });
}

function parseYaml(text: string): Result<JsonValue, readonly WireError[]> {
  const document = parseDocument(text, { schema: 'core', uniqueKeys: true });
  if (document.errors.length > 0) {
    // The first line says what and where; the next ones quote the file, in which there may be keys.
    return err(document.errors.map(({ message }) => ({ path: '', message: `not YAML: ${message.split('\n', 1)[0]}` })));
  }
  try {
    // A document that grows by aliases beyond reason throws here.
    return ok(document.toJS({ maxAliasCount: 100 }));
  } catch (error) {
    return err([{ path: '', message: `not YAML: ${error instanceof Error ? error.message : String(error)}` }]);
  }
}

/** Envoy makes up a name as well, where there is none. */
const withListenerNames = (config: BootstrapConfig): BootstrapConfig => ({
  ...config,
  listeners: config.listeners.map((listener, i) =>
    listener.name === '' ? { ...listener, name: `listener-${i}` } : listener,
  ),
});

function staticSource({ listeners, clusters }: BootstrapConfig): StaticSource {
  const assignments = clusters.flatMap(({ name, discovery }) =>
    discovery.kind === 'static' ? [[name, discovery.assignment] as const] : [],
  );
  return new StaticSource({
    address: new Map(),
    listener: new Map(listeners.map((listener) => [listener.name, listener])),
    route: new Map(),
    cluster: new Map(clusters.map((cluster) => [cluster.name, cluster])),
    endpoints: new Map(assignments),
  });
}
