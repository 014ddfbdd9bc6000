import type { JsonValue } from '@bufbuild/protobuf';
import { err, ok, type Result } from '../kit/result.ts';
import type { SocketAddress } from '../model/address.ts';
import type { Cluster } from '../model/cluster.ts';
import type { Listener } from '../model/listener.ts';
import type { ProxyNode } from '../model/proxy-node.ts';
import { decodeCluster } from './cluster-decode.ts';
import { decodeServer } from './config-source.ts';
import { type At, Decoding, type WireError } from './decoding.ts';
import { type Admin, BootstrapSchema } from './gen/envoy/config/bootstrap/v3/bootstrap_pb.ts';
import type { Address } from './gen/envoy/config/core/v3/address_pb.ts';
import type { Node } from './gen/envoy/config/core/v3/base_pb.ts';
import { messageFromJson } from './json.ts';
import { isRecord } from './json-record.ts';
import { decodeListener } from './listener-decode.ts';
import { decodeSocketAddress } from './values.ts';

/** Where the admin interface listens: a Unix socket, or an address of its own. */
export type AdminAddress = SocketAddress | { readonly socketPath: string };

/** What an Envoy v3 bootstrap says, as far as one object tells; names are not resolved yet. */
export interface BootstrapConfig {
  readonly node: ProxyNode;
  readonly admin: AdminAddress | undefined;
  readonly listeners: readonly Listener[];
  readonly clusters: readonly Cluster[];
}

/** Strict: whatever is not supported or not known is an error with its path. */
export function decodeBootstrap(json: JsonValue): Result<BootstrapConfig, readonly WireError[]> {
  const decoding = new Decoding(true);
  const at = decoding.at('');
  const message = messageFromJson(BootstrapSchema, json, at);
  if (message === undefined) return err(decoding.errors);
  const { node, admin, staticResources, dynamicResources } = message;
  const adsAt = at.field('dynamic_resources').field('ads_config');
  const server = dynamicResources?.adsConfig && decodeServer(dynamicResources.adsConfig, adsAt);
  const ads = server && { ...server, aggregated: true };
  const resources = at.field('static_resources');
  const config = {
    node: decodeNode(node, at.field('node')),
    admin: admin && decodeAdmin(admin, at.field('admin')),
    listeners: (staticResources?.listeners ?? []).map((listener, i) =>
      decodeListener(listener, resources.field('listeners').index(i)),
    ),
    clusters: (staticResources?.clusters ?? []).map((cluster, i) =>
      decodeCluster(cluster, resources.field('clusters').index(i), ads),
    ),
  };
  return decoding.errors.length > 0 ? err(decoding.errors) : ok(config);
}

function decodeNode(node: Node | undefined, at: At): ProxyNode {
  const { id = '', cluster = '', metadata, locality } = node ?? {};
  checkNumbers(metadata ?? {}, at.field('metadata'));
  return {
    id,
    cluster,
    ...(metadata === undefined ? {} : { metadata }),
    ...(locality === undefined
      ? {}
      : { locality: { region: locality.region, zone: locality.zone, subZone: locality.subZone } }),
  };
}

/** What is told to others: a number beyond all doubles is read as infinite, of which JSON has no form. */
function checkNumbers(json: JsonValue, at: At): void {
  if (typeof json === 'number') {
    if (!Number.isFinite(json)) at.fail('has to be a finite number', undefined);
  } else if (Array.isArray(json)) {
    for (const [i, item] of json.entries()) checkNumbers(item, at.index(i));
  } else if (isRecord(json)) {
    for (const [key, item] of Object.entries(json)) checkNumbers(item, at.field(key));
  }
}

function decodeAdmin({ address, accessLogPath }: Admin, at: At): AdminAddress | undefined {
  if (accessLogPath !== '' && accessLogPath !== '/dev/null') {
    at.field('access_log_path').fail('Weft writes no log of its admin interface: leave it out', undefined);
  }
  return address && decodeAdminAddress(address, at.field('address'));
}

function decodeAdminAddress(address: Address, at: At): AdminAddress {
  if (address.address.case !== 'pipe') return decodeSocketAddress(address, at);
  const { path } = address.address.value;
  // An abstract socket is open to everybody on the host.
  if (!path.startsWith('/')) at.field('pipe').field('path').fail('has to be an absolute path', undefined);
  return { socketPath: path };
}
