import type { CoreV1Api } from '@kubernetes/client-node';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Metrics } from '../metrics.ts';
import type { NamespaceInfo } from '../plan.ts';
import { statusOf, withDeadline } from './client.ts';

/** Bounds the memory of labels kept for when the API does not answer. */
const KEPT_MAX = 10_000;

/**
 * Labels are read anew for every pod: a label set a moment ago, followed by a restart of the pods, must count, and a watch may lag behind. When the API does
 * not answer, the labels seen last count.
 */
export function namespaceReader(
  api: CoreV1Api,
  metrics: Metrics,
): (name: string) => Promise<Result<NamespaceInfo, string>> {
  const seen = new Map<string, NamespaceInfo>();
  return async (name) => {
    try {
      const namespace = await withDeadline('namespace', api.readNamespace({ name }));
      const info: NamespaceInfo = { name, labels: namespace.metadata?.labels ?? {} };
      seen.delete(name);
      seen.set(name, info);
      const oldest = seen.keys().next();
      if (seen.size > KEPT_MAX && oldest.done !== true) seen.delete(oldest.value);
      metrics.add('weft_injector_namespace_reads_total', { result: 'read' });
      return ok(info);
    } catch (error) {
      const last = statusOf(error) === 404 ? undefined : seen.get(name);
      metrics.add('weft_injector_namespace_reads_total', { result: last === undefined ? 'failed' : 'remembered' });
      return last === undefined ? err(errorText(error)) : ok(last);
    }
  };
}
