import type { Clock } from '@weft/policies/kit/clock';
import type { SnapshotSource } from '@weft/policies/model/snapshot';

/**
 * How long the news that this pod is being deleted may take to come by xDS. kubelet calls preStop the moment it
 * learns of the deletion, which may be before the control plane does; a container that is restarted for another
 * reason waits this long for nothing.
 */
const NOTICE_MS_MAX = 3_000;

type DrainOutcome = 'removed' | 'not-terminating' | 'timeout';

/**
 * Waits until every client has been told that this pod is going. `Address.terminating` is set by the control plane
 * when the removal of the endpoint is out, so that an application stopped afterwards misses no request.
 */
export function waitForRemoval(
  source: SnapshotSource,
  podIp: string,
  clock: Clock,
  graceMs: number,
): Promise<DrainOutcome> {
  return new Promise((resolve) => {
    const isTerminating = (): boolean => {
      const address = source.lookup('address', podIp);
      // Absent: the pod is gone from the API, so nobody is sent here any more.
      if (address.state === 'absent') return true;
      return address.state === 'found' && address.value.kind === 'workload' && address.value.terminating;
    };
    if (isTerminating()) return resolve('removed');
    const waitMs = Math.min(NOTICE_MS_MAX, graceMs);
    const cancel = clock.after(waitMs, () => finish(waitMs < NOTICE_MS_MAX ? 'timeout' : 'not-terminating'));
    const unsubscribe = source.onChange(() => {
      if (isTerminating()) finish('removed');
    });
    const finish = (outcome: DrainOutcome): void => {
      cancel();
      unsubscribe();
      resolve(outcome);
    };
  });
}
