/** The pod that a caller speaks for. */
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Pod } from '../index/core.ts';
import { keyOf, objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import type { AuthFailure, Caller } from './caller.ts';

export interface NodeHint {
  readonly ip: string;
  readonly pod: string;
  readonly namespace: string;
}

/** `sidecar~<pod ip>~<pod>.<namespace>~<cluster domain>`; a namespace has no dots, a pod's name may. */
export function parseNodeId(id: string): NodeHint | undefined {
  const [, ip, pod, namespace] = /^sidecar~([^~]*)~([^~]+)\.([^.~]+)~[^~]*$/.exec(id) ?? [];
  return ip === undefined || pod === undefined || namespace === undefined ? undefined : { ip, pod, namespace };
}

const denied = (message: string): Result<never, AuthFailure> => err({ code: 'permission-denied', message });

/** The credential decides; the node id may only agree with it, or pick one pod of the account that a certificate proves. */
export function workloadOf(state: ClusterState, caller: Caller, nodeId: string): Result<Pod, AuthFailure> {
  const hint = parseNodeId(nodeId);
  const { namespace, serviceAccount } = caller.identity;
  if (caller.pod === undefined && caller.via === 'token') {
    return denied('the token is not bound to a pod; use a projected service account token');
  }
  const name = caller.pod?.name ?? hint?.pod;
  if (name === undefined) {
    return denied(
      `node id "${nodeId}" is not of the form sidecar~<ip>~<pod>.<namespace>~<domain>, so that it names no pod`,
    );
  }
  if (hint !== undefined && (hint.pod !== name || hint.namespace !== namespace)) {
    return denied(
      `the credential is of ${caller.pod === undefined ? `namespace ${namespace}` : `pod ${keyOf(namespace, name)}`}; it may not ask for pod ${keyOf(hint.namespace, hint.pod)}`,
    );
  }
  const pod = state.pods.get(keyOf(namespace, name));
  if (pod === undefined) return denied(`there is no pod ${keyOf(namespace, name)}`);
  const uid = caller.pod?.uid ?? '';
  if (uid !== '' && pod.metadata.uid !== '' && pod.metadata.uid !== uid) {
    return denied(
      `the token is bound to an earlier pod ${objectKey(pod.metadata)} (uid ${uid}, now ${pod.metadata.uid})`,
    );
  }
  if (pod.serviceAccount !== serviceAccount) {
    return denied(
      `pod ${objectKey(pod.metadata)} runs as ${pod.serviceAccount}, the credential is of ${serviceAccount}`,
    );
  }
  return ok(pod);
}

/** A pod is sometimes quicker than the watch that tells of it. */
const podWaitMsMax = 3_000;
const podWaitStepMs = 50;

export async function awaitWorkload(
  state: ClusterState,
  clock: Clock,
  caller: Caller,
  nodeId: string,
): Promise<Result<Pod, AuthFailure>> {
  const untilMs = clock.nowMs() + podWaitMsMax;
  for (;;) {
    const found = workloadOf(state, caller, nodeId);
    const name = caller.pod?.name ?? parseNodeId(nodeId)?.pod;
    const unknown = name !== undefined && state.pods.get(keyOf(caller.identity.namespace, name)) === undefined;
    if (found.ok || !unknown || clock.nowMs() > untilMs) return found;
    await new Promise<void>((resolve) => {
      clock.after(podWaitStepMs, resolve);
    });
  }
}

/** Whether whoever asks for a certificate is still there: the pod of a token, or any pod of a certificate's account. */
export async function checkCaller(
  state: ClusterState,
  clock: Clock,
  caller: Caller,
): Promise<Result<Pod | undefined, AuthFailure>> {
  if (caller.via === 'token') return awaitWorkload(state, clock, caller, '');
  const { namespace, serviceAccount } = caller.identity;
  if (state.pods.keysBy('serviceAccount', keyOf(namespace, serviceAccount)).size > 0) return ok(undefined);
  return denied(`no pod runs as ${keyOf(namespace, serviceAccount)} any more; its certificate is not renewed`);
}
