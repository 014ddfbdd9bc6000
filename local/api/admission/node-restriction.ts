import type { User } from '../auth/user.ts';
import { asString, at } from '../json.ts';
import { forbidden } from '../status.ts';
import type { AdmissionInput } from './webhooks.ts';

/** What RBAC cannot say of a node agent: only its own Node, its own Lease and the pods bound to it (Kubernetes' NodeRestriction plugin). */
const prefix = 'system:node:';
const leaseNamespace = 'kube-node-lease';

/** The node that a user is, if it is one. */
export function nodeOf(user: User): string | undefined {
  return user.groups.includes('system:nodes') && user.name.startsWith(prefix)
    ? user.name.slice(prefix.length)
    : undefined;
}

export function restrictNode(input: AdmissionInput): void {
  const node = nodeOf(input.call.user);
  if (node === undefined) return;
  const why = refusal(node, input);
  if (why !== undefined) throw forbidden(input.type, input.name, `node "${node}" ${why}`);
}

function refusal(node: string, input: AdmissionInput): string | undefined {
  switch (input.type.storage) {
    case '/nodes':
      return input.name === node ? undefined : `is not allowed to modify node "${input.name}"`;
    case 'coordination.k8s.io/leases':
      return input.namespace === leaseNamespace && input.name === node
        ? undefined
        : 'can only access node lease with the same name as the requesting node';
    case '/pods':
      return podRefusal(node, input);
    default:
      return undefined;
  }
}

function podRefusal(node: string, input: AdmissionInput): string | undefined {
  const changesStatus = input.operation === 'UPDATE' && input.subresource === 'status';
  if (input.operation !== 'DELETE' && !changesStatus) return 'can only delete pods and write their status';
  return asString(at(input.oldObject, 'spec', 'nodeName')) === node
    ? undefined
    : `can only ${input.operation === 'DELETE' ? 'delete' : 'update pod status for'} pods with spec.nodeName set to itself`;
}
