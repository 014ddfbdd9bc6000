/** The ConfigMap `weft-revocations` of the mesh's namespace, which every replica watches. */
import { REVOCATIONS_CONFIG_MAP } from '@weft/policies/identity/revocation-record';
import { z } from 'zod';
import type { KubeClient } from './client.ts';
import { Reflector } from './reflector.ts';
import type { Report } from './report.ts';

const configMap = z.looseObject({ data: z.record(z.string(), z.string()).nullish() });

export interface RevocationWatchOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly log: Report;
  /** Until then nobody knows who is revoked. */
  readonly onSynced: () => void;
  readonly onData: (data: Readonly<Record<string, string>>) => void;
}

export function watchRevocations({ client, namespace, log, onData, onSynced }: RevocationWatchOptions): Reflector {
  return new Reflector({
    client,
    paths: [`/api/v1/namespaces/${namespace}/configmaps`],
    // RBAC lets a list through by resource name when the field selector names it.
    query: { fieldSelector: `metadata.name=${REVOCATIONS_CONFIG_MAP}` },
    events: {
      apply: (object) => {
        const parsed = configMap.safeParse(object);
        if (parsed.success) onData(parsed.data.data ?? {});
      },
      remove: () => onData({}),
      synced: () => onSynced(),
      failed: (error) =>
        log.warn('watch failed', { what: `configmaps ${REVOCATIONS_CONFIG_MAP}`, reason: error.message }),
    },
  });
}
