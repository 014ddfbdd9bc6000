import type { CustomObjectsApi } from '@kubernetes/client-node';
import { concurrencyOf } from '@weft/policies/crds/mesh-defaults';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';
import { statusOf, withDeadline } from './client.ts';

interface MeshSettings {
  /** Undefined: what the sidecar does by itself. */
  readonly concurrency: () => number | undefined;
  /** Reads the Mesh anew; never fails: what was read last goes on counting. */
  refresh(): Promise<void>;
}

/** The `Mesh` is read for every pod, as labels of namespaces are: pods restarted after a change must see it. */
export function meshSettings(api: CustomObjectsApi, log: Log): MeshSettings {
  let concurrency: number | undefined;
  const mesh = { group: 'weft.dev', version: 'v1alpha1', plural: 'meshes', name: 'default' };
  return {
    concurrency: () => concurrency,
    async refresh() {
      try {
        concurrency = concurrencyOf(await withDeadline('mesh', api.getClusterCustomObject(mesh)));
      } catch (error) {
        // There need not be one, nor its definition.
        if (statusOf(error) === 404) concurrency = undefined;
        else log.warn('the Mesh cannot be read; what was read last counts', { error: errorText(error) });
      }
    },
  };
}
