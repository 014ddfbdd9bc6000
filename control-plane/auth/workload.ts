/** The pod that a caller speaks for. */
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Pod } from '../index/core.ts';
import { keyOf, objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import type { Joins } from '../join/joins.ts';
import type { HeldRecord } from '../join/records.ts';
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

/** `agent~<SPIFFE ID>`: a process that joined, without a pod. Only a hint like any node id: the credential decides. */
export const isAgentNode = (id: string): boolean => id.startsWith('agent~');

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
  // What ran in it has ended: whoever still holds its token is not it.
  if (pod.finished) return denied(`pod ${objectKey(pod.metadata)} has ended`);
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

export interface StandingParts {
  readonly state: ClusterState;
  readonly clock: Clock;
  /** Undefined where nobody can join by token. */
  readonly joins: Joins | undefined;
}

/** In which place a caller stands, so that he gets a certificate at all. */
export type Standing = { readonly as: 'pod'; readonly pod: Pod } | { readonly as: 'joined'; readonly held: HeldRecord };

/**
 * Whether whoever asks for a certificate is still there: the pod of a token, or the process that joined with this key.
 * A certificate alone renews nothing else: one that was stolen from a pod ends when it ends, and a join that was taken
 * back is not kept alive by pods of the same account.
 */
export async function checkCaller(parts: StandingParts, caller: Caller): Promise<Result<Standing, AuthFailure>> {
  const { state, clock, joins } = parts;
  if (caller.via === 'token') {
    const pod = await awaitWorkload(state, clock, caller, '');
    return pod.ok ? ok({ as: 'pod', pod: pod.value }) : pod;
  }
  const held =
    joins === undefined || caller.keyDigest === undefined ? ok(undefined) : await joins.joinedWith(caller.keyDigest);
  if (!held.ok) return held;
  const { namespace, serviceAccount } = caller.identity;
  const record = held.value?.record;
  if (held.value !== undefined && record?.namespace === namespace && record.serviceAccount === serviceAccount)
    return ok({ as: 'joined', held: held.value });
  return denied(
    'a certificate is renewed for the key of a process that joined by token, and this is none or was taken back; pods bring their token',
  );
}
