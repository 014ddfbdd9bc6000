/** `/debug/sync`: how far each connected sidecar has come, for `weft status`. */
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { resourceKinds, typeUrls } from '@weft/policies/wire/type-urls';
import type { XdsHub } from '../xds/hub.ts';

export interface SyncReport {
  readonly sidecars: readonly SidecarSync[];
}

export interface SidecarSync {
  /** `<namespace>/<pod>`. */
  readonly pod: string;
  readonly protocol: 'delta' | 'sotw';
  readonly connectedSince: string;
  readonly synced: boolean;
  readonly types: readonly TypeSync[];
}

interface TypeSync {
  readonly kind: ResourceKind;
  readonly typeUrl: string;
  readonly subscribed: number;
  readonly acked: number;
  readonly pending: number;
  readonly resources: readonly ResourceSync[];
}

interface ResourceSync {
  readonly name: string;
  readonly state: 'acked' | 'sent' | 'pending' | 'nacked' | 'absent';
  /** Last version that the sidecar was told; empty for none. */
  readonly version: string;
  readonly ackedVersion: string;
  readonly nack?: { readonly version: string; readonly message: string };
}

export function syncReport(hub: XdsHub): SyncReport {
  const sidecars = [...hub.streams].map((stream): SidecarSync => {
    const byKind = new Map<ResourceKind, ResourceSync[]>();
    for (const { kind, name, told, acked, nack, dirty } of stream.subscriptions()) {
      const version = told.state === 'version' ? told.version : '';
      const refused = nack !== undefined && nack.version === version;
      const state = dirty
        ? 'pending'
        : told.state === 'absent'
          ? 'absent'
          : refused
            ? 'nacked'
            : acked?.version === version
              ? 'acked'
              : 'sent';
      const list = byKind.get(kind) ?? [];
      list.push({ name, state, version, ackedVersion: acked?.version ?? '', ...(nack === undefined ? {} : { nack }) });
      byKind.set(kind, list);
    }
    const types = resourceKinds
      .filter((kind) => byKind.has(kind))
      .map((kind): TypeSync => {
        const resources = (byKind.get(kind) ?? []).sort((a, b) => (a.name < b.name ? -1 : 1));
        const count = (...states: readonly ResourceSync['state'][]): number =>
          resources.filter((one) => states.includes(one.state)).length;
        return {
          kind,
          typeUrl: typeUrls[kind],
          subscribed: resources.length,
          acked: count('acked', 'absent'),
          pending: count('sent', 'pending'),
          resources,
        };
      });
    return {
      pod: stream.nodeId,
      protocol: stream.protocol,
      connectedSince: new Date(stream.openedUnixMs).toISOString(),
      synced: types.every((type) => type.acked === type.subscribed),
      types,
    };
  });
  return { sidecars: sidecars.sort((a, b) => (a.pod < b.pod ? -1 : 1)) };
}
