/** Events of Kubernetes about the Mesh: what happened, beside its objects. */
import type { KubeClient } from './client.ts';

interface MeshEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

const messageCharsMax = 1_024;

/** What went wrong, if anything: nothing hangs on an event. */
export async function tellMeshEvent(
  client: KubeClient,
  namespace: string,
  { type, reason, message }: MeshEvent,
  nowUnixMs: number,
): Promise<string | undefined> {
  const time = new Date(nowUnixMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: 'weft-mesh-', namespace },
    involvedObject: { apiVersion: 'weft.dev/v1alpha1', kind: 'Mesh', name: 'default', namespace },
    type,
    reason,
    message: message.slice(0, messageCharsMax),
    source: { component: 'weft-control-plane' },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
  const created = await client.create(`/api/v1/namespaces/${namespace}/events`, event);
  return created.ok ? undefined : created.error.message;
}
