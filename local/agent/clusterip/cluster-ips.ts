import { applyRuleset, deleteTable, describeNetlinkError } from '@weft/injector/redirect/nftables';
import type { EndpointSlice, Service } from '../../client/objects.ts';
import type { Reflector } from '../../client/reflector.ts';
import { planClusterIps, TABLE } from './plan.ts';

/** Changes within this time make one transaction; short enough that a pod is out of service long before it stops. */
const DEBOUNCE_MS = 20;
const RETRY_MS = 1_000;

interface ClusterIps {
  /** Transactions written so far. */
  readonly applied: () => number;
  close(): void;
}

/** Keeps the node's table equal to what Services and slices say; each write replaces the whole table at once. */
export function startClusterIps(
  services: Reflector<Service>,
  slices: Reflector<EndpointSlice>,
  serviceCidrs: readonly string[],
  nodeName: string,
  onError: (message: string) => void,
): ClusterIps {
  let timer: NodeJS.Timeout | undefined;
  let last = '';
  let count = 0;
  let closed = false;
  const apply = (): void => {
    timer = undefined;
    if (closed) return;
    const ruleset = planClusterIps(services.list(), slices.list(), serviceCidrs, nodeName);
    const text = JSON.stringify(ruleset);
    if (text === last) return;
    const result = applyRuleset(ruleset);
    if (result.ok) {
      last = text;
      count += 1;
      return;
    }
    onError(`cluster IPs: ${describeNetlinkError(result.error)}`);
    timer = setTimeout(apply, RETRY_MS);
  };
  const soon = (): void => {
    timer ??= setTimeout(apply, DEBOUNCE_MS);
  };
  services.onChange(soon);
  slices.onChange(soon);
  apply();
  return {
    applied: () => count,
    close: () => {
      closed = true;
      clearTimeout(timer);
      const removed = deleteTable('inet', TABLE);
      if (!removed.ok) onError(`cluster IPs: ${describeNetlinkError(removed.error)}`);
    },
  };
}
